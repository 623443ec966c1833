// Convolution of packed pictures and packed sequences, 2-D and 1-D: gathered pixels times a matrix.
// Nothing of the gathered size (K² times the input) is held, only tiles of it.
#pragma once

#include <cstdint>

#include "qkv/tensor/grids.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// x [T I] on `grids`, kernel [Kh Kw I/groups O] with the window's rows and columns, or [K I/groups
/// O] in time, for a window of one row; bias [O] or undefined -> [T' O] on grids.over(window).
///   y[place, o] = bias[o] + Σ kernel[i, j, c, o] · x[place · stride − pad + (i, j), c]
/// (cross-correlation), zeros outside of each picture. Output o reads the channels of group
/// o / (O/groups). A picture gets the same bits whatever stands beside it.
Tensor convolve(const Tensor& x, const Grids& grids, const Tensor& kernel, const Tensor& bias,
                const PixelWindow& window, std::int64_t groups = 1);

}  // namespace qkv
