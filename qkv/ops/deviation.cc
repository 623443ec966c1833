#include "qkv/ops/deviation.h"

#include <cmath>

#include "qkv/base/parallel.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

constexpr std::int64_t kPiece = 1 << 14;  // numbers: enough to pay for handing them out

}  // namespace

Tensor deviations(const Tensor& y, const Tensor& target, double eps) {
  check_types("deviations", y, {&target});
  if (y.shape() != target.shape()) {
    fail<ShapeError>("deviations: y {} from target {}", to_string(y.shape()),
                     to_string(target.shape()));
  }
  Tensor out = Tensor::empty(y.shape(), y.dtype());
  dispatch(y, [&](auto zero) {
    using T = decltype(zero);
    const T *a = y.data<T>(), *b = target.data<T>();
    T* to = out.data<T>();
    parallel_for(y.count(), kPiece, [&](std::int64_t i, std::int64_t end) {
      for (; i < end; ++i) to[i] = std::sqrt((a[i] - b[i]) * (a[i] - b[i]) + static_cast<T>(eps));
    });
  });
  const Tensor kept = out.reshaped(out.shape());
  record(out, {&y}, [y, target, kept](const Tensor& dout) {
    Tensor dy = Tensor::empty(y.shape(), y.dtype());
    dispatch(y, [&](auto zero) {
      using T = decltype(zero);
      const T *a = y.data<T>(), *b = target.data<T>(), *d = kept.data<T>(), *g = dout.data<T>();
      T* to = dy.data<T>();
      parallel_for(y.count(), kPiece, [&](std::int64_t i, std::int64_t end) {
        for (; i < end; ++i) to[i] = d[i] > 0 ? g[i] * ((a[i] - b[i]) / d[i]) : T(0);
      });
    });
    accumulate(y, std::move(dy));
  });
  return out;
}

}  // namespace qkv
