// Gradients of a tile of scores through its biases (general-bias-inl.h), and of the biases.
// Compiled once per instruction set; included from dispatched sources only.
//
// A gradient of exactly 0 stays 0 whatever the bias: hidden pairs have it, and may hold NaN.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_BIAS_GRADIENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_BIAS_GRADIENT_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_BIAS_GRADIENT_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_BIAS_GRADIENT_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include <hwy/highway.h>

#include "qkv/kernels/attention/general-bias-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Floats that the functions on biases may use at `patch`: a tile, or the diagonals of one, once a
/// lane and once more.
inline std::int64_t PatchFloats(std::int64_t width) {
  constexpr std::int64_t kLanes = HWY_MAX_BYTES / sizeof(float);
  return kKeyTile * width + (kLanes + 1) * (kKeyTile + width + 2 * kLanes);
}

/// Sums along the diagonals of a tile. A diagonal moves by one lane from key to key; there is a
/// line of sums for each shift, so that none is stored and read again at another alignment at once.
inline void DistanceGradients(const Bias& bias, const Tile& t, const GradientPlace& to,
                              std::int64_t head, float* patch, const float* dscores) {
  const F d;
  const std::int64_t lanes = Lanes(), diagonals = t.keys + t.width - 1;
  const std::int64_t length = (t.keys + t.width + lanes) / lanes * lanes;
  float* sums = patch;
  float* shifted = patch + length + lanes;
  std::fill_n(sums, length + lanes, 0.0f);
  std::fill_n(shifted, lanes * length, 0.0f);
  for (std::int64_t v = 0; v < t.width; v += lanes) {
    for (std::int64_t k = 0; k < t.keys; ++k) {
      const std::int64_t shift = (t.keys - 1 - k) % lanes, whole = t.keys - 1 - k - shift;
      float* at = shifted + shift * length + whole + v;
      hn::Store(hn::Add(hn::Load(d, at), hn::Load(d, dscores + k * t.width + v)), d, at);
    }
  }
  for (std::int64_t shift = 0; shift < lanes; ++shift) {
    for (std::int64_t x = 0; x < length; x += lanes) {
      float* at = sums + shift + x;
      hn::StoreU(hn::Add(hn::LoadU(d, at), hn::Load(d, shifted + shift * length + x)), d, at);
    }
  }
  const std::int64_t most = LargestDistance(bias, t);
  float* gradient = to.at + head * to.head_stride;
  for (std::int64_t x = 0; x < diagonals; ++x) {
    // A diagonal of idle columns only may reach a bucket that the segment does not.
    if (sums[x] != 0.0f) gradient[bias.bucket(most - x) - to.bucket] += sums[x];
  }
}

inline void TensorGradients(const Bias& bias, const Tile& t, const GradientPlace& to,
                            std::int64_t entry, const float* dscores) {
  const F d;
  float* gradient = to.at + entry * to.head_stride +
                    (t.first - t.segment->q_begin) * to.row_stride +
                    (t.key - t.segment->k_begin) * to.column_stride;
  if (bias.row_stride == 0) {
    for (std::int64_t k = 0; k < t.keys; ++k) {
      VF sum = hn::Zero(d);
      for (std::int64_t v = 0; v < t.width; v += Lanes()) {
        sum = hn::Add(sum, hn::Load(d, dscores + k * t.width + v));
      }
      gradient[k * to.column_stride] += hn::GetLane(hn::SumOfLanes(d, sum));
    }
    return;
  }
  for (std::int64_t r = 0; r < t.rows; ++r) {
    float* row = gradient + r * to.row_stride;
    for (std::int64_t k = 0; k < t.keys; ++k) {
      row[k * to.column_stride] += dscores[k * t.width + r];
    }
  }
}

inline void RowTableGradients(const Bias& bias, const Tile& t, float* gradient,
                              const float* dscores) {
  const std::int64_t distance = t.key - t.segment->k_begin - FirstPlace(bias, t) + bias.left;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    float* row = gradient + ((t.first + r) * t.heads + t.head) * bias.size;
    const float* ds = dscores + r;
    const std::int64_t first = distance - r;  // bucket of the first key, unclamped
    const std::int64_t low = std::clamp<std::int64_t>(-first, 0, t.keys);
    const std::int64_t high = std::clamp<std::int64_t>(bias.size - first, low, t.keys);
    for (std::int64_t k = 0; k < low; ++k) row[0] += ds[k * t.width];
    for (std::int64_t k = low; k < high; ++k) row[first + k] += ds[k * t.width];
    for (std::int64_t k = high; k < t.keys; ++k) row[bias.size - 1] += ds[k * t.width];
  }
}

inline void SoftCapSlopes(const Tile& t, const float* kept, float* dscores) {
  const F d;
  const VF one = hn::Set(d, 1.0f);
  for (std::int64_t i = 0; i < t.keys * t.width; i += Lanes()) {
    const VF tanh = hn::Load(d, kept + i), ds = hn::Load(d, dscores + i);
    const VF changed = hn::Mul(ds, hn::NegMulAdd(tanh, tanh, one));
    hn::Store(hn::IfThenZeroElse(hn::Eq(ds, hn::Zero(d)), changed), d, dscores + i);
  }
}

inline void FunctionSlopes(const Bias& bias, const Tile& t, const float* kept, float* dscores) {
  const std::int64_t place = FirstPlace(bias, t), key = t.key - t.segment->k_begin;
  EachVisible(t, [&](std::int64_t k, std::int64_t r) {
    float& ds = dscores[k * t.width + r];
    if (ds == 0.0f) return;
    ds *= static_cast<float>(bias.function->derivative(static_cast<double>(kept[k * t.width + r]),
                                                       {t.head, place + r, key + k}));
  });
}

/// All biases, the last first: dscores behind them -> before them. With `collect` their own
/// gradients are added to `places`; `first_head` is the first head of the task.
inline void BiasGradients(const AttendForm<float>& form, const Tile& t, std::int64_t first_head,
                          const GradientPlaces& places, bool collect, float* patch, KeptTiles kept,
                          float* dscores) {
  std::int64_t tile = KeptBiases(form);
  for (std::size_t n = form.biases.size(); n-- > 0;) {
    const Bias& bias = form.biases[n];
    const GradientPlace& to = places.biases[n];
    const bool wanted = collect && to.at;
    switch (bias.kind) {
      case Bias::Kind::soft_cap:
        SoftCapSlopes(t, kept.at + --tile * kept.stride, dscores);
        break;
      case Bias::Kind::distance:
        if (wanted) DistanceGradients(bias, t, to, t.head - first_head, patch, dscores);
        break;
      case Bias::Kind::tensor:
        if (wanted) {
          const std::int64_t entry = t.head / bias.group - first_head / bias.group;
          TensorGradients(bias, t, to, entry, dscores);
        }
        break;
      case Bias::Kind::row_table:
        if (wanted) RowTableGradients(bias, t, to.at, dscores);
        break;
      case Bias::Kind::function:
        FunctionSlopes(bias, t, kept.at + --tile * kept.stride, dscores);
        break;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
