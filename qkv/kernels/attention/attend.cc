#include "qkv/kernels/attention/attend.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/path.h"
#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/attend.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/cover-inl.h"
#include "qkv/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

// Scores are kept transposed, [key][query row]: 16 query rows stand in the lanes of a vector, so
// maxima and sums over keys are vertical and need no shuffles, and both products with them read
// their other side, keys and values, row by row as they lie in memory. Scores are in units of
// log 2, the factor being folded into the packed queries.

constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

/// What one query tile carries from key tile to key tile, a number a row.
struct RowState {
  alignas(64) float top[RowCover::kTallest];     // running maximum
  alignas(64) float sum[RowCover::kTallest];     // Σ 2^(S − top)
  alignas(64) float factor[RowCover::kTallest];  // by which the last tile shrank older sums
  alignas(64) std::uint32_t key0[RowCover::kTallest];
  alignas(64) std::uint32_t key1[RowCover::kTallest];  // of the dropout
};

void DrawKeys(const Dropout& dropout, std::int64_t first_row_head, std::int64_t heads,
              std::int64_t rows, std::int64_t width, std::uint32_t* key0, std::uint32_t* key1) {
  if (!dropout.active()) return;
  for (std::int64_t r = 0; r < width; ++r) {
    const Dropout row = attend_dropout(dropout, first_row_head + std::min(r, rows - 1) * heads);
    key0[r] = row.key0;
    key1[r] = row.key1;
  }
}

/// Hides what the mask hides (as −inf), moves the maxima and leaves in `factor` what older sums
/// shrink by.
void NewMaxima(std::int64_t keys, std::int64_t width, const RowCover* cover, float* scores,
               RowState& state) {
  const F d;
  const VF hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t v = 0; v < width; v += Lanes()) {
    VF top = hidden;
    float* column = scores + v;
    if (cover) {
      for (std::int64_t k = 0; k < keys; ++k) {
        const VF s = hn::IfThenElse(cover->visible(k, v), hn::Load(d, column + k * width), hidden);
        hn::Store(s, d, column + k * width);
        top = hn::Max(top, s);
      }
    } else {
      for (std::int64_t k = 0; k < keys; ++k) top = hn::Max(top, hn::Load(d, column + k * width));
    }
    const VF before = hn::Load(d, state.top + v);
    top = hn::Max(before, top);
    // A row that has seen nothing yet stays at −inf; the differences below must not become NaN.
    const VF base = hn::IfThenElse(hn::Eq(top, hidden), hn::Zero(d), top);
    hn::Store(Exp2(hn::Sub(before, base)), d, state.factor + v);
    hn::Store(top, d, state.top + v);
  }
}

/// Scores to weights 2^(S − top), their sums, and the dropout of the weights.
template <bool kDropout>
void Weights(std::int64_t keys, std::int64_t width, std::int64_t first_key, const Dropout& dropout,
             float* scores, RowState& state) {
  const F d;
  const U u;
  const VF hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  const VF scale = hn::Set(d, dropout.scale);
  const auto dropped = hn::Set(I(), static_cast<std::int32_t>(dropout.threshold) - 1);
  for (std::int64_t v = 0; v < width; v += Lanes()) {
    const VF top = hn::Load(d, state.top + v);
    const VF base = hn::IfThenElse(hn::Eq(top, hidden), hn::Zero(d), top);
    VF sum = hn::Mul(hn::Load(d, state.sum + v), hn::Load(d, state.factor + v));
    float* p = scores + v;
    for (std::int64_t k = 0; k < keys; k += 2, p += 2 * width) {
      const bool pair = k + 1 < keys;
      VF p0 = Exp2(hn::Sub(hn::Load(d, p), base)), p1 = hn::Zero(d);
      sum = hn::Add(sum, p0);
      if (pair) {
        p1 = Exp2(hn::Sub(hn::Load(d, p + width), base));
        sum = hn::Add(sum, p1);
      }
      if (kDropout) {
        const auto draws =
            Draws((first_key + k) / 2, hn::Load(u, state.key0 + v), hn::Load(u, state.key1 + v));
        const auto low = hn::BitCast(I(), hn::And(draws, hn::Set(u, 0xffffU)));
        const auto high = hn::BitCast(I(), hn::ShiftRight<16>(draws));
        p0 = hn::IfThenElseZero(hn::RebindMask(d, hn::Gt(low, dropped)), hn::Mul(p0, scale));
        p1 = hn::IfThenElseZero(hn::RebindMask(d, hn::Gt(high, dropped)), hn::Mul(p1, scale));
      }
      hn::Store(p0, d, p);
      if (pair) hn::Store(p1, d, p + width);
    }
    hn::Store(sum, d, state.sum + v);
  }
}

/// Rows of `out` times factor[row], where that is not 1.
void Rescale(std::int64_t rows, std::int64_t padded, const float* factor, float* out) {
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

/// One query tile of one head. With `guarded` false, false when a value that is not finite arose
/// that a hidden key may have caused: then it has to be done again, guarded.
bool ForwardTile(const Attend<float>& a, const Task& t, bool guarded) {
  const F d;
  const AttendPlan::Segment& s = a.plan->segments[static_cast<std::size_t>(t.segment)];
  const std::int64_t rows = t.last - t.first, width = (rows + Lanes() - 1) / Lanes() * Lanes();
  const std::int64_t kv_head = t.head / (a.heads / a.kv_heads);
  const std::int64_t dim = a.dim, padded = Scratch::padded(a.value_dim);

  Scratch scratch((dim + kKeyTile) * width + kKeyTile * (Scratch::padded(dim) + padded) +
                  rows * padded + 64);
  float* queries = scratch.take(dim * width);      // [D][row]
  float* scores = scratch.take(kKeyTile * width);  // [key][row]
  float* keys = scratch.take(kKeyTile * Scratch::padded(dim));
  float* values = scratch.take(kKeyTile * padded);
  float* out = scratch.take(rows * padded);

  RowState state;
  for (std::int64_t r = 0; r < width; ++r) {
    state.top[r] = -std::numeric_limits<float>::infinity();
    state.sum[r] = 0.0f;
  }
  DrawKeys(a.dropout, t.first * a.heads + t.head, a.heads, rows, width, state.key0, state.key1);
  PackTransposed(rows, dim, a.q + (t.first * a.heads + t.head) * dim, a.heads * dim,
                 static_cast<float>(a.scale) * kLog2E, queries, width);

  RowCover cover(*a.plan, t.first, rows);
  const Interval hull = cover.hull();
  bool begun = false, masked = false;
  const std::int64_t start =
      hull.begin < hull.end ? s.k_begin + (hull.begin - s.k_begin) / kKeyTile * kKeyTile : hull.end;
  for (std::int64_t k = start; k < hull.end; k += kKeyTile) {
    const std::int64_t count = std::min(kKeyTile, s.k_end - k);
    const Cover seen = cover.move(k, k + count);
    if (seen == Cover::none) continue;
    masked |= seen == Cover::some;
    PackRows(count, dim, a.k + (k * a.kv_heads + kv_head) * dim, a.kv_heads * dim, keys,
             Scratch::padded(dim));
    PackRows(count, a.value_dim, a.v + (k * a.kv_heads + kv_head) * a.value_dim,
             a.kv_heads * a.value_dim, values, padded);
    Product<false>(false, count, width / Lanes(), dim, keys, Scratch::padded(dim), queries, width,
                   scores, width, false);
    NewMaxima(count, width, seen == Cover::some ? &cover : nullptr, scores, state);
    if (begun) Rescale(rows, padded, state.factor, out);
    if (a.dropout.active()) {
      Weights<true>(count, width, k - s.k_begin, a.dropout, scores, state);
    } else {
      Weights<false>(count, width, k - s.k_begin, a.dropout, scores, state);
    }
    Product<true>(guarded, rows, padded / Lanes(), count, scores, width, values, padded, out,
                  padded, begun);
    begun = true;
  }

  const VF none = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t v = 0; v < width; v += Lanes()) {
    const VF sum = hn::Load(d, state.sum + v);
    const auto empty = hn::Eq(hn::Load(d, state.top + v), none);
    const VF lse = hn::MulAdd(hn::Load(d, state.top + v), hn::Set(d, kLn2), hn::Log(d, sum));
    hn::Store(hn::IfThenElse(empty, none, lse), d, state.top + v);
    hn::Store(hn::IfThenElse(empty, hn::Zero(d), hn::Div(hn::Set(d, 1.0f), sum)), d,
              state.factor + v);
  }
  bool finite = true;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = (t.first + r) * a.heads + t.head;
    a.lse[row] = state.top[r];
    if (begun) {
      finite &= Unpack(a.value_dim, out + r * padded, state.factor[r], a.out + row * a.value_dim);
    } else {
      std::fill_n(a.out + row * a.value_dim, a.value_dim, 0.0f);
    }
  }
  return finite || !masked;
}

void ForwardTask(const Attend<float>& a, const Task& t) {
  if (!ForwardTile(a, t, false)) ForwardTile(a, t, true);
}

// ---- backward ----

struct BackwardRows {
  alignas(64) float lse[RowCover::kTallest];    // in units of log 2
  alignas(64) float delta[RowCover::kTallest];  // dout·out − dlse
  alignas(64) std::uint32_t key0[RowCover::kTallest];
  alignas(64) std::uint32_t key1[RowCover::kTallest];
};

/// scores S -> dropped weights z·P, products dP = dout·v -> dS = P (z·dP − δ); hidden ones 0 in
/// both.
template <bool kDropout>
void ScoreGradients(std::int64_t keys, std::int64_t width, std::int64_t first_key,
                    const Dropout& dropout, const RowCover* cover, const BackwardRows& state,
                    float* scores, float* products) {
  const F d;
  const U u;
  const VF scale = hn::Set(d, dropout.scale);
  const auto dropped = hn::Set(I(), static_cast<std::int32_t>(dropout.threshold) - 1);
  for (std::int64_t v = 0; v < width; v += Lanes()) {
    const VF lse = hn::Load(d, state.lse + v), delta = hn::Load(d, state.delta + v);
    auto draws = hn::Zero(u);
    for (std::int64_t k = 0; k < keys; ++k) {
      float* at = scores + k * width + v;
      float* dp_at = products + k * width + v;
      VF p = Exp2(hn::Sub(hn::Load(d, at), lse));
      VF dp = hn::Load(d, dp_at);
      if (cover) {
        const auto seen = cover->visible(k, v);
        p = hn::IfThenElseZero(seen, p);
        dp = hn::IfThenElseZero(seen, dp);
      }
      VF kept = p;
      if (kDropout) {
        draws = k % 2 == 0 ? Draws((first_key + k) / 2, hn::Load(u, state.key0 + v),
                                   hn::Load(u, state.key1 + v))
                           : hn::ShiftRight<16>(draws);
        const auto keep = hn::RebindMask(
            d, hn::Gt(hn::BitCast(I(), hn::And(draws, hn::Set(u, 0xffffU))), dropped));
        kept = hn::IfThenElseZero(keep, hn::Mul(p, scale));
        dp = hn::IfThenElseZero(keep, hn::Mul(dp, scale));
      }
      VF ds = hn::Mul(p, hn::Sub(dp, delta));
      if (cover)
        ds = hn::IfThenElseZero(hn::Ne(p, hn::Zero(d)), ds);  // δ of an idle row may be NaN
      hn::Store(kept, d, at);
      hn::Store(ds, d, dp_at);
    }
  }
}

/// δ = dout·out − dlse and lse of the rows of a tile; idle lanes get zeros.
void PrepareRows(const AttendBackward<float>& a, std::int64_t first, std::int64_t rows,
                 std::int64_t width, std::int64_t head, const float* dout, std::int64_t padded,
                 BackwardRows& state) {
  const F d;
  const std::int64_t whole = a.value_dim / Lanes() * Lanes();
  for (std::int64_t r = 0; r < width; ++r) {
    state.lse[r] = state.delta[r] = 0.0f;
    if (r >= rows) continue;
    const std::int64_t row = (first + r) * a.heads + head;
    const float* out = a.out + row * a.value_dim;
    const float* grad = dout + r * padded;
    VF sum = hn::Zero(d);
    for (std::int64_t e = 0; e < whole; e += Lanes()) {
      sum = hn::MulAdd(hn::Load(d, grad + e), hn::LoadU(d, out + e), sum);
    }
    float delta = hn::GetLane(hn::SumOfLanes(d, sum));
    for (std::int64_t e = whole; e < a.value_dim; ++e) delta += grad[e] * out[e];
    state.lse[r] = a.lse[row] * kLog2E;
    state.delta[r] = a.dlse ? delta - a.dlse[row] : delta;
  }
}

/// All query heads of one key head of one segment; the return value is as in ForwardTile.
bool BackwardSegment(const AttendBackward<float>& a, const Task& t, bool guarded) {
  const AttendPlan::Segment& s = a.plan->segments[static_cast<std::size_t>(t.segment)];
  const std::int64_t group = a.heads / a.kv_heads, n = s.k_end - s.k_begin;
  const std::int64_t dim = a.dim, value_dim = a.value_dim;
  const std::int64_t dp = Scratch::padded(dim), vp = Scratch::padded(value_dim);
  const std::int64_t tile = query_tile(std::max(dim, value_dim));

  Scratch scratch(2 * n * (dp + vp) + tile * (3 * dp + 2 * vp + 2 * kKeyTile) + 64);
  float* keys = scratch.take(n * dp);
  float* values = scratch.take(n * vp);
  float* dk = scratch.take(n * dp);
  float* dv = scratch.take(n * vp);
  float* queries = scratch.take(tile * dp);
  float* queries_t = scratch.take(dim * tile);
  float* dout = scratch.take(tile * vp);
  float* dout_t = scratch.take(value_dim * tile);
  float* dq = scratch.take(tile * dp);
  float* scores = scratch.take(kKeyTile * tile);
  float* products = scratch.take(kKeyTile * tile);

  PackRows(n, dim, a.k + (s.k_begin * a.kv_heads + t.head) * dim, a.kv_heads * dim, keys, dp);
  PackRows(n, value_dim, a.v + (s.k_begin * a.kv_heads + t.head) * value_dim,
           a.kv_heads * value_dim, values, vp);
  std::fill_n(dk, n * dp, 0.0f);
  std::fill_n(dv, n * vp, 0.0f);

  const float scale = static_cast<float>(a.scale);
  bool masked = false, finite = true;
  BackwardRows state;
  for (std::int64_t head = t.head * group; head < (t.head + 1) * group; ++head) {
    for (std::int64_t first = s.q_begin; first < s.q_end; first += tile) {
      const std::int64_t rows = std::min(tile, s.q_end - first);
      const std::int64_t width = (rows + Lanes() - 1) / Lanes() * Lanes();
      const std::int64_t row0 = first * a.heads + head;
      PackRows(rows, dim, a.q + row0 * dim, a.heads * dim, queries, dp);
      PackTransposed(rows, dim, queries, dp, scale * kLog2E, queries_t, width);
      PackRows(rows, value_dim, a.dout + row0 * value_dim, a.heads * value_dim, dout, vp);
      PackTransposed(rows, value_dim, dout, vp, 1.0f, dout_t, width);
      PrepareRows(a, first, rows, width, head, dout, vp, state);
      DrawKeys(a.dropout, row0, a.heads, rows, width, state.key0, state.key1);

      RowCover cover(*a.plan, first, rows);
      const Interval hull = cover.hull();
      bool begun = false;
      const std::int64_t start =
          hull.begin < hull.end ? (hull.begin - s.k_begin) / kKeyTile * kKeyTile : n;
      for (std::int64_t k = start; s.k_begin + k < hull.end; k += kKeyTile) {
        const std::int64_t count = std::min(kKeyTile, n - k);
        const Cover seen = cover.move(s.k_begin + k, s.k_begin + k + count);
        if (seen == Cover::none) continue;
        masked |= seen == Cover::some;
        const RowCover* mask = seen == Cover::some ? &cover : nullptr;
        Product<false>(false, count, width / Lanes(), dim, keys + k * dp, dp, queries_t, width,
                       scores, width, false);
        Product<false>(false, count, width / Lanes(), value_dim, values + k * vp, vp, dout_t, width,
                       products, width, false);
        if (a.dropout.active()) {
          ScoreGradients<true>(count, width, k, a.dropout, mask, state, scores, products);
        } else {
          ScoreGradients<false>(count, width, k, a.dropout, mask, state, scores, products);
        }
        Product<false>(guarded, count, vp / Lanes(), rows, scores, width, dout, vp, dv + k * vp, vp,
                       true);
        Product<false>(guarded, count, dp / Lanes(), rows, products, width, queries, dp,
                       dk + k * dp, dp, true);
        Product<true>(guarded, rows, dp / Lanes(), count, products, width, keys + k * dp, dp, dq,
                      dp, begun);
        begun = true;
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        float* to = a.dq + (row0 + r * a.heads) * dim;
        if (begun) {
          finite &= Unpack(dim, dq + r * dp, scale, to);
        } else {
          std::fill_n(to, dim, 0.0f);
        }
      }
    }
  }
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t key = (s.k_begin + k) * a.kv_heads + t.head;
    finite &= Unpack(dim, dk + k * dp, scale, a.dk + key * dim);
    finite &= Unpack(value_dim, dv + k * vp, 1.0f, a.dv + key * value_dim);
  }
  return finite || !masked;
}

void BackwardTask(const AttendBackward<float>& a, const Task& t) {
  if (!BackwardSegment(a, t, false)) BackwardSegment(a, t, true);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(ForwardTask);
HWY_EXPORT(BackwardTask);

void attend(const Attend<float>& a) {
  if (attend_path(a.form, a.entropy) != AttendPath::product_tiles) return attend_general(a);
  const AttendPlan& plan = *a.plan;
  each_gap(plan, false, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.out + begin * a.heads * a.value_dim, a.out + end * a.heads * a.value_dim, 0.0f);
    std::fill(a.lse + begin * a.heads, a.lse + end * a.heads,
              -std::numeric_limits<float>::infinity());
  });
  const std::int64_t tile = query_tile(std::max(a.dim, a.value_dim));
  std::vector<Task> tasks;
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    const AttendPlan::Segment& s = plan.segments[b];
    for (std::int64_t first = s.q_begin; first < s.q_end; first += tile) {
      for (std::int64_t h = 0; h < a.heads; ++h) {
        tasks.push_back({static_cast<std::int64_t>(b), h, first, std::min(first + tile, s.q_end)});
      }
    }
  }
  const auto run = HWY_DYNAMIC_DISPATCH(ForwardTask);
  run_tasks(
      tasks,
      [&](const Task& t) {
        const AttendPlan::Segment& s = plan.segments[static_cast<std::size_t>(t.segment)];
        return (t.last - t.first + 8) * (s.k_end - s.k_begin + 8);
      },
      [&](const Task& t) { run(a, t); });
}

void attend_backward(const AttendBackward<float>& a) {
  if (attend_path(a.form, a.entropy) != AttendPath::product_tiles)
    return attend_general_backward(a);
  const AttendPlan& plan = *a.plan;
  each_gap(plan, false, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.dq + begin * a.heads * a.dim, a.dq + end * a.heads * a.dim, 0.0f);
  });
  each_gap(plan, true, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.dk + begin * a.kv_heads * a.dim, a.dk + end * a.kv_heads * a.dim, 0.0f);
    std::fill(a.dv + begin * a.kv_heads * a.value_dim, a.dv + end * a.kv_heads * a.value_dim, 0.0f);
  });
  std::vector<Task> tasks;
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    for (std::int64_t g = 0; g < a.kv_heads; ++g) {
      tasks.push_back({static_cast<std::int64_t>(b), g, 0, 0});
    }
  }
  const auto run = HWY_DYNAMIC_DISPATCH(BackwardTask);
  run_tasks(
      tasks,
      [&](const Task& t) {
        const AttendPlan::Segment& s = plan.segments[static_cast<std::size_t>(t.segment)];
        return 3 * (s.q_end - s.q_begin + 8) * (s.k_end - s.k_begin + 8);
      },
      [&](const Task& t) { run(a, t); });
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
