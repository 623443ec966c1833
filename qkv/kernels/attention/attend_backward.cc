#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/path.h"
#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/attend_backward.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/cover-inl.h"
#include "qkv/kernels/attention/tile-inl.h"
#include "qkv/kernels/attention/weights-inl.h"

// Backward. The keys of a key head are cut into chunks whose rows and gradients stay in the cache
// while all query tiles pass by. One task takes every `strides`-th chunk of a key head, so that a
// single long sequence is work for many threads and a causal mask burdens them alike. dK and dV are
// complete within a chunk; each task adds up a dQ of its own, and those are summed in order. The
// cut depends on the segment and on the number of key heads only.

#ifndef QKV_KERNELS_ATTENTION_ATTEND_BACKWARD_CC_ONCE
#define QKV_KERNELS_ATTENTION_ATTEND_BACKWARD_CC_ONCE
namespace qkv::kernels {
namespace {

struct BackwardTask : Task {
  std::int64_t stride;  // every stride-th chunk from `first` on
  float* dq;            // [heads of the group, queries, padded D], or null: written to its place
};

/// Keys a chunk: keys, values and their gradients take half a MiB.
constexpr std::int64_t key_chunk(std::int64_t dim) {
  return dim <= 32 ? 1024 : dim <= 64 ? 512 : dim <= 128 ? 256 : 128;
}

}  // namespace
}  // namespace qkv::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {
namespace {

struct BackwardRows {
  alignas(64) float lse[RowCover::kTallest];    // in units of log 2
  alignas(64) float delta[RowCover::kTallest];  // dout·out − dlse
};

/// Of keys [begin, end) and vector v: scores S -> dropped weights z·P, products dP = dout·v ->
/// dS = P (z·dP − δ); hidden ones 0 in both. `begin` is even.
template <bool kDropout>
HWY_INLINE void ScoreGradientsOf(std::int64_t begin, std::int64_t end, std::int64_t width,
                                 std::int64_t first_key, const Dropout& dropout,
                                 const RowKeys& row_keys, const RowCover* cover,
                                 const BackwardRows& state, std::int64_t v, float* scores,
                                 float* products) {
  const F d;
  const U u;
  const VF scale = hn::Set(d, dropout.scale);
  const VF lse = hn::Load(d, state.lse + v), delta = hn::Load(d, state.delta + v);
  auto keep = hn::FirstN(d, 0), keep_odd = keep;
  for (std::int64_t k = begin; k < end; ++k) {
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
      if (k % 2 == 0) {
        const KeepPair pair(Draws((first_key + k) / 2, hn::Load(u, row_keys.key0 + v),
                                  hn::Load(u, row_keys.key1 + v)),
                            dropout);
        keep = pair.even;
        keep_odd = pair.odd;
      } else {
        keep = keep_odd;
      }
      kept = hn::IfThenElseZero(keep, hn::Mul(p, scale));
      dp = hn::IfThenElseZero(keep, hn::Mul(dp, scale));
    }
    VF ds = hn::Mul(p, hn::Sub(dp, delta));
    // δ of an idle row may be NaN. Not(Eq), since Ne is false for a NaN on some machines.
    if (cover) ds = hn::IfThenElseZero(hn::Not(hn::Eq(p, hn::Zero(d))), ds);
    hn::Store(kept, d, at);
    hn::Store(ds, d, dp_at);
  }
}

template <bool kDropout>
void ScoreGradients(std::int64_t keys, std::int64_t width, std::int64_t first_key,
                    const Dropout& dropout, const RowKeys& row_keys, const RowCover* cover,
                    const BackwardRows& state, float* scores, float* products) {
  for (std::int64_t g = 0; g * RowCover::kCell < width; ++g) {
    EachVector(g, width, [&](std::int64_t v) HWY_ATTR {
      if (cover == nullptr) {
        ScoreGradientsOf<kDropout>(0, keys, width, first_key, dropout, row_keys, nullptr, state, v,
                                   scores, products);
        return;
      }
      EachRun(cover->blocks(g), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        ScoreGradientsOf<kDropout>(begin * RowCover::kCell, std::min(end * RowCover::kCell, keys),
                                   width, first_key, dropout, row_keys, cover, state, v, scores,
                                   products);
      });
    });
  }
}

/// c[key] += Σ_row left[key][row] · b[row], where the mask asks for it.
HWY_INLINE void CoveredKeys(bool guarded, std::int64_t keys, std::int64_t rows, std::int64_t width,
                            const float* left, const float* b, std::int64_t padded,
                            const RowCover* cover, float* c) {
  if (cover == nullptr) {
    Product<false>(guarded, keys, padded / Lanes(), rows, left, width, b, padded, c, padded, true);
    return;
  }
  cover->EachRunOfKeys(
      keys, [&](std::int64_t first, std::int64_t last, std::uint32_t groups) HWY_ATTR {
        EachRun(groups, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
          const std::int64_t r = begin * RowCover::kCell;
          Product<false>(guarded, last - first, padded / Lanes(),
                         std::min(end * RowCover::kCell, rows) - r, left + first * width + r, width,
                         b + r * padded, padded, c + first * padded, padded, true);
        });
      });
}

/// One query tile of one head.
struct BackwardTile {
  const AttendBackward<float>& a;
  std::int64_t dp, vp;                         // padded widths
  float *queries, *queries_t, *dout, *dout_t;  // the tile's rows, and transposed
  float *dq, *scores, *products;
  BackwardRows state;
  RowKeys row_keys;

  static std::int64_t floats(std::int64_t dp, std::int64_t vp, std::int64_t tile) {
    return tile * (3 * dp + 2 * vp + 2 * kKeyTile) + 128;
  }
  BackwardTile(const AttendBackward<float>& args, Scratch& scratch, std::int64_t tile)
      : a(args), dp(Scratch::padded(a.dim)), vp(Scratch::padded(a.value_dim)) {
    queries = scratch.take(tile * dp);
    queries_t = scratch.take(tile * dp);
    dout = scratch.take(tile * vp);
    dout_t = scratch.take(tile * vp);
    dq = scratch.take(tile * dp);
    scores = scratch.take(kKeyTile * tile);
    products = scratch.take(kKeyTile * tile);
  }

  /// δ = dout·out − dlse and lse of the rows; idle lanes get zeros.
  void statistics(std::int64_t row0, std::int64_t rows, std::int64_t width) {
    const F d;
    const std::int64_t whole = a.value_dim / Lanes() * Lanes();
    std::fill_n(state.lse, width, 0.0f);
    std::fill_n(state.delta, width, 0.0f);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t row = row0 + r * a.heads;
      const float* out = a.out + row * a.value_dim;
      const float* grad = dout + r * vp;
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

  void load(std::int64_t row0, std::int64_t rows, std::int64_t width) {
    PackRows(rows, a.dim, a.q + row0 * a.dim, a.heads * a.dim, queries, dp);
    PackTransposed(rows, a.dim, queries, dp, static_cast<float>(a.scale) * kLog2E, queries_t,
                   width);
    PackRows(rows, a.value_dim, a.dout + row0 * a.value_dim, a.heads * a.value_dim, dout, vp);
    PackTransposed(rows, a.value_dim, dout, vp, 1.0f, dout_t, width);
    statistics(row0, rows, width);
    row_keys.draw(a.dropout, row0, a.heads, rows, width);
  }

  /// Against `count` keys, the first of them key `from` of its segment.
  void step(bool guarded, std::int64_t rows, std::int64_t width, std::int64_t from,
            std::int64_t count, const RowCover* mask, const float* keys, const float* values,
            float* dk, float* dv, float* dq_rows, bool begun) {
    CoveredScores(count, width, a.dim, keys, dp, queries_t, mask, scores);
    CoveredScores(count, width, a.value_dim, values, vp, dout_t, mask, products);
    if (a.dropout.active()) {
      ScoreGradients<true>(count, width, from, a.dropout, row_keys, mask, state, scores, products);
    } else {
      ScoreGradients<false>(count, width, from, a.dropout, row_keys, mask, state, scores, products);
    }
    CoveredKeys(guarded, count, rows, width, scores, dout, vp, mask, dv);
    CoveredKeys(guarded, count, rows, width, products, queries, dp, mask, dk);
    CoveredRows(guarded, rows, width, count, products, keys, dp, mask, dq_rows, dp, begun);
  }
};

bool AllFinite(std::int64_t n, const float* x) {
  const F d;
  VF zero = hn::Zero(d);  // stays 0 until a NaN or infinity passes
  for (std::int64_t i = 0; i < n; i += Lanes()) {
    zero = hn::MulAdd(hn::Load(d, x + i), hn::Zero(d), zero);
  }
  return hn::AllTrue(d, hn::Eq(zero, hn::Zero(d)));
}

/// All chunks of a task with all query heads of its key head. With `guarded` false, false when a
/// value that is not finite arose that something hidden may have caused.
bool BackwardChunks(const AttendBackward<float>& a, const BackwardTask& t, bool guarded) {
  const AttendPlan::Segment& s = a.plan->segments[static_cast<std::size_t>(t.segment)];
  const std::int64_t group = a.heads / a.kv_heads, queries = s.q_end - s.q_begin;
  const std::int64_t dp = Scratch::padded(a.dim), vp = Scratch::padded(a.value_dim);
  const std::int64_t tile = query_tile(std::max(a.dim, a.value_dim));
  const std::int64_t size = key_chunk(std::max(a.dim, a.value_dim));
  const std::int64_t longest = std::min(size, s.k_end - s.k_begin);

  Scratch scratch(2 * longest * (dp + vp) + BackwardTile::floats(dp, vp, tile) + 64);
  float* keys = scratch.take(longest * dp);
  float* values = scratch.take(longest * vp);
  float* dk = scratch.take(longest * dp);
  float* dv = scratch.take(longest * vp);
  BackwardTile x(a, scratch, tile);

  const float scale = static_cast<float>(a.scale);
  bool masked = false, finite = true;
  if (t.dq) std::fill_n(t.dq, group * queries * dp, 0.0f);
  std::int64_t begin = s.k_begin + t.first * size;
  do {  // once even without keys: dQ is to be zero
    const std::int64_t end = std::min(begin + size, s.k_end), n = end - begin;
    PackRows(n, a.dim, a.k + (begin * a.kv_heads + t.head) * a.dim, a.kv_heads * a.dim, keys, dp);
    PackRows(n, a.value_dim, a.v + (begin * a.kv_heads + t.head) * a.value_dim,
             a.kv_heads * a.value_dim, values, vp);
    std::fill_n(dk, n * dp, 0.0f);
    std::fill_n(dv, n * vp, 0.0f);
    for (std::int64_t h = 0; h < group; ++h) {
      for (std::int64_t first = s.q_begin; first < s.q_end; first += tile) {
        const std::int64_t rows = std::min(tile, s.q_end - first);
        const std::int64_t width = (rows + Lanes() - 1) / Lanes() * Lanes();
        const std::int64_t row0 = first * a.heads + t.head * group + h;
        float* dq = t.dq ? t.dq + (h * queries + first - s.q_begin) * dp : x.dq;
        RowCover cover(*a.plan, first, rows);
        const Interval hull = cover.hull();
        bool begun = t.dq != nullptr, loaded = false;
        const std::int64_t skipped = std::max<std::int64_t>(hull.begin - begin, 0);
        for (std::int64_t k = skipped / kKeyTile * kKeyTile; begin + k < std::min(hull.end, end);
             k += kKeyTile) {
          const std::int64_t count = std::min(kKeyTile, n - k);
          const Cover seen = cover.move(begin + k, begin + k + count);
          if (seen == Cover::none) continue;
          masked |= seen == Cover::some;
          if (!loaded) x.load(row0, rows, width);
          loaded = true;
          x.step(guarded, rows, width, begin + k - s.k_begin, count,
                 seen == Cover::some ? &cover : nullptr, keys + k * dp, values + k * vp,
                 dk + k * dp, dv + k * vp, dq, begun);
          begun = true;
        }
        if (t.dq) {
          if (loaded) finite &= AllFinite(rows * dp, dq);
          continue;
        }
        for (std::int64_t r = 0; r < rows; ++r) {
          float* to = a.dq + (row0 + r * a.heads) * a.dim;
          if (begun) {
            finite &= Unpack(a.dim, dq + r * dp, scale, to);
          } else {
            std::fill_n(to, a.dim, 0.0f);
          }
        }
      }
    }
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t key = (begin + k) * a.kv_heads + t.head;
      finite &= Unpack(a.dim, dk + k * dp, scale, a.dk + key * a.dim);
      finite &= Unpack(a.value_dim, dv + k * vp, 1.0f, a.dv + key * a.value_dim);
    }
    begin += t.stride * size;
  } while (begin < s.k_end);
  return finite || !masked;
}

void RunBackward(const AttendBackward<float>& a, const BackwardTask& t) {
  if (!BackwardChunks(a, t, false)) BackwardChunks(a, t, true);
}

/// dq of rows [t.first, t.last) of head t.head = scale · the sum of `count` parts, `stride` apart;
/// the first is changed.
void SumParts(const AttendBackward<float>& a, const Task& t, float* parts, std::int64_t count,
              std::int64_t stride) {
  const F d;
  const std::int64_t dp = Scratch::padded(a.dim);
  for (std::int64_t r = 0; r < t.last - t.first; ++r) {
    float* row = parts + r * dp;
    for (std::int64_t e = 0; e < dp; e += Lanes()) {
      VF sum = hn::Load(d, row + e);
      for (std::int64_t p = 1; p < count; ++p) {
        sum = hn::Add(sum, hn::Load(d, row + p * stride + e));
      }
      hn::Store(sum, d, row + e);
    }
    Unpack(a.dim, row, static_cast<float>(a.scale),
           a.dq + ((t.first + r) * a.heads + t.head) * a.dim);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
namespace {
HWY_EXPORT(RunBackward);
HWY_EXPORT(SumParts);

/// Tasks that want to share the keys of one key head, at most: together with the key heads they
/// keep this many threads busy, and the parts of dQ need no more memory than this many heads.
constexpr std::int64_t kMostParts = 16;

/// Rows of dQ that `count` tasks have added up each for themselves.
struct Sum : Task {
  float* parts;
  std::int64_t count, stride;
};

}  // namespace

void attend_backward(const AttendBackward<float>& a) {
  const AttendPath path = attend_path(*a.plan, a.form, a.entropy);
  if (path == AttendPath::neighbour_rows) return attend_lists_backward(a);
  if (path != AttendPath::product_tiles) return attend_general_backward(a);
  const AttendPlan& plan = *a.plan;
  each_gap(plan, false, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.dq + begin * a.heads * a.dim, a.dq + end * a.heads * a.dim, 0.0f);
  });
  each_gap(plan, true, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.dk + begin * a.kv_heads * a.dim, a.dk + end * a.kv_heads * a.dim, 0.0f);
    std::fill(a.dv + begin * a.kv_heads * a.value_dim, a.dv + end * a.kv_heads * a.value_dim, 0.0f);
  });
  const std::int64_t size = key_chunk(std::max(a.dim, a.value_dim)), dp = Scratch::padded(a.dim);
  const std::int64_t group = a.heads / a.kv_heads;
  const auto parts_of = [&](const AttendPlan::Segment& s) {
    const std::int64_t chunks = (s.k_end - s.k_begin + size - 1) / size;
    return chunks <= 1 ? 0 : std::min(chunks, std::max<std::int64_t>(1, kMostParts / a.kv_heads));
  };
  std::int64_t floats = 0;
  for (const AttendPlan::Segment& s : plan.segments) {
    floats += parts_of(s) * a.heads * (s.q_end - s.q_begin) * dp;
  }
  float* parts = PartScratch(floats).take(floats);

  std::vector<BackwardTask> tasks;
  std::vector<Sum> sums;
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    const AttendPlan::Segment& s = plan.segments[b];
    const std::int64_t count = parts_of(s), queries = s.q_end - s.q_begin;
    const std::int64_t head = queries * dp, part = a.heads * head;
    for (std::int64_t g = 0; g < a.kv_heads; ++g) {
      BackwardTask t{};
      t.segment = static_cast<std::int64_t>(b);
      t.head = g;
      t.stride = std::max<std::int64_t>(count, 1);
      for (t.first = 0; t.first < t.stride; ++t.first) {
        t.dq = count == 0 ? nullptr : parts + t.first * part + g * group * head;
        tasks.push_back(t);
      }
    }
    if (count == 0) continue;
    constexpr std::int64_t kRows = 256;
    for (std::int64_t h = 0; h < a.heads; ++h) {
      for (std::int64_t first = s.q_begin; first < s.q_end; first += kRows) {
        Sum sum{};
        sum.head = h;
        sum.first = first;
        sum.last = std::min(first + kRows, s.q_end);
        sum.parts = parts + h * head + (first - s.q_begin) * dp;
        sum.count = count;
        sum.stride = part;
        sums.push_back(sum);
      }
    }
    parts += count * part;
  }
  const auto run = HWY_DYNAMIC_DISPATCH(RunBackward);
  run_tasks(
      tasks,
      [&](const BackwardTask& t) {
        const AttendPlan::Segment& s = plan.segments[static_cast<std::size_t>(t.segment)];
        return 3 * (s.q_end - s.q_begin + 8) * ((s.k_end - s.k_begin) / t.stride + 8);
      },
      [&](const BackwardTask& t) { run(a, t); });
  const auto sum_up = HWY_DYNAMIC_DISPATCH(SumParts);
  parallel_for(static_cast<std::int64_t>(sums.size()), 1, [&](std::int64_t i, std::int64_t) {
    const Sum& x = sums[static_cast<std::size_t>(i)];
    sum_up(a, x, x.parts, x.count, x.stride);
  });
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
