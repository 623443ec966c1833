// attention_maps MODEL TEXT: what a translator attends to, as numbers.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 3) return std::puts("usage: attention_maps MODEL TEXT"), 2;
  const auto maps = qkv::Translator::load(argv[1]).attention(argv[2]);
  const auto cross = qkv::select(maps, qkv::AttentionMap::Kind::cross, -1, qkv::kMeanHead);
  for (std::int64_t row = 0; row < cross.weights.dim(0); ++row) {
    std::printf("%s\t", maps.target[static_cast<std::size_t>(row)].c_str());
    for (const float w : cross.weights.rows(row, row + 1).values()) {
      std::printf(" %.2f", static_cast<double>(w));
    }
    std::puts("");
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
