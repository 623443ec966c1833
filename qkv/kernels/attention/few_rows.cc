#include "qkv/kernels/attention/few_rows.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/path.h"
#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/few_rows.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/few_rows-inl.h"
#include "qkv/kernels/attention/join-inl.h"
#include "qkv/kernels/attention/tile-inl.h"
#include "qkv/kernels/attention/weights-inl.h"

// A task is a block of key heads of a sequence against one chunk of kKeyChunk keys, or against all
// keys when there are no more. Its rows are the pairs of a query row and a query head, key head by
// key head, within one query row by query row.

#ifndef QKV_KERNELS_ATTENTION_FEW_ROWS_CC_ONCE
#define QKV_KERNELS_ATTENTION_FEW_ROWS_CC_ONCE
namespace qkv::kernels {
namespace {

struct FewTask {
  std::int64_t segment, g, g_end;  // key heads
  std::int64_t j, j_end;           // query heads of each
  std::int64_t chunk = -1;         // the only one
  float* share = nullptr;          // a chunk's Share
};

}  // namespace
}  // namespace qkv::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {
namespace {

struct FewRows {
  const Attend<float>& a;
  const FewTask& t;
  const AttendPlan::Segment& s;
  SeenKeys seen;
  std::int64_t group, per_head, rows, width, padded;
  float *queries, *scores, *values, *out, *more;

  FewRows(const Attend<float>& args, const FewTask& task)
      : a(args),
        t(task),
        s(a.plan->segments[static_cast<std::size_t>(t.segment)]),
        seen(*a.plan, s),
        group(t.j_end - t.j),
        per_head((s.q_end - s.q_begin) * group),
        rows((t.g_end - t.g) * per_head),
        width((rows + Lanes() - 1) / Lanes() * Lanes()),
        padded(Scratch::padded(a.value_dim)) {
    Scratch scratch(rows * (a.dim + kKeyTile + 2 * padded) + kKeyTile * padded + 96);
    queries = scratch.take(rows * a.dim);
    scores = scratch.take(rows * kKeyTile);
    values = scratch.take(kKeyTile * padded);  // when they cannot be read where they lie
    out = scratch.take(rows * padded);
    more = scratch.take(rows * padded);
    const float factor = static_cast<float>(a.scale) * kLog2E;
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* from = a.q + row_head(i) * a.dim;
      for (std::int64_t x = 0; x < a.dim; ++x) queries[i * a.dim + x] = factor * from[x];
    }
  }

  /// Row i of the task among the rows of q and out.
  std::int64_t row_head(std::int64_t i) const {
    const std::int64_t g = t.g + i / per_head, of_head = i % per_head;
    const std::int64_t head = g * (a.heads / a.kv_heads) + t.j + of_head % group;
    return (s.q_begin + of_head / group) * a.heads + head;
  }
  void score(std::int64_t k, std::int64_t begin, std::int64_t end) {
    for (std::int64_t g = t.g; g < t.g_end; ++g) {
      const std::int64_t first = (g - t.g) * per_head;
      Score({queries + first * a.dim, per_head, a.dim, a.k + (k * a.kv_heads + g) * a.dim,
             a.kv_heads * a.dim, std::min(kKeyTile, s.k_end - k), scores + first * kKeyTile},
            begin, end);
    }
  }

  /// Scores to weights and their sums. True when older sums have to shrink by state.factor.
  bool weigh(std::int64_t begin, std::int64_t end, SoftmaxRows& state) {
    const F d;
    const float hidden = -std::numeric_limits<float>::infinity();
    alignas(64) float number[RowCover::kTallest];  // a row: its maximum, then its base
    std::fill_n(number, width, hidden);
    for (std::int64_t i = 0; i < rows; ++i) {
      float* p = scores + i * kKeyTile;
      seen.each_hidden(i % per_head / group, {begin, end}, [&](std::int64_t k, std::int64_t last) {
        std::fill(p + k, p + last, hidden);
      });
      VF top = hn::Set(d, hidden);
      for (std::int64_t k = begin; k < end; k += Lanes()) top = hn::Max(top, hn::Load(d, p + k));
      number[i] = hn::GetLane(hn::MaxOfLanes(d, top));
    }
    bool grown = false;
    for (std::int64_t v = 0; v < width; v += Lanes()) {
      grown |= state.move(v, hn::Load(d, number + v));
      hn::Store(state.finite_base(v), d, number + v);
      const VF sum = hn::Load(d, state.sum + v);
      hn::Store(hn::Mul(sum, hn::Load(d, state.factor + v)), d, state.sum + v);
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      const VF base = hn::Set(d, number[i]);
      float* p = scores + i * kKeyTile;
      for (std::int64_t k = begin; k < end; k += Lanes()) {
        hn::Store(Exp2(hn::Sub(hn::Load(d, p + k), base)), d, p + k);
      }
    }
    AddAllWeights(rows, scores, seen.any().begin, seen.any().end, state.sum);
    return grown;
  }

  /// Weights times the values of the tile at key k, those only that a row sees.
  void add_values(std::int64_t k, float* to) {
    const std::int64_t count = std::min(kKeyTile, s.k_end - k);
    for (std::int64_t g = t.g; g < t.g_end; ++g) {
      const float* v = a.v + (k * a.kv_heads + g) * a.value_dim;
      std::int64_t stride = a.kv_heads * a.value_dim;
      if (padded != a.value_dim) {
        PackRows(count, a.value_dim, v, stride, values, padded);
        v = values;
        stride = padded;
      }
      const std::int64_t first = (g - t.g) * per_head;
      const ValueTile tile{v, stride, padded / Lanes(), to + first * padded, padded};
      for (std::int64_t r = 0, end = 0; r < per_head; r = end) {
        end = r + group;
        while (end < per_head && seen.like_next(end / group - 1)) end += group;
        seen.each_seen(r / group, [&](std::int64_t begin, std::int64_t last) HWY_ATTR {
          AddValues(tile, scores + first * kKeyTile, r, end, begin, last);
        });
      }
    }
  }

  /// Sums over keys [k, end) into `to`; false when no row saw any.
  bool chunk(std::int64_t k, std::int64_t end, SoftmaxRows& state, float* to) {
    bool begun = false;
    state.clear(rows, width);
    std::fill_n(to, rows * padded, 0.0f);
    for (; k < end; k += kKeyTile) {
      if (!seen.move(k, std::min(k + kKeyTile, s.k_end))) continue;
      const std::int64_t begin = seen.any().begin / Lanes() * Lanes();
      const std::int64_t last = (seen.any().end + Lanes() - 1) / Lanes() * Lanes();
      score(k, begin, last);
      if (weigh(begin, last, state) && begun) Rescale(rows, padded, state.factor, to);
      add_values(k, to);
      begun = true;
    }
    return begun;
  }

  /// All chunks, or the task's own.
  bool run(SoftmaxRows& state) {
    const Interval hull = seen.hull();
    bool begun = false;
    const std::int64_t first = t.chunk < 0 ? (hull.begin - s.k_begin) / kKeyChunk : t.chunk;
    for (std::int64_t c = s.k_begin + first * kKeyChunk; c < hull.end; c += kKeyChunk) {
      const std::int64_t end = std::min(c + kKeyChunk, hull.end);
      const std::int64_t k = c + std::max<std::int64_t>(hull.begin - c, 0) / kKeyTile * kKeyTile;
      if (k < end) {
        SoftmaxRows part;
        if (!begun) {
          begun = chunk(k, end, state, out);
        } else if (chunk(k, end, part, more)) {
          Merge(rows, width, padded, part, more, state, out);
        }
      }
      if (t.chunk >= 0) break;
    }
    return begun;
  }

  void finish(SoftmaxRows& state, const float* sums) {
    if (sums == nullptr) state.clear(rows, width);
    FinishRows(width, state);
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t row = row_head(i);
      a.lse[row] = state.base[i];
      if (sums != nullptr) {
        Unpack(a.value_dim, sums + i * padded, state.factor[i], a.out + row * a.value_dim);
      } else {
        std::fill_n(a.out + row * a.value_dim, a.value_dim, 0.0f);
      }
    }
  }
};

void RunFewRows(const Attend<float>& a, const FewTask& t) {
  FewRows few(a, t);
  SoftmaxRows state;
  const bool begun = few.run(state);
  if (t.share != nullptr) {
    Share::leave(few.rows, few.width, few.padded, begun, state, few.out, t.share);
  } else {
    few.finish(state, begun ? few.out : nullptr);
  }
}

/// Joins the chunks of a block of key heads, whose shares begin at t.share and lie `stride` apart.
void JoinFewRows(const Attend<float>& a, const FewTask& t, std::int64_t count,
                 std::int64_t stride) {
  FewRows few(a, t);
  SoftmaxRows total;
  few.finish(total, Share::join(few.rows, few.width, few.padded, count, stride, t.share, total));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
namespace {
HWY_EXPORT(RunFewRows);
HWY_EXPORT(JoinFewRows);

std::int64_t keys_of(const AttendPlan::Segment& s) { return s.k_end - s.k_begin; }
std::int64_t chunks_of(const AttendPlan::Segment& s) {
  return std::max<std::int64_t>(1, (keys_of(s) + kKeyChunk - 1) / kKeyChunk);
}

/// Key heads a task: as many as leave a tile of their keys and values half of a small second-level
/// cache, fewer when there would not be two tasks a thread.
std::int64_t heads_at_once(const Attend<float>& a, std::span<const std::int64_t> segments) {
  constexpr std::int64_t kFloats = 64 << 10;
  std::int64_t chunks = 0;
  for (const std::int64_t b : segments) {
    chunks += chunks_of(a.plan->segments[static_cast<std::size_t>(b)]);
  }
  std::int64_t heads =
      std::clamp<std::int64_t>(kFloats / (kKeyTile * (a.dim + a.value_dim + 1)), 1, a.kv_heads);
  while (heads > 1 && chunks * ((a.kv_heads + heads - 1) / heads) < 2 * threads()) heads /= 2;
  return heads;
}

/// What has to be done, and which chunks are to be joined afterwards. How heads are put together
/// hangs on the number of threads, the bits do not.
struct Schedule {
  std::vector<FewTask> tasks, joins;
  std::int64_t shares = 0, stride = 0;

  Schedule(const Attend<float>& a, std::span<const std::int64_t> segments) {
    const std::int64_t group = a.heads / a.kv_heads, most = heads_at_once(a, segments);
    std::int64_t tallest = 0;
    for (const std::int64_t b : segments) {
      const AttendPlan::Segment& s = a.plan->segments[static_cast<std::size_t>(b)];
      const std::int64_t rows = s.q_end - s.q_begin;
      const std::int64_t together = std::min(group, kTallestTile / rows);
      const std::int64_t heads =
          std::min(most, std::max<std::int64_t>(1, kTallestTile / (rows * together)));
      tallest = std::max(tallest, heads * together * rows);
      for (std::int64_t g = 0; g < a.kv_heads; g += heads) {
        for (std::int64_t j = 0; j < group; j += together) {
          add({b, g, std::min(g + heads, a.kv_heads), j, std::min(j + together, group)},
              chunks_of(s));
        }
      }
    }
    stride = share_size(tallest, Scratch::padded(a.value_dim));
  }

  void place(float* share) {
    std::size_t join = 0;
    for (FewTask& t : tasks) {
      if (t.chunk < 0) continue;
      t.share = share;
      share += stride;
      if (t.chunk == 0) joins[join++].share = t.share;
    }
  }

 private:
  void add(FewTask t, std::int64_t chunks) {
    if (chunks == 1) {
      tasks.push_back(t);
      return;
    }
    joins.push_back(t);
    for (t.chunk = 0; t.chunk < chunks; ++t.chunk, ++shares) tasks.push_back(t);
  }
};

}  // namespace

void attend_few_rows(const Attend<float>& a, std::span<const std::int64_t> segments) {
  Schedule todo(a, segments);
  todo.place(PartScratch(todo.shares * todo.stride).take(todo.shares * todo.stride));
  const auto segment = [&](const FewTask& t) -> const AttendPlan::Segment& {
    return a.plan->segments[static_cast<std::size_t>(t.segment)];
  };
  const auto run = HWY_DYNAMIC_DISPATCH(RunFewRows);
  run_tasks(
      todo.tasks,
      [&](const FewTask& t) {  // a head of 256 keys and values of 64 floats takes 1 to 2 µs a row
        const AttendPlan::Segment& s = segment(t);
        const std::int64_t rows = (s.q_end - s.q_begin) * (t.j_end - t.j);
        return (std::min(keys_of(s), kKeyChunk) + 8) * (t.g_end - t.g) * (a.dim + a.value_dim) *
               (rows + 4) / 16;
      },
      [&](const FewTask& t) { run(a, t); });
  const auto merge = HWY_DYNAMIC_DISPATCH(JoinFewRows);
  parallel_for(static_cast<std::int64_t>(todo.joins.size()), 16,
               [&](std::int64_t n, std::int64_t end) {
                 for (; n < end; ++n) {
                   const FewTask& t = todo.joins[static_cast<std::size_t>(n)];
                   merge(a, t, chunks_of(segment(t)), todo.stride);
                 }
               });
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
