// What changes the scores of a tile behind the product, and back: the biases of form.h in their
// order, and the mask. Compiled once per instruction set; included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_BIAS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_BIAS_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_BIAS_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_BIAS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include <hwy/highway.h>

#include "qkv/kernels/attention/general-tile-inl.h"
#include "qkv/kernels/attention/general.h"
#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

using Bias = BiasTerm<float>;

/// Biases that need what they saw again in the backward pass: each keeps a tile of numbers.
inline std::int64_t KeptBiases(const AttendForm<float>& form) {
  return std::count_if(form.biases.begin(), form.biases.end(), [](const Bias& b) {
    return b.kind == Bias::Kind::soft_cap || b.kind == Bias::Kind::function;
  });
}

/// Where the kept numbers of a tile go: those of the n-th such bias at `at` + n·stride; null in a
/// forward pass.
struct KeptTiles {
  float* at = nullptr;
  std::int64_t stride = 0;
};

/// Place of the tile's first row, as `bias` counts places.
inline std::int64_t FirstPlace(const Bias& bias, const Tile& t) {
  const AttendPlan::Segment& s = *t.segment;
  const std::int64_t corner = bias.top_left ? 0 : (s.k_end - s.k_begin) - (s.q_end - s.q_begin);
  return t.first - s.q_begin + corner;
}

/// Distance of the tile's last key from its first row. A key and a row whose numbers in the tile
/// differ by as much stand on one diagonal: key k, row r on diagonal keys − 1 − k + r.
inline std::int64_t LargestDistance(const Bias& bias, const Tile& t) {
  return t.key + t.keys - 1 - t.segment->k_begin - FirstPlace(bias, t);
}

// ---- forward ----

inline void AddDistances(const Bias& bias, const Tile& t, float* line, float* scores) {
  const F d;
  const std::int64_t most = LargestDistance(bias, t), diagonals = t.keys + t.width - 1;
  const float* values = bias.values + t.head * bias.head_stride;
  for (std::int64_t x = 0; x < diagonals; ++x) line[x] = values[bias.bucket(most - x)];
  for (std::int64_t v = 0; v < t.width; v += Lanes()) {
    for (std::int64_t k = 0; k < t.keys; ++k) {
      float* s = scores + k * t.width + v;
      hn::Store(hn::Add(hn::Load(d, s), hn::LoadU(d, line + t.keys - 1 - k + v)), d, s);
    }
  }
}

/// scores[key][row] += patch[key·key_stride + row].
inline void AddPatch(const Tile& t, const float* patch, std::int64_t key_stride, float* scores) {
  const F d;
  for (std::int64_t k = 0; k < t.keys; ++k) {
    for (std::int64_t v = 0; v < t.width; v += Lanes()) {
      float* s = scores + k * t.width + v;
      hn::Store(hn::Add(hn::Load(d, s), hn::Load(d, patch + k * key_stride + v)), d, s);
    }
  }
}

/// Element (first row, first key) of a tensor of values or gradients.
inline std::int64_t TensorOffset(const Bias& bias, const Tile& t) {
  const std::int64_t row = bias.packed ? t.first : t.first - t.segment->q_begin;
  const std::int64_t key = bias.packed ? t.key : t.key - t.segment->k_begin;
  return t.head / bias.group * bias.head_stride + row * bias.row_stride + key * bias.key_stride;
}

inline void AddTensor(const Bias& bias, const Tile& t, float* patch, float* scores) {
  const F d;
  const float* from = bias.values + TensorOffset(bias, t);
  if (bias.row_stride == 0) {  // a number a key
    for (std::int64_t k = 0; k < t.keys; ++k) {
      const VF value = hn::Set(d, from[k * bias.key_stride]);
      for (std::int64_t v = 0; v < t.width; v += Lanes()) {
        float* s = scores + k * t.width + v;
        hn::Store(hn::Add(hn::Load(d, s), value), d, s);
      }
    }
    return;
  }
  if (bias.key_stride == 1) {
    PackTransposed(t.rows, t.keys, from, bias.row_stride, 1.0f, patch, t.width);
    return AddPatch(t, patch, t.width, scores);
  }
  const std::int64_t keys = bias.key_stride == 0 ? 1 : t.keys;
  for (std::int64_t k = 0; k < keys; ++k) {
    float* to = patch + k * t.width;
    for (std::int64_t r = 0; r < t.rows; ++r) {
      to[r] = from[r * bias.row_stride + k * bias.key_stride];
    }
    std::fill(to + t.rows, to + t.width, 0.0f);
  }
  AddPatch(t, patch, bias.key_stride == 0 ? 0 : t.width, scores);
}

inline void AddRowTable(const Bias& bias, const Tile& t, float* patch, float* scores) {
  const std::int64_t row_stride = t.heads * bias.size;
  const float* values = bias.values + (t.first * t.heads + t.head) * bias.size;
  // Unclamped bucket of the first key and the last row: the smallest.
  const std::int64_t distance = t.key - t.segment->k_begin - FirstPlace(bias, t);
  const std::int64_t smallest = distance - (t.rows - 1) + bias.left;
  if (smallest >= 0 && distance + t.keys - 1 + bias.left < bias.size) {
    // From row to row the same key moves down one bucket.
    PackTransposed(t.rows, t.keys, values + distance + bias.left, row_stride - 1, 1.0f, patch,
                   t.width);
  } else {
    for (std::int64_t k = 0; k < t.keys; ++k) {
      float* to = patch + k * t.width;
      for (std::int64_t r = 0; r < t.rows; ++r) {
        to[r] = values[r * row_stride + bias.bucket(distance + k - r)];
      }
      std::fill(to + t.rows, to + t.width, 0.0f);
    }
  }
  AddPatch(t, patch, t.width, scores);
}

/// Keeps tanh, from which the slope follows.
inline void SoftCapScores(float cap, const Tile& t, float* kept, float* scores) {
  const F d;
  const VF factor = hn::Set(d, cap), inverse = hn::Set(d, 1.0f / cap);
  for (std::int64_t i = 0; i < t.keys * t.width; i += Lanes()) {
    const VF tanh = Tanh(d, hn::Mul(hn::Load(d, scores + i), inverse));
    if (kept) hn::Store(tanh, d, kept + i);
    hn::Store(hn::Mul(factor, tanh), d, scores + i);
  }
}

/// Keeps the scores that the function saw.
inline void ChangeScores(const Bias& bias, const Tile& t, float* kept, float* scores) {
  if (kept) std::copy_n(scores, t.keys * t.width, kept);
  const std::int64_t place = FirstPlace(bias, t), key = t.key - t.segment->k_begin;
  EachVisible(t, [&](std::int64_t k, std::int64_t r) {
    float& s = scores[k * t.width + r];
    s = static_cast<float>(
        bias.function->value(static_cast<double>(s), {t.head, place + r, key + k}));
  });
}

/// All biases, in order.
inline void ApplyBiases(const AttendForm<float>& form, const Tile& t, float* patch, KeptTiles kept,
                        float* scores) {
  for (const Bias& bias : form.biases) {
    switch (bias.kind) {
      case Bias::Kind::soft_cap:
        SoftCapScores(static_cast<float>(bias.cap), t, kept.at, scores);
        break;
      case Bias::Kind::distance:
        AddDistances(bias, t, patch, scores);
        break;
      case Bias::Kind::tensor:
        AddTensor(bias, t, patch, scores);
        break;
      case Bias::Kind::row_table:
        AddRowTable(bias, t, patch, scores);
        break;
      case Bias::Kind::function:
        ChangeScores(bias, t, kept.at, scores);
        break;
    }
    const bool keeps = bias.kind == Bias::Kind::soft_cap || bias.kind == Bias::Kind::function;
    if (keeps && kept.at) kept.at += kept.stride;
  }
}

/// −inf where a row does not see a key, and in idle columns.
inline void Hide(const Tile& t, float* scores) {
  const F d;
  const VF hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t v = 0; v < t.width; v += Lanes()) {
    if (!t.cover && v + Lanes() <= t.rows) continue;
    const auto idle = hn::FirstN(d, static_cast<std::size_t>(t.rows - v));
    for (std::int64_t k = 0; k < t.keys; ++k) {
      float* s = scores + k * t.width + v;
      const auto seen = t.cover ? t.cover->visible(k, v) : idle;
      hn::Store(hn::IfThenElse(seen, hn::Load(d, s), hidden), d, s);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
