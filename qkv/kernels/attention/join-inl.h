// Softmax rows on their way to a result: older sums shrink when a base moves, sums over successive
// chunks of keys are joined in order, and in the end they are divided. Compiled once per
// instruction set; included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_JOIN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_JOIN_INL_H_
#undef QKV_KERNELS_ATTENTION_JOIN_INL_H_
#else
#define QKV_KERNELS_ATTENTION_JOIN_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/attention/weights-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Rows of `out` times factor[row], where that is not 1.
inline void Rescale(std::int64_t rows, std::int64_t padded, const float* factor, float* out) {
  const F d;
  for (std::int64_t r = 0; r < rows; ++r) {
    if (factor[r] == 1.0f) continue;
    const VF f = hn::Set(d, factor[r]);
    for (std::int64_t e = 0; e < padded; e += Lanes()) {
      float* at = out + r * padded + e;
      hn::Store(hn::Mul(f, hn::Load(d, at)), d, at);
    }
  }
}

/// The sums `part` joins `total`; both are scaled to the larger base.
inline void Merge(std::int64_t rows, std::int64_t width, std::int64_t padded,
                  const SoftmaxRows& part, const float* part_out, SoftmaxRows& total, float* out) {
  const F d;
  alignas(64) float keep[RowCover::kTallest], add[RowCover::kTallest];
  for (std::int64_t v = 0; v < width; v += Lanes()) {
    const VF a = hn::Load(d, total.base + v), b = hn::Load(d, part.base + v);
    const VF base = hn::Max(a, b);
    const VF from = hn::IfThenElse(
        hn::Eq(base, hn::Set(d, -std::numeric_limits<float>::infinity())), hn::Zero(d), base);
    const VF fa = Exp2(hn::Sub(a, from)), fb = Exp2(hn::Sub(b, from));
    const VF kept = hn::Mul(hn::Load(d, total.sum + v), fa);
    hn::Store(hn::MulAdd(hn::Load(d, part.sum + v), fb, kept), d, total.sum + v);
    hn::Store(base, d, total.base + v);
    hn::Store(fa, d, keep + v);
    hn::Store(fb, d, add + v);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const VF fa = hn::Set(d, keep[r]), fb = hn::Set(d, add[r]);
    for (std::int64_t e = r * padded; e < (r + 1) * padded; e += Lanes()) {
      hn::Store(hn::MulAdd(hn::Load(d, part_out + e), fb, hn::Mul(hn::Load(d, out + e), fa)), d,
                out + e);
    }
  }
}

/// What one chunk of keys leaves when it is a task of its own, share_size() floats: [rows padded]
/// sums, then base and sum of each row and whether any row saw a key.
struct Share {
  /// False when a value that is not finite is among the sums.
  static bool leave(std::int64_t rows, std::int64_t width, std::int64_t padded, bool begun,
                    SoftmaxRows& state, float* out, float* share) {
    const std::int64_t sums = rows * padded;
    if (!begun) {
      state.clear(rows, width);
      std::fill_n(out, sums, 0.0f);
    }
    const bool finite = Unpack(sums, out, 1.0f, share);
    std::copy_n(state.base, kTallestTile, share + sums);
    std::copy_n(state.sum, kTallestTile, share + sums + kTallestTile);
    share[sums + 2 * kTallestTile] = begun ? 1.0f : 0.0f;
    return finite;
  }

  /// Joins `count` shares that lie `stride` apart; where the sums are, or null if no row saw a key.
  static float* join(std::int64_t rows, std::int64_t width, std::int64_t padded, std::int64_t count,
                     std::int64_t stride, float* first, SoftmaxRows& total) {
    const std::int64_t sums = rows * padded;
    SoftmaxRows part;
    float* out = nullptr;
    for (std::int64_t c = 0; c < count; ++c) {
      float* from = first + c * stride;
      if (from[sums + 2 * kTallestTile] == 0.0f) continue;
      SoftmaxRows& state = out ? part : total;
      std::copy_n(from + sums, kTallestTile, state.base);
      std::copy_n(from + sums + kTallestTile, kTallestTile, state.sum);
      if (out) {
        Merge(rows, width, padded, part, from, total, out);
      } else {
        out = from;
      }
    }
    return out;
  }
};

/// Log-sum-exps into `base` and what sums are to be multiplied with into `factor`.
inline void FinishRows(std::int64_t width, SoftmaxRows& state) {
  const F d;
  const VF none = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t v = 0; v < width; v += Lanes()) {
    const VF sum = hn::Load(d, state.sum + v);
    const auto empty = hn::Eq(sum, hn::Zero(d));
    const VF lse = hn::MulAdd(state.finite_base(v), hn::Set(d, kLn2), hn::Log(d, sum));
    hn::Store(hn::IfThenElse(empty, none, lse), d, state.base + v);
    hn::Store(hn::IfThenElse(empty, hn::Zero(d), hn::Div(hn::Set(d, 1.0f), sum)), d,
              state.factor + v);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
