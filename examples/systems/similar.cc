// similar MODEL WORD [- WORD] [+ WORD] …: the words nearest to a sum and difference of words.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc < 3) return std::puts("usage: similar MODEL king - man + woman"), 2;
  const auto vectors = qkv::WordVectors::load(argv[1]);
  const std::vector<std::string> words(argv + 2, argv + argc);
  for (const auto& near : vectors.similar(words)) {
    std::printf("%s\t%.4f\n", near.word.c_str(), near.cosine);
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
