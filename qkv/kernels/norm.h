// Residual + dropout + layer normalisation in one pass (Ba et al. 2016; post-norm of Vaswani 2017).
#pragma once

#include <cstdint>

#include "qkv/base/random.h"

namespace qkv::kernels {

/// s = residual + dropout(x); out = (s − mean) · rstd · gamma + beta per row, rstd = 1/√(var +
/// eps). Row count T, width C. Statistics are accumulated in double for double, in float pairwise
/// for float.
template <class T>
struct NormForward {
  std::int64_t rows, cols;
  const T* x;                   // [rows cols]
  const T* bias = nullptr;      // [cols], added to x before dropout, or null
  const T* residual = nullptr;  // [rows cols] or null
  Dropout dropout;              // element r·cols + c
  const T* gamma;               // [cols] or null for ones
  const T* beta;                // [cols] or null for zeros
  double eps;
  T* sum;   // [rows cols]: s; may alias x or residual; null when it is not wanted
  T* out;   // [rows cols]; may alias x
  T* mean;  // [rows] or null
  T* rstd;  // [rows] or null
};

/// ds from dout, with the saved s, mean and rstd:
///   g = dout·gamma, x̂ = (s − mean)·rstd, ds = rstd·(g − mean_c(g) − x̂·mean_c(g·x̂))
/// plus `dsum`, a gradient that reaches s directly (pre-norm residual), or null.
/// dresidual = ds; dx = dropout(ds). dgamma, dbeta, dbias (= column sums of dx) are *added to*, in
/// a fixed order; null when not wanted.
template <class T>
struct NormBackward {
  std::int64_t rows, cols;
  const T* sum;
  const T* mean;
  const T* rstd;
  const T* gamma;  // or null
  const T* dout;
  const T* dsum = nullptr;
  Dropout dropout;
  T* dresidual = nullptr;  // [rows cols]: written; may alias dout or dsum
  T* dx = nullptr;         // [rows cols]: written; may equal dresidual when dropout is inactive
  T* dgamma = nullptr;
  T* dbeta = nullptr;
  T* dbias = nullptr;
};

namespace definition {
template <class T>
void layer_norm(const NormForward<T>& a);
template <class T>
void layer_norm_backward(const NormBackward<T>& a);
}  // namespace definition

void layer_norm(const NormForward<float>& a);
void layer_norm_backward(const NormBackward<float>& a);

}  // namespace qkv::kernels
