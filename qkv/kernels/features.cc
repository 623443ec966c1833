#include "qkv/kernels/features.h"

#include <cmath>
#include <vector>

#include "qkv/base/parallel.h"

namespace qkv::kernels {
namespace {

constexpr std::int64_t kRows = 64;  // a piece: long enough to pay for handing it out

/// x' of row t, head h, into `to`.
template <class T>
void shifted(const DistanceSide<T>& a, std::int64_t t, std::int64_t h, T* to) {
  const T* x = a.x + (t * a.heads + h) * a.dim;
  const std::int64_t from = a.references[t];
  const T* base =
      from < 0 ? nullptr : a.reference + (from * (a.heads / a.group) + h / a.group) * a.dim;
  // A reference that is not finite (a key that a mask hides) must not spoil the others.
  for (std::int64_t d = 0; d < a.dim; ++d) {
    to[d] = base && std::isfinite(base[d]) ? x[d] - base[d] : x[d];
  }
}

}  // namespace

template <class T>
void scale_features(const ScaleFeatures<T>& a, T* y) {
  parallel_for(a.rows, kRows, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first * a.heads; r < last * a.heads; ++r) {
      const T* w = a.w + r % a.heads * a.head_stride;
      for (std::int64_t d = 0; d < a.dim; ++d)
        y[r * a.dim + d] = a.x[r * a.dim + d] * w[d * a.dim_stride];
    }
  });
}

template <class T>
void scale_features_backward(const ScaleFeatures<T>& a, const T* dy, T* dx, T* dw) {
  if (dx) scale_features<T>({a.rows, a.heads, a.dim, a.head_stride, a.dim_stride, dy, a.w}, dx);
  if (!dw) return;
  std::vector<double> sums(static_cast<std::size_t>(a.heads * a.dim), 0.0);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t c = 0; c < a.heads * a.dim; ++c) {
      const std::int64_t at = r * a.heads * a.dim + c;
      sums[static_cast<std::size_t>(c)] +=
          static_cast<double>(dy[at]) * static_cast<double>(a.x[at]);
    }
  }
  for (std::int64_t h = 0; h < a.heads; ++h) {
    for (std::int64_t d = 0; d < a.dim; ++d) {
      dw[h * a.head_stride + d * a.dim_stride] +=
          static_cast<T>(sums[static_cast<std::size_t>(h * a.dim + d)]);
    }
  }
}

template <class T>
void distance_side(const DistanceSide<T>& a, T* y) {
  parallel_for(a.rows, kRows, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      for (std::int64_t h = 0; h < a.heads; ++h) {
        T* to = y + (t * a.heads + h) * (a.dim + 2);
        shifted(a, t, h, to);
        T square = 0;
        for (std::int64_t d = 0; d < a.dim; ++d) square += to[d] * to[d];
        to[a.dim + (a.query ? 0 : 1)] = T(-0.5) * square;
        to[a.dim + (a.query ? 1 : 0)] = 1;
      }
    }
  });
}

template <class T>
void distance_side_backward(const DistanceSide<T>& a, const T* dy, T* dx) {
  parallel_for(a.rows, kRows, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      for (std::int64_t h = 0; h < a.heads; ++h) {
        T* to = dx + (t * a.heads + h) * a.dim;
        const T* from = dy + (t * a.heads + h) * (a.dim + 2);
        const T dsquare = from[a.dim + (a.query ? 0 : 1)];
        shifted(a, t, h, to);
        for (std::int64_t d = 0; d < a.dim; ++d) to[d] = from[d] - dsquare * to[d];
      }
    }
  });
}

template void scale_features(const ScaleFeatures<float>&, float*);
template void scale_features(const ScaleFeatures<double>&, double*);
template void scale_features_backward(const ScaleFeatures<float>&, const float*, float*, float*);
template void scale_features_backward(const ScaleFeatures<double>&, const double*, double*,
                                      double*);
template void distance_side(const DistanceSide<float>&, float*);
template void distance_side(const DistanceSide<double>&, double*);
template void distance_side_backward(const DistanceSide<float>&, const float*, float*);
template void distance_side_backward(const DistanceSide<double>&, const double*, double*);

}  // namespace qkv::kernels
