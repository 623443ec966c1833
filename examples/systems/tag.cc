// tag MODEL < text: the phrases of each line with their types.
#include <cstdio>
#include <iostream>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 2) return std::puts("usage: tag MODEL < text"), 2;
  const auto tagger = qkv::Tagger::load(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    for (const auto& span : tagger.tag(line).spans) {
      std::printf("%s\t%s\n", span.type.c_str(), span.text.c_str());
    }
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
