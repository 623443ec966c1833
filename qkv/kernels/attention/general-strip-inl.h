// Normalisers that need all scores of a row at once: a strip [keys][width] of the scores of few
// rows. A user's own goes row by row through normalise.h. Compiled once per instruction set;
// included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_STRIP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_STRIP_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_STRIP_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_STRIP_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <hwy/highway.h>

#include "qkv/kernels/attention/general-threshold-inl.h"
#include "qkv/kernels/attention/normalise.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// What row r of the tile sees of a strip, as a list.
inline void GatherRow(const Tile& t, const Strip& strip, std::int64_t r, const float* from,
                      std::vector<float>& to) {
  to.clear();
  const auto row = static_cast<std::size_t>(t.first + r);
  for (std::int64_t x = t.plan->row_offsets[row]; x < t.plan->row_offsets[row + 1]; ++x) {
    const Interval& seen = t.plan->intervals[static_cast<std::size_t>(x)];
    for (std::int64_t j = seen.begin; j < seen.end; ++j) {
      to.push_back(from[(j - strip.begin) * strip.width + r]);
    }
  }
}

/// The way back; zeros for what the row does not see.
inline void ScatterRow(const Tile& t, const Strip& strip, std::int64_t r,
                       const std::vector<float>& from, float* to) {
  for (std::int64_t k = 0; k < strip.keys; ++k) to[k * strip.width + r] = 0.0f;
  const auto row = static_cast<std::size_t>(t.first + r);
  const float* next = from.data();
  for (std::int64_t x = t.plan->row_offsets[row]; x < t.plan->row_offsets[row + 1]; ++x) {
    const Interval& seen = t.plan->intervals[static_cast<std::size_t>(x)];
    for (std::int64_t j = seen.begin; j < seen.end; ++j) {
      to[(j - strip.begin) * strip.width + r] = *next++;
    }
  }
}

/// Zeros in columns that are no rows.
inline void ClearIdle(const Tile& t, const Strip& strip, float* x) {
  for (std::int64_t k = 0; k < strip.keys && t.rows < t.width; ++k) {
    std::fill(x + k * strip.width + t.rows, x + (k + 1) * strip.width, 0.0f);
  }
}

inline void OwnWeights(const Norm& norm, const Tile& t, const Strip& strip, float* scores,
                       float* statistic) {
  std::vector<float> s, p;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    GatherRow(t, strip, r, scores, s);
    p.resize(s.size());
    statistic[r] = normalise<float>(norm, t.head, s, p).statistic;
    ScatterRow(t, strip, r, p, scores);
  }
  ClearIdle(t, strip, scores);
}

inline void OwnSlopes(const Norm& norm, const Tile& t, const Strip& strip, float* scores,
                      float* products) {
  std::vector<float> s, p, dp, ds;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    GatherRow(t, strip, r, scores, s);
    GatherRow(t, strip, r, products, dp);
    p.resize(s.size());
    ds.resize(s.size());
    const RowResult<float> result = normalise<float>(norm, t.head, s, p);
    normalise_backward<float>(norm, t.head, s, p, result, dp, 0.0f, 0.0f, ds);
    ScatterRow(t, strip, r, p, scores);
    ScatterRow(t, strip, r, ds, products);
  }
  ClearIdle(t, strip, scores);
  ClearIdle(t, strip, products);
}

/// Scores -> weights; ends[r] for the rows.
inline void NormaliseStrip(const Norm& norm, const Tile& t, const Strip& strip, float* scores,
                           RowEnd* ends) {
  alignas(64) float statistic[RowCover::kTallest];
  if (norm.kind == Norm::Kind::row) {
    OwnWeights(norm, t, strip, scores, statistic);
  } else if (norm.kind == Norm::Kind::hard) {
    HardWeights(strip, scores, statistic);
  } else {
    WithPower(norm, [&](const auto& power) { ThresholdWeights(strip, power, scores, statistic); });
  }
  for (std::int64_t r = 0; r < t.rows; ++r) {
    const float bad = std::isnan(statistic[r]) ? statistic[r] : 0.0f;
    ends[r] = {1.0f, statistic[r], bad};
    if (VisibleKeys(*t.plan, t.first + r) == 0) ends[r] = {0.0f, kNothing, 0.0f};
  }
}

/// Scores -> weights, dP (behind the dropout) -> dS.
inline void PullStrip(const Norm& norm, const Tile& t, const Strip& strip, float* scores,
                      float* products) {
  alignas(64) float statistic[RowCover::kTallest];
  if (norm.kind == Norm::Kind::row) return OwnSlopes(norm, t, strip, scores, products);
  if (norm.kind == Norm::Kind::hard) {
    HardWeights(strip, scores, statistic);
    strip.each([&](std::int64_t k) { std::fill_n(products + k * strip.width, strip.width, 0.0f); });
    return;
  }
  WithPower(norm, [&](const auto& power) {
    ThresholdWeights(strip, power, scores, statistic);
    ThresholdSlopes(strip, power, scores, products);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
