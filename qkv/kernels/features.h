// Loops that prepare the features of attention: gathering, scaling and the augmented sides of a
// squared distance. Rows in parallel; sums in a fixed order.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// x [rows heads dim] times w[h·head_stride + d·dim_stride] (stride 0: broadcast) -> y.
template <class T>
struct ScaleFeatures {
  std::int64_t rows, heads, dim, head_stride, dim_stride;
  const T* x;
  const T* w;
};
template <class T>
void scale_features(const ScaleFeatures<T>& a, T* y);
/// dx = dy·w (written), dw += Σ dy·x; either may be null.
template <class T>
void scale_features_backward(const ScaleFeatures<T>& a, const T* dy, T* dx, T* dw);

/// One side of −½‖q − k‖² as a product: with x' = x − reference,
///   queries [x', −½‖x'‖², 1], keys [x', 1, −½‖x'‖²].
/// Row t of head h takes the reference row references[t] (−1: zeros) of head h / group of
/// `reference` [… heads/group dim].
template <class T>
struct DistanceSide {
  std::int64_t rows, heads, dim;
  const T* x;
  const T* reference;
  const std::int64_t* references;
  std::int64_t group;
  bool query;
};
/// -> y [rows heads dim + 2]
template <class T>
void distance_side(const DistanceSide<T>& a, T* y);
/// The reference is a constant: what it adds to both sides cancels. -> dx [rows heads dim]
template <class T>
void distance_side_backward(const DistanceSide<T>& a, const T* dy, T* dx);

}  // namespace qkv::kernels
