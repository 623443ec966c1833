// hear MODEL SOUND: the label of a recording, or labels over its time.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 3) return std::puts("usage: hear MODEL SOUND"), 2;
  const qkv::System system = qkv::open(argv[1]);
  if (const auto* clips = std::get_if<qkv::SoundClassifier>(&system)) {
    std::printf("%s\n", clips->classify(clips->read(argv[2])).label.c_str());
  } else if (const auto* frames = std::get_if<qkv::SoundTagger>(&system)) {
    for (const auto& s : frames->tag(frames->read(argv[2])).stretches) {
      std::printf("%.2f\t%.2f\t%s\n", s.begin, s.end, s.label.c_str());
    }
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
