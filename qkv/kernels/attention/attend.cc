#include "qkv/kernels/attention/attend.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "qkv/kernels/attention/few_rows.h"
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
#include "qkv/kernels/attention/join-inl.h"
#include "qkv/kernels/attention/tile-inl.h"
#include "qkv/kernels/attention/weights-inl.h"

// Forward. A task is a tile of query rows of one head against the keys it sees, in chunks of
// kKeyChunk keys that are summed on their own and then merged in order: when few rows meet many
// keys, every chunk is a task and the bits stay the same.

#ifndef QKV_KERNELS_ATTENTION_ATTEND_CC_ONCE
#define QKV_KERNELS_ATTENTION_ATTEND_CC_ONCE
namespace qkv::kernels {
namespace {

/// Where the rows of one key head lie, from the first key of a segment on.
struct KeyRows {
  const float* k;
  std::int64_t k_stride;
  const float* v;
  std::int64_t v_stride;
  bool packed;  // rows are whole vectors
};

struct ForwardTask : Task {
  KeyRows rows;
  std::int64_t chunk = -1;   // all of them
  float* partial = nullptr;  // a chunk's Share
};

}  // namespace
}  // namespace qkv::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {
namespace {

struct ForwardTile {
  const Attend<float>& a;
  const ForwardTask& t;
  const AttendPlan::Segment& s;
  std::int64_t rows, width, padded;
  float *queries, *scores, *values, *out, *more;
  RowKeys keys;
  bool masked = false;

  ForwardTile(const Attend<float>& args, const ForwardTask& task)
      : a(args),
        t(task),
        s(a.plan->segments[static_cast<std::size_t>(t.segment)]),
        rows(t.last - t.first),
        width((rows + Lanes() - 1) / Lanes() * Lanes()),
        padded(Scratch::padded(a.value_dim)) {
    Scratch scratch((a.dim + kKeyTile) * width + (kKeyTile + 2 * rows) * padded + 96);
    queries = scratch.take(a.dim * width);     // [D][row]
    scores = scratch.take(kKeyTile * width);   // [key][row]
    values = scratch.take(kKeyTile * padded);  // when they cannot be read where they lie
    out = scratch.take(rows * padded);
    more = scratch.take(rows * padded);
    keys.draw(a.dropout, t.first * a.heads + t.head, a.heads, rows, width);
    PackTransposed(rows, a.dim, a.q + (t.first * a.heads + t.head) * a.dim, a.heads * a.dim,
                   static_cast<float>(a.scale) * kLog2E, queries, width);
  }

  /// Sums over keys [k, end) into `to`, which is written when the return value is true; else no row
  /// saw any.
  bool chunk(std::int64_t k, std::int64_t end, bool guarded, RowCover& cover, SoftmaxRows& state,
             float* to) {
    bool begun = false;
    state.clear(rows, width);
    for (; k < end; k += kKeyTile) {
      const std::int64_t count = std::min(kKeyTile, s.k_end - k), from = k - s.k_begin;
      const Cover seen = cover.move(k, k + count);
      if (seen == Cover::none) continue;
      const RowCover* mask = seen == Cover::some ? &cover : nullptr;
      masked |= seen == Cover::some;
      CoveredScores(count, width, a.dim, t.rows.k + from * t.rows.k_stride, t.rows.k_stride,
                    queries, mask, scores);
      const bool grown = mask ? MaskedMaxima(count, width, cover, scores, state)
                              : Maxima(count, width, scores, state);
      if (grown && begun) Rescale(rows, padded, state.factor, to);
      if (a.dropout.active()) {
        Weights<true>(count, width, from, a.dropout, keys, mask, scores, state);
      } else {
        Weights<false>(count, width, from, a.dropout, keys, mask, scores, state);
      }
      const float* v = t.rows.v + from * t.rows.v_stride;
      std::int64_t stride = t.rows.v_stride;
      if (padded != a.value_dim && !t.rows.packed) {
        PackRows(count, a.value_dim, v, stride, values, padded);
        v = values;
        stride = padded;
      }
      CoveredRows(guarded, rows, width, count, scores, v, stride, mask, to, padded, begun);
      begun = true;
    }
    return begun;
  }

  /// All chunks that the rows see; true when something was seen.
  bool run(bool guarded, SoftmaxRows& state) {
    RowCover cover(*a.plan, t.first, rows);
    const Interval hull = cover.hull();
    const std::int64_t first = t.chunk < 0 ? (hull.begin - s.k_begin) / kKeyChunk : t.chunk;
    bool begun = false;
    for (std::int64_t c = s.k_begin + first * kKeyChunk; c < hull.end; c += kKeyChunk) {
      const std::int64_t end = std::min(c + kKeyChunk, hull.end);
      const std::int64_t k = c + std::max<std::int64_t>(hull.begin - c, 0) / kKeyTile * kKeyTile;
      if (k < end) {
        SoftmaxRows part;
        if (!begun) {
          begun = chunk(k, end, guarded, cover, state, out);
        } else if (chunk(k, end, guarded, cover, part, more)) {
          Merge(rows, width, padded, part, more, state, out);
        }
      }
      if (t.chunk >= 0) break;
    }
    return begun;
  }
};

/// Writes a tile's rows; false when a value that is not finite is among them.
bool Finish(const Attend<float>& a, const Task& t, std::int64_t width, SoftmaxRows& state,
            const float* out, bool begun) {
  const std::int64_t rows = t.last - t.first, padded = Scratch::padded(a.value_dim);
  if (!begun) state.clear(rows, width);
  FinishRows(width, state);
  bool finite = true;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = (t.first + r) * a.heads + t.head;
    a.lse[row] = state.base[r];
    if (begun) {
      finite &= Unpack(a.value_dim, out + r * padded, state.factor[r], a.out + row * a.value_dim);
    } else {
      std::fill_n(a.out + row * a.value_dim, a.value_dim, 0.0f);
    }
  }
  return finite;
}

/// A value that is not finite may come from a key that a mask hides: then all is done again,
/// guarded.
void RunTile(const Attend<float>& a, const ForwardTask& t) {
  ForwardTile tile(a, t);
  SoftmaxRows state;
  const auto once = [&](bool guarded) {
    const bool begun = tile.run(guarded, state);
    if (t.partial == nullptr) return Finish(a, t, tile.width, state, tile.out, begun);
    return Share::leave(tile.rows, tile.width, tile.padded, begun, state, tile.out, t.partial);
  };
  if (!once(false) && tile.masked) once(true);
}

/// Copies keys [begin, end) and their values to where `rows` says, in whole vectors.
void PackKeys(const Attend<float>& a, std::int64_t head, std::int64_t begin, std::int64_t end,
              float* keys, float* values) {
  PackRows(end - begin, a.dim, a.k + (begin * a.kv_heads + head) * a.dim, a.kv_heads * a.dim, keys,
           Scratch::padded(a.dim));
  PackRows(end - begin, a.value_dim, a.v + (begin * a.kv_heads + head) * a.value_dim,
           a.kv_heads * a.value_dim, values, Scratch::padded(a.value_dim));
}

/// One tile, or, when the task has no keys yet, all tiles of a key head, which then share a copy.
void RunForward(const Attend<float>& a, const ForwardTask& t) {
  if (t.rows.k != nullptr) return RunTile(a, t);
  const AttendPlan::Segment& s = a.plan->segments[static_cast<std::size_t>(t.segment)];
  const std::int64_t n = s.k_end - s.k_begin, group = a.heads / a.kv_heads;
  const std::int64_t dp = Scratch::padded(a.dim), vp = Scratch::padded(a.value_dim);
  KeyScratch scratch(n * (dp + vp));
  float* keys = scratch.take(n * dp);
  float* values = scratch.take(n * vp);
  PackKeys(a, t.head, s.k_begin, s.k_end, keys, values);
  ForwardTask one = t;
  one.rows = {keys, dp, values, vp, true};
  for (one.head = t.head * group; one.head < (t.head + 1) * group; ++one.head) {
    for (one.first = t.first; one.first < t.last; one.first = one.last) {
      one.last = std::min(one.first + query_tile(std::max(a.dim, a.value_dim)), t.last);
      RunTile(a, one);
    }
  }
}

/// Joins the `count` chunks of a tile, whose shares begin at t.partial and lie `stride` apart.
void JoinChunks(const Attend<float>& a, const ForwardTask& t, std::int64_t count,
                std::int64_t stride) {
  const std::int64_t rows = t.last - t.first, padded = Scratch::padded(a.value_dim);
  const std::int64_t width = (rows + Lanes() - 1) / Lanes() * Lanes();
  SoftmaxRows total;
  const float* out = Share::join(rows, width, padded, count, stride, t.partial, total);
  Finish(a, t, width, total, out, out != nullptr);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
namespace {
HWY_EXPORT(RunForward);
HWY_EXPORT(JoinChunks);
HWY_EXPORT(PackKeys);

/// Where the tasks of a call find the keys. Rows of one head that lie a power of two apart fall on
/// the same few lines of the cache; so when they are read more than once they are copied head by
/// head: by each task for itself where one task does all of a key head, which is best while such
/// tasks are many, else beforehand for all.
class KeyPlaces {
 public:
  explicit KeyPlaces(const Attend<float>& a)
      : a_(a), tile_(query_tile(std::max(a.dim, a.value_dim))), at_(a.plan->segments.size(), -1) {
    whole_heads_ =
        static_cast<std::int64_t>(at_.size()) * a.kv_heads >= kTasksPerThread * threads();
    struct Piece {
      std::size_t segment;
      std::int64_t head, begin, end;
    };
    std::vector<Piece> pieces;
    std::int64_t size = 0;
    for (std::size_t b = 0; b < at_.size(); ++b) {
      const AttendPlan::Segment& s = a.plan->segments[b];
      if (in_place(s) || by_task(s)) continue;
      at_[b] = size;
      size += (s.k_end - s.k_begin) * a.kv_heads *
              (Scratch::padded(a.dim) + Scratch::padded(a.value_dim));
      for (std::int64_t h = 0; h < a.kv_heads; ++h) {
        for (std::int64_t k = s.k_begin; k < s.k_end; k += kPiece) {
          pieces.push_back({b, h, k, std::min(k + kPiece, s.k_end)});
        }
      }
    }
    if (pieces.empty()) return;
    block_ = KeyScratch(size).take(size);
    const auto pack = HWY_DYNAMIC_DISPATCH(PackKeys);
    parallel_for(static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t p, std::int64_t) {
      const Piece& x = pieces[static_cast<std::size_t>(p)];
      const std::int64_t k = x.begin - a.plan->segments[x.segment].k_begin;
      const auto [keys, values] = packed(x.segment, x.head);
      pack(a, x.head, x.begin, x.end, keys + k * Scratch::padded(a.dim),
           values + k * Scratch::padded(a.value_dim));
    });
  }

  /// Whether one task is to do all of a key head of this segment, and to copy its keys.
  bool by_task(const AttendPlan::Segment& s) const { return whole_heads_ && !in_place(s); }
  KeyRows rows(std::size_t segment, std::int64_t head) const {
    if (at_[segment] >= 0) {
      const auto [keys, values] = packed(segment, head);
      return {keys, Scratch::padded(a_.dim), values, Scratch::padded(a_.value_dim), true};
    }
    const std::int64_t k = a_.plan->segments[segment].k_begin * a_.kv_heads + head;
    return {a_.k + k * a_.dim, a_.kv_heads * a_.dim, a_.v + k * a_.value_dim,
            a_.kv_heads * a_.value_dim, false};
  }

 private:
  static constexpr std::int64_t kPiece = 512, kTasksPerThread = 4;

  bool in_place(const AttendPlan::Segment& s) const {
    const bool once = (s.q_end - s.q_begin) * (a_.heads / a_.kv_heads) <= tile_;
    const bool lies_so = a_.kv_heads == 1 && a_.value_dim == Scratch::padded(a_.value_dim);
    return once || lies_so;
  }
  std::pair<float*, float*> packed(std::size_t segment, std::int64_t head) const {
    const AttendPlan::Segment& s = a_.plan->segments[segment];
    const std::int64_t n = s.k_end - s.k_begin;
    const std::int64_t dp = Scratch::padded(a_.dim), vp = Scratch::padded(a_.value_dim);
    float* keys = block_ + at_[segment] + head * n * (dp + vp);
    return {keys, keys + n * dp};
  }

  const Attend<float>& a_;
  std::int64_t tile_;
  std::vector<std::int64_t> at_;
  bool whole_heads_;
  float* block_ = nullptr;
};

}  // namespace

void attend(const Attend<float>& a) {
  const AttendPath path = attend_path(*a.plan, a.form, a.entropy);
  if (path == AttendPath::neighbour_rows) return attend_lists(a);
  if (path != AttendPath::product_tiles) return attend_general(a);
  const AttendPlan& plan = *a.plan;
  each_gap(plan, false, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.out + begin * a.heads * a.value_dim, a.out + end * a.heads * a.value_dim, 0.0f);
    std::fill(a.lse + begin * a.heads, a.lse + end * a.heads,
              -std::numeric_limits<float>::infinity());
  });
  const std::int64_t tile = query_tile(std::max(a.dim, a.value_dim));
  const KeyPlaces places(a);
  std::vector<ForwardTask> tasks, joins;
  std::vector<std::int64_t> chunks;  // of each join
  const std::int64_t stride = share_size(tile, Scratch::padded(a.value_dim));
  std::int64_t partials = 0;
  std::vector<std::int64_t> few;
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    const AttendPlan::Segment& s = plan.segments[b];
    if (few_rows(s, a.dropout.active())) {
      if (s.q_begin < s.q_end) few.push_back(static_cast<std::int64_t>(b));
      continue;
    }
    const std::int64_t most = (s.k_end - s.k_begin + kKeyChunk - 1) / kKeyChunk;
    const bool split = most > 1 && s.q_end - s.q_begin <= tile;
    if (places.by_task(s)) {
      for (std::int64_t g = 0; g < a.kv_heads; ++g) {
        ForwardTask t{};
        t.segment = static_cast<std::int64_t>(b);
        t.head = g;
        t.first = s.q_begin;
        t.last = s.q_end;
        tasks.push_back(t);
      }
      continue;
    }
    for (std::int64_t h = 0; h < a.heads; ++h) {
      ForwardTask t{};
      t.segment = static_cast<std::int64_t>(b);
      t.head = h;
      t.rows = places.rows(b, h / (a.heads / a.kv_heads));
      t.chunk = -1;
      for (t.first = s.q_begin; t.first < s.q_end; t.first += tile) {
        t.last = std::min(t.first + tile, s.q_end);
        if (!split) {
          tasks.push_back(t);
          continue;
        }
        joins.push_back(t);
        chunks.push_back(most);
        for (t.chunk = 0; t.chunk < most; ++t.chunk, ++partials) tasks.push_back(t);
        t.chunk = -1;
      }
    }
  }
  if (!few.empty()) attend_few_rows(a, few);
  if (tasks.empty()) return;
  float* shares = PartScratch(partials * stride).take(partials * stride);
  std::int64_t next = 0, join = 0;
  for (ForwardTask& t : tasks) {
    if (t.chunk < 0) continue;
    t.partial = shares + next++ * stride;
    if (t.chunk == 0) joins[static_cast<std::size_t>(join++)].partial = t.partial;
  }
  const auto run = HWY_DYNAMIC_DISPATCH(RunForward);
  run_tasks(
      tasks,
      [&](const ForwardTask& t) {
        const AttendPlan::Segment& s = plan.segments[static_cast<std::size_t>(t.segment)];
        const std::int64_t keys = t.chunk < 0 ? s.k_end - s.k_begin : kKeyChunk;
        return (t.last - t.first + 8) * (keys + 8) * (t.rows.k ? 1 : a.heads / a.kv_heads);
      },
      [&](const ForwardTask& t) { run(a, t); });
  const auto merge = HWY_DYNAMIC_DISPATCH(JoinChunks);
  for (std::size_t i = 0; i < joins.size(); ++i) merge(a, joins[i], chunks[i], stride);
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
