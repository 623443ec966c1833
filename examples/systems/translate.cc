// translate MODEL < text: a line in, its translation out.
#include <cstdio>
#include <iostream>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 2) return std::puts("usage: translate MODEL < text"), 2;
  const auto translator = qkv::Translator::load(argv[1], {.threads = 2});
  for (std::string line; std::getline(std::cin, line);) {
    std::puts(translator.translate(line, {.beam = 5}).text.c_str());
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
