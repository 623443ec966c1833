// classify MODEL < text: a label for each line and how probable it is.
#include <cstdio>
#include <iostream>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 2) return std::puts("usage: classify MODEL < text"), 2;
  const auto classifier = qkv::Classifier::load(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = classifier.classify(line);
    std::printf("%s\t%.3f\n", answer.label.c_str(), answer.probability);
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
