#include "qkv/kernels/elementwise.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/elementwise.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/activation-inl.h"
#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

void BiasActivationRun(std::int64_t n, const float* z, const float* bias, Activation activation,
                       const Dropout& drop, std::uint64_t index, float* y) {
  const F d;
  ForEachWithDropout(d, n, drop, index, [&](std::int64_t c, auto at, VF factor) {
    VF x = at.load(d, z + c);
    if (bias) x = hn::Add(x, at.load(d, bias + c));
    at.store(d, hn::Mul(Activated(d, activation, x), factor), y + c);
  });
}

void BiasActivationBackwardRun(std::int64_t n, const float* z, const float* bias, const float* y,
                               Activation activation, const Dropout& drop, std::uint64_t index,
                               const float* dy, float* dz) {
  const F d;
  if (activation == Activation::relu) {
    // y is zero where relu or dropout closed the way: no draw is needed.
    const VF scale = hn::Set(d, drop.active() ? drop.scale : 1.0f);
    ForEachVector(d, n, [&](std::int64_t c, auto at) {
      const auto passed = hn::Ne(at.load(d, y + c), hn::Zero(d));
      at.store(d, hn::IfThenElseZero(passed, hn::Mul(at.load(d, dy + c), scale)), dz + c);
    });
    return;
  }
  ForEachWithDropout(d, n, drop, index, [&](std::int64_t c, auto at, VF factor) {
    VF g = hn::Mul(at.load(d, dy + c), factor);
    if (activation != Activation::none) {
      VF x = at.load(d, z + c);
      if (bias) x = hn::Add(x, at.load(d, bias + c));
      g = hn::Mul(g, Slope(d, activation, x));
    }
    at.store(d, g, dz + c);
  });
}

void DropoutRun(std::int64_t n, const float* x, const Dropout& drop, std::uint64_t index,
                float* y) {
  const F d;
  ForEachWithDropout(d, n, drop, index, [&](std::int64_t i, auto at, VF factor) {
    at.store(d, hn::Mul(at.load(d, x + i), factor), y + i);
  });
}

/// sums[c] += Σ over rows [0, rows), rows in order.
void AddRows(std::int64_t rows, std::int64_t cols, const float* x, float* sums) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t c = 0;
  for (; c + 4 * lanes <= cols; c += 4 * lanes) {  // 4 accumulators hide the latency of the sum
    VF s0 = hn::LoadU(d, sums + c), s1 = hn::LoadU(d, sums + c + lanes);
    VF s2 = hn::LoadU(d, sums + c + 2 * lanes), s3 = hn::LoadU(d, sums + c + 3 * lanes);
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* row = x + r * cols + c;
      s0 = hn::Add(s0, hn::LoadU(d, row));
      s1 = hn::Add(s1, hn::LoadU(d, row + lanes));
      s2 = hn::Add(s2, hn::LoadU(d, row + 2 * lanes));
      s3 = hn::Add(s3, hn::LoadU(d, row + 3 * lanes));
    }
    hn::StoreU(s0, d, sums + c);
    hn::StoreU(s1, d, sums + c + lanes);
    hn::StoreU(s2, d, sums + c + 2 * lanes);
    hn::StoreU(s3, d, sums + c + 3 * lanes);
  }
  ForEachVector(d, cols - c, [&](std::int64_t k, auto at) {
    VF s = at.load(d, sums + c + k);
    for (std::int64_t r = 0; r < rows; ++r) s = hn::Add(s, at.load(d, x + r * cols + c + k));
    at.store(d, s, sums + c + k);
  });
}

void AxpbyRun(std::int64_t n, float a, const float* x, float b, float* y) {
  const F d;
  const VF va = hn::Set(d, a), vb = hn::Set(d, b);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    // A factor of zero means "not read", so that 0 · NaN does not arise.
    VF s = a == 0.0f ? hn::Zero(d) : hn::Mul(va, at.load(d, x + i));
    if (b != 0.0f) s = hn::MulAdd(vb, at.load(d, y + i), s);
    at.store(d, s, y + i);
  });
}

void AddRun(std::int64_t n, const float* x, const float* y, float* out) {
  const F d;
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    at.store(d, hn::Add(at.load(d, x + i), at.load(d, y + i)), out + i);
  });
}

void MultiplyRun(std::int64_t n, const float* x, const float* y, float* out) {
  const F d;
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    at.store(d, hn::Mul(at.load(d, x + i), at.load(d, y + i)), out + i);
  });
}

std::int64_t FirstNonFinite(std::int64_t n, const float* x) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    if (!hn::AllTrue(d, hn::IsFinite(hn::LoadU(d, x + i)))) break;
  }
  for (; i < n; ++i) {
    if (!std::isfinite(x[i])) return i;
  }
  return -1;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(BiasActivationRun);
HWY_EXPORT(BiasActivationBackwardRun);
HWY_EXPORT(DropoutRun);
HWY_EXPORT(AddRows);
HWY_EXPORT(AxpbyRun);
HWY_EXPORT(AddRun);
HWY_EXPORT(MultiplyRun);
HWY_EXPORT(FirstNonFinite);

namespace definition {
namespace {

template <class T>
T factor(const Dropout& drop, std::int64_t index) {
  return static_cast<T>(dropout_factor(drop, static_cast<std::uint64_t>(index)));
}

}  // namespace

template <class T>
void bias_activation(std::int64_t rows, std::int64_t cols, const T* z, const T* bias,
                     Activation activation, const Dropout& dropout, T* y) {
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    y[i] = activated(activation, bias ? z[i] + bias[i % cols] : z[i]) * factor<T>(dropout, i);
  }
}

template <class T>
void bias_activation_backward(std::int64_t rows, std::int64_t cols, const T* z, const T* bias,
                              const T* y, Activation activation, const Dropout& dropout,
                              const T* dy, T* dz) {
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    const T g = dy[i] * factor<T>(dropout, i);
    if (activation == Activation::relu) {
      dz[i] = y[i] != 0 ? g : T(0);
    } else if (activation == Activation::none) {
      dz[i] = g;
    } else {
      dz[i] = g * slope(activation, bias ? z[i] + bias[i % cols] : z[i]);
    }
  }
}

template <class T>
void column_sums(std::int64_t rows, std::int64_t cols, const T* x, T beta, T* sum) {
  for (std::int64_t c = 0; c < cols; ++c) {
    T total = 0;
    for (std::int64_t r = 0; r < rows; ++r) total += x[r * cols + c];
    sum[c] = beta == 0 ? total : beta * sum[c] + total;
  }
}

template <class T>
void dropout(std::int64_t n, const T* x, const Dropout& dropout, T* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * factor<T>(dropout, i);
}

template <class T>
void axpby(std::int64_t n, T a, const T* x, T b, T* y) {
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = (a == 0 ? T(0) : a * x[i]) + (b == 0 ? T(0) : b * y[i]);
}

template <class T>
void add(std::int64_t n, const T* x, const T* y, T* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] + y[i];
}

template <class T>
void multiply(std::int64_t n, const T* x, const T* y, T* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * y[i];
}

#define QKV_INSTANTIATE(T)                                                                         \
  template void bias_activation(std::int64_t, std::int64_t, const T*, const T*, Activation,        \
                                const Dropout&, T*);                                               \
  template void bias_activation_backward(std::int64_t, std::int64_t, const T*, const T*, const T*, \
                                         Activation, const Dropout&, const T*, T*);                \
  template void column_sums(std::int64_t, std::int64_t, const T*, T, T*);                          \
  template void dropout(std::int64_t, const T*, const Dropout&, T*);                               \
  template void axpby(std::int64_t, T, const T*, T, T*);                                           \
  template void add(std::int64_t, const T*, const T*, T*);                                         \
  template void multiply(std::int64_t, const T*, const T*, T*);
QKV_INSTANTIATE(float)
QKV_INSTANTIATE(double)
#undef QKV_INSTANTIATE

}  // namespace definition

namespace {

// Pieces of 16k elements: 64 KiB in, 64 KiB out, a few microseconds — long against the cost of
// handing a piece to a thread, short enough to balance two.
constexpr std::int64_t kPiece = 1 << 14;

/// f(first element, its column, count) for rows, several to a piece, or for pieces of long rows: an
/// activation of a whole tensor comes as one row.
template <class F>
void for_each_run(std::int64_t rows, std::int64_t cols, F&& f) {
  if (rows <= 0 || cols <= 0) return;
  const std::int64_t parts = (cols + kPiece - 1) / kPiece;
  const std::int64_t grain = std::max<std::int64_t>(1, kPiece / cols);
  parallel_for(rows * parts, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t c = i % parts * kPiece;
      f(i / parts * cols + c, c, std::min(kPiece, cols - c));
    }
  });
}

}  // namespace

void bias_activation(std::int64_t rows, std::int64_t cols, const float* z, const float* bias,
                     Activation activation, const Dropout& dropout, float* y) {
  const auto run = HWY_DYNAMIC_DISPATCH(BiasActivationRun);
  for_each_run(rows, cols, [&](std::int64_t at, std::int64_t c, std::int64_t n) {
    run(n, z + at, bias ? bias + c : nullptr, activation, dropout, static_cast<std::uint64_t>(at),
        y + at);
  });
}

void bias_activation_backward(std::int64_t rows, std::int64_t cols, const float* z,
                              const float* bias, const float* y, Activation activation,
                              const Dropout& dropout, const float* dy, float* dz) {
  const auto run = HWY_DYNAMIC_DISPATCH(BiasActivationBackwardRun);
  for_each_run(rows, cols, [&](std::int64_t at, std::int64_t c, std::int64_t n) {
    run(n, z ? z + at : nullptr, bias ? bias + c : nullptr, y ? y + at : nullptr, activation,
        dropout, static_cast<std::uint64_t>(at), dy + at, dz + at);
  });
}

void column_sums(std::int64_t rows, std::int64_t cols, const float* x, float beta, float* sum) {
  // Fixed pieces of 256 rows, each summed in order, the pieces then added in order.
  constexpr std::int64_t kRows = 256;
  const std::int64_t pieces = (rows + kRows - 1) / kRows;
  std::vector<float> partial(static_cast<std::size_t>(pieces * cols), 0.0f);
  const auto add_rows = HWY_DYNAMIC_DISPATCH(AddRows);
  parallel_for(pieces, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p) {
      add_rows(std::min(kRows, rows - p * kRows), cols, x + p * kRows * cols,
               partial.data() + p * cols);
    }
  });
  axpby(cols, 0.0f, sum, beta, sum);
  add_rows(pieces, cols, partial.data(), sum);
}

void dropout(std::int64_t n, const float* x, const Dropout& dropout, float* y) {
  const auto run = HWY_DYNAMIC_DISPATCH(DropoutRun);
  parallel_for(n, kPiece, [&](std::int64_t first, std::int64_t last) {
    run(last - first, x + first, dropout, static_cast<std::uint64_t>(first), y + first);
  });
}

void axpby(std::int64_t n, float a, const float* x, float b, float* y) {
  const auto run = HWY_DYNAMIC_DISPATCH(AxpbyRun);
  parallel_for(n, kPiece, [&](std::int64_t first, std::int64_t last) {
    run(last - first, a, x + first, b, y + first);
  });
}

void add(std::int64_t n, const float* x, const float* y, float* out) {
  const auto run = HWY_DYNAMIC_DISPATCH(AddRun);
  parallel_for(n, kPiece, [&](std::int64_t first, std::int64_t last) {
    run(last - first, x + first, y + first, out + first);
  });
}

void multiply(std::int64_t n, const float* x, const float* y, float* out) {
  const auto run = HWY_DYNAMIC_DISPATCH(MultiplyRun);
  parallel_for(n, kPiece, [&](std::int64_t first, std::int64_t last) {
    run(last - first, x + first, y + first, out + first);
  });
}

std::int64_t first_non_finite(std::int64_t n, const float* x) {
  const auto find = HWY_DYNAMIC_DISPATCH(FirstNonFinite);
  if (n <= kPiece) return find(n, x);
  std::vector<std::int64_t> found(static_cast<std::size_t>((n + kPiece - 1) / kPiece), -1);
  parallel_for(n, kPiece, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t at = find(last - first, x + first);
    if (at >= 0) found[static_cast<std::size_t>(first / kPiece)] = first + at;
  });
  const auto bad =
      std::find_if(found.begin(), found.end(), [](std::int64_t at) { return at >= 0; });
  return bad == found.end() ? -1 : *bad;
}

}  // namespace qkv::kernels
#endif
