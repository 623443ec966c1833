// Convolution over pictures in a packed batch (cross-correlation, as everywhere in deep learning):
// every place of the output gathers the pixels of its window and multiplies. Zeros outside of each
// picture, never its neighbour in the batch. The fast form gathers tiles of places for the product
// kernels; a place's bits depend on its own picture alone, and the number of threads changes none.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/base/grid.h"

namespace qkv::kernels {

/// A picture and the places over it: pixels from row `in` of x on, places from row `out` of y on.
struct ConvolvedGrid {
  Grid grid, places;
  std::int64_t in = 0, out = 0;
};

/// Channels come in `groups` of their own: I = in/groups, O = out/groups.
struct Convolve {
  std::span<const ConvolvedGrid> grids;
  PixelWindow window;
  std::int64_t in = 0, out = 0, groups = 1;

  std::int64_t group_in() const { return in / groups; }
  std::int64_t group_out() const { return out / groups; }
  /// What a place multiplies, in a group.
  std::int64_t fan_in() const { return window.count() * group_in(); }
};

namespace definition {

/// x [pixels in], weight [window.rows window.cols I out], bias [out] or null -> y [places out]
template <class T>
void convolve(const Convolve& a, const T* x, const T* weight, const T* bias, T* y);
/// dx += what dy says of the pixels; transposed [out window.rows window.cols I]
template <class T>
void convolve_input(const Convolve& a, const T* dy, const T* transposed, T* dx);
/// dweight += what dy says of the weight, in the order of the places
template <class T>
void convolve_weight(const Convolve& a, const T* x, const T* dy, T* dweight);

}  // namespace definition

void convolve(const Convolve& a, const float* x, const float* weight, const float* bias, float* y);
void convolve_input(const Convolve& a, const float* dy, const float* transposed, float* dx);
void convolve_weight(const Convolve& a, const float* x, const float* dy, float* dweight);

}  // namespace qkv::kernels
