// Linear attention as a recurrent network: the whole sequence at once, or a prefix summed up in one
// go and the rest token by token, with a state whose size does not grow.
#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "qkv/attention/linear.h"
#include "qkv/base/random.h"

using namespace qkv;

int main() {
  constexpr std::int64_t kTokens = 1000, kPrefix = 900, kHeads = 4, kWidth = 32;
  Philox random(1);
  const auto numbers = [&] {
    Tensor t = Tensor::empty({kTokens, kHeads, kWidth});
    for (float& x : t.values()) x = static_cast<float>(random.normal());
    return t;
  };
  const Tensor q = numbers(), k = numbers(), v = numbers();
  const Tensor out = linear_attend(q, k, v, {.causal = true});  // [1000, 4, 32]

  LinearState state = linear_state(k.rows(0, kPrefix), v.rows(0, kPrefix));
  fmt::print("after {} tokens the state holds {} numbers, a cache {}\n", kPrefix,
             state.s.count() + state.z.count(), 2 * kPrefix * kHeads * kWidth);
  float largest = 0;
  for (std::int64_t i = kPrefix; i < kTokens; ++i) {
    const Tensor y = linear_step(state, q.rows(i, i + 1), k.rows(i, i + 1), v.rows(i, i + 1));
    for (std::int64_t e = 0; e < y.count(); ++e) {
      largest = std::max(largest, std::abs(y.data()[e] - out.data()[i * y.count() + e]));
    }
  }
  fmt::print("steps and whole sequence differ by at most {:.1g}\n", static_cast<double>(largest));

  // A beam: the first hypothesis goes on twice, the third place starts anew.
  state.reorder(std::vector<std::int32_t>{0, 0, -1});
  const Tensor read = linear_read(state, q.rows(0, 3));
  fmt::print("three hypotheses answer {:+.3f} {:+.3f} {:+.3f}\n", read.data()[0],
             read.data()[kHeads * kWidth], read.data()[2 * kHeads * kWidth]);
}
