// What the tests of the additive and the L1 score share: problems, gradients, comparisons.
#pragma once

#include <limits>
#include <vector>

#include "kernels/fixtures.h"

namespace qkv::kernels {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// One problem: queries a [Tq C], keys b [Tk C], weights w [C], gradients dscores [Tq Tk].
struct PairProblem {
  std::int64_t queries, keys, hidden;
  Guarded<float> a, b, w, dscores;

  PairProblem(std::int64_t queries_, std::int64_t keys_, std::int64_t hidden_, double size = 1)
      : queries(queries_),
        keys(keys_),
        hidden(hidden_),
        a(normals(queries * hidden, 1, size), 1),
        b(normals(keys * hidden, 2, size), 2),
        w(normals(hidden, 3), 3),
        dscores(normals(queries * keys, 4), 1) {}

  double weight() const {
    double sum = 0;
    for (float x : w.values()) sum += std::abs(static_cast<double>(x));
    return sum;
  }
};

inline std::vector<double> wide(const Guarded<float>& x) {
  std::vector<double> y;
  for (float v : x.values()) y.push_back(static_cast<double>(v));
  return y;
}

/// Gradients of a and q, of b and k, of w.
template <class T>
struct PairGradients {
  std::vector<T> first, second, w;
  std::vector<T> all() const {
    auto x = first;
    append(x, second);
    append(x, w);
    return x;
  }
};

inline constexpr std::int64_t kHidden[] = {1, 3, 15, 16, 17, 48, 64, 65, 256, 257};

/// Element (i, j) of x [·, columns].
inline float at(const std::vector<float>& x, std::int64_t columns, std::int64_t i, std::int64_t j) {
  return x[static_cast<std::size_t>(i * columns + j)];
}

inline bool same(float x, float y) { return same_bits<float>({x}, {y}); }

}  // namespace qkv::kernels
