// transcribe MODEL SOUND...: what is said in recordings.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc < 3) return std::puts("usage: transcribe MODEL SOUND..."), 2;
  const auto model = qkv::Transcriber::load(argv[1]);
  for (int i = 2; i < argc; ++i) {
    const qkv::Sound sound = model.read(argv[i]);  // or {.rate = 8000, .samples = numbers}
    std::printf("%s\n", model.transcribe(sound, {.beam = 8}).text.c_str());
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
