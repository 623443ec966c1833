// fill MODEL < text: what stands behind each [MASK].
#include <cstdio>
#include <iostream>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 2) return std::puts("usage: fill MODEL < text"), 2;
  const auto model = qkv::MaskedModel::load(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const auto filled = model.fill(line, 3);
    std::puts(filled.text.c_str());
    for (const auto& mask : filled.masks) {
      for (const auto& c : mask) std::printf("  %.4f  %s\n", c.probability, c.piece.c_str());
    }
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
