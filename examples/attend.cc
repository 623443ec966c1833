// Attention over a packed batch: two sequences of lengths 3 and 2, no padding, a causal window.
#include "qkv/attention/attend.h"

#include <fmt/core.h>

#include "qkv/base/random.h"

using namespace qkv;

int main() {
  const Segments batch({3, 2});
  const std::int64_t heads = 2, dim = 4;
  Philox random(1);
  const auto numbers = [&] {
    Tensor t = Tensor::empty({batch.total(), heads, dim});
    for (float& x : t.values()) x = static_cast<float>(random.normal());
    return t;
  };
  const Tensor q = numbers(), k = numbers(), v = numbers();

  const Mask mask = segments(batch, batch) & causal() & window(2);
  const Tensor out = attend(q, k, v, {.mask = mask});  // [5, 2, 4]

  fmt::print("{}\n", to_string(mask));
  const auto seen = materialise(mask, batch.total(), batch.total());
  for (std::int64_t row = 0; row < batch.total(); ++row) {
    for (std::int64_t key = 0; key < batch.total(); ++key) {
      fmt::print("{}", seen[static_cast<std::size_t>(row * batch.total() + key)] ? " #" : " .");
    }
    fmt::print("   {:+.3f}\n", out.data()[row * heads * dim]);
  }
}
