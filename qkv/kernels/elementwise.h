// Element-wise loops. Each has a `definition::` template (short, for float and double) and a fast
// float form with the same meaning; the fast one must equal it to rounding for every size and
// alignment. All work in parallel over fixed pieces: same bits for any thread count.
#pragma once

#include <cstdint>

#include "qkv/base/random.h"
#include "qkv/kernels/activation.h"

namespace qkv::kernels {

namespace definition {

/// y = dropout(activation(z + bias)), z and y [rows cols], bias [cols] or null; y may alias z.
/// Dropout draws element r·cols + c.
template <class T>
void bias_activation(std::int64_t rows, std::int64_t cols, const T* z, const T* bias,
                     Activation activation, const Dropout& dropout, T* y);

/// From dy to the gradient of (z + bias): dz = dy · dropout factor · activation'(z + bias). dz may
/// alias dy. For relu and none the forward output y is enough (z, bias may be null); the smooth
/// ones need z and bias (y may be null).
template <class T>
void bias_activation_backward(std::int64_t rows, std::int64_t cols, const T* z, const T* bias,
                              const T* y, Activation activation, const Dropout& dropout,
                              const T* dy, T* dz);

/// sum[c] = beta·sum[c] + Σ_r x[r c], in a fixed order.
template <class T>
void column_sums(std::int64_t rows, std::int64_t cols, const T* x, T beta, T* sum);

/// y = dropout(x), element i draws index i; y may alias x. The same function is its own backward.
template <class T>
void dropout(std::int64_t n, const T* x, const Dropout& dropout, T* y);

/// y = a·x + b·y
template <class T>
void axpby(std::int64_t n, T a, const T* x, T b, T* y);

/// out = x + y; out = x ⊙ y. out may alias either.
template <class T>
void add(std::int64_t n, const T* x, const T* y, T* out);
template <class T>
void multiply(std::int64_t n, const T* x, const T* y, T* out);

}  // namespace definition

void bias_activation(std::int64_t rows, std::int64_t cols, const float* z, const float* bias,
                     Activation activation, const Dropout& dropout, float* y);
void bias_activation_backward(std::int64_t rows, std::int64_t cols, const float* z,
                              const float* bias, const float* y, Activation activation,
                              const Dropout& dropout, const float* dy, float* dz);
void column_sums(std::int64_t rows, std::int64_t cols, const float* x, float beta, float* sum);
void dropout(std::int64_t n, const float* x, const Dropout& dropout, float* y);
void axpby(std::int64_t n, float a, const float* x, float b, float* y);
void add(std::int64_t n, const float* x, const float* y, float* out);
void multiply(std::int64_t n, const float* x, const float* y, float* out);

/// Index of the first NaN or infinity, or -1.
std::int64_t first_non_finite(std::int64_t n, const float* x);

}  // namespace qkv::kernels
