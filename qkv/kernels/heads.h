// What attention heads do to their queries and keys: rows scaled to one length, rotated by their
// position, or kept within bounds.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// Which scale a row is brought to, without its mean being taken off.
enum class RowScale : std::uint8_t {
  unit,  ///< r = 1 / max(‖x‖, eps); 0 for a row of zeros
  rms,   ///< r = 1 / √(mean x² + eps)  (Zhang & Sennrich 2019)
};

/// out = x · r · gamma per row. The squares are summed in double where float would overflow or
/// underflow.
template <class T>
struct RowScaleForward {
  RowScale scale;
  std::int64_t rows, cols;
  const T* x;      // [rows cols]
  const T* gamma;  // [cols] or null for ones
  double eps;
  T* out;      // [rows cols]; may alias x
  T* inverse;  // [rows]: r
};

/// With g = dout·gamma and x̂ = x·r:  dx = r·(g − x̂·Σ g·x̂ / n), n = cols for rms, 1 for unit; where
/// unit divided by eps the second term is missing. dgamma (or null) is *added to*, in a fixed
/// order.
template <class T>
struct RowScaleBackward {
  RowScale scale;
  std::int64_t rows, cols;
  const T* x;
  const T* gamma;  // or null
  double eps;
  const T* inverse;
  const T* dout;
  T* dx;      // [rows cols]; may alias dout
  T* dgamma;  // [cols] or null
};

/// Rotation of pairs by the angle of the row (Su et al. 2021), the same for all heads of a row:
///   (a, b) ← (a·cos − b·sin, b·cos + a·sin)
/// Pair i of a head is (i, i + pairs), or (2i, 2i + 1) when interleaved; what lies behind the pairs
/// is copied.
template <class T>
struct Rotation {
  std::int64_t rows, heads, dim, pairs;
  const T* x;    // [rows heads dim]
  const T* cos;  // [rows pairs]
  const T* sin;  // [rows pairs]
  bool interleaved;
  bool back;  // by the negative angles: the gradient of the rotation, and its inverse
  T* out;     // [rows heads dim]; not x
};

namespace definition {

template <class T>
void row_scale(const RowScaleForward<T>& a);
template <class T>
void row_scale_backward(const RowScaleBackward<T>& a);
template <class T>
void rotate(const Rotation<T>& a);
/// y = min(max(x, low), high); NaN stays. y may alias x.
template <class T>
void clamp(std::int64_t n, const T* x, T low, T high, T* y);
/// dx = dy where low ≤ x ≤ high or x is NaN, else 0. dx may alias dy.
template <class T>
void clamp_backward(std::int64_t n, const T* x, T low, T high, const T* dy, T* dx);

}  // namespace definition

void row_scale(const RowScaleForward<float>& a);
void row_scale_backward(const RowScaleBackward<float>& a);
void rotate(const Rotation<float>& a);
void clamp(std::int64_t n, const float* x, float low, float high, float* y);
void clamp_backward(std::int64_t n, const float* x, float low, float high, const float* dy,
                    float* dx);

}  // namespace qkv::kernels
