// recognise MODEL CLIPS: the action of each clip of a file.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 3) return std::puts("usage: recognise MODEL CLIPS"), 2;
  const auto recogniser = qkv::ActionRecogniser::load(argv[1]);
  for (const auto& clip : qkv::read_clips(argv[2])) {
    const auto action = recogniser.recognise(clip);
    std::printf("%s\t%s\t%.4f\n", clip.id.c_str(), action.label.c_str(), action.probability);
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
