// embed MODEL A B: how near two texts are, by the cosine of their vectors.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 4) return std::puts("usage: embed MODEL TEXT TEXT"), 2;
  const auto encoder = qkv::Encoder::load(argv[1]);
  const auto a = encoder.embed(argv[2], {.normalise = true});
  const auto b = encoder.embed(argv[3], {.normalise = true});
  double cosine = 0;
  for (std::size_t i = 0; i < a.size(); ++i) cosine += static_cast<double>(a[i] * b[i]);
  std::printf("%.4f\n", cosine);
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
