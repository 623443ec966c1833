// Normalisers: from the visible scores of a row to its weights. Softmax, SoftmaxSink, Relu, Sigmoid
// and KernelSum are computed tile by tile; the others need a row's scores at once and hold those of
// a few rows at a time.
#pragma once

#include <variant>

#include "qkv/kernels/attention/form.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// P = exp S / Σ exp S.
struct Softmax {};

/// P = exp S / (exp sink_h + Σ exp S): a row may attend to nothing. Undefined: sink 0, "softmax off
/// by one".
struct SoftmaxSink {
  Tensor sink;  // [H], learnable
};

/// P = max(S, 0), divided by the number of visible keys when `mean`; rows do not sum to 1.
struct Relu {
  bool mean = false;
};

/// P = 1 / (1 + exp(−S − shift)); shift −log n keeps the sum near 1 for n keys.
struct Sigmoid {
  double shift = 0.0;
};

/// P = κ(u) / Σ κ(u) with u = √(−2 S), the distance of Gaussian{} (Nadaraya–Watson): keys beyond
/// distance 1 have no weight, a row without near keys gives zeros.
struct KernelSum {
  using Window = kernels::WindowShape;
  Window window = Window::epanechnikov;
};

/// The nearest point of the simplex (Martins & Astudillo 2016): many weights are exactly 0.
struct Sparsemax {};

/// Between softmax (α = 1) and sparsemax (α = 2), both excluded (Peters et al. 2019).
struct Entmax {
  double alpha = 1.5;
};

/// All weight on the first of the largest scores; no gradient reaches q and k.
struct Hard {};

/// A normaliser of one's own over the visible scores of a row.
using RowNormaliser = kernels::RowFunctions;

using Normaliser = std::variant<Softmax, SoftmaxSink, Relu, Sigmoid, KernelSum, Sparsemax, Entmax,
                                Hard, RowNormaliser>;

}  // namespace qkv
