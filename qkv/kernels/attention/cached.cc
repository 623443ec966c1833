#include "qkv/kernels/attention/cached.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/cached_part.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/cached.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/cached_chunk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE float Exp2One(float x) { return hn::GetLane(Exp2(hn::Set(F(), x))); }

/// Joins the state of a later chunk to that of the earlier ones.
void Join(std::int64_t width, const float* later, float* state) {
  const F d;
  if (later[2] == 0.0f) return;
  if (state[2] == 0.0f) {
    std::copy_n(later, kStateHead + width, state);
    return;
  }
  const float top = std::max(state[0], later[0]);
  const float keep = Exp2One(state[0] - top), add = Exp2One(later[0] - top);
  state[0] = top;
  state[1] = state[1] * keep + later[1] * add;
  for (std::int64_t e = kStateHead; e < kStateHead + width; e += Lanes()) {
    const VF old = hn::Mul(hn::Load(d, state + e), hn::Set(d, keep));
    hn::Store(hn::MulAdd(hn::Load(d, later + e), hn::Set(d, add), old), d, state + e);
  }
}

/// The weights of a row that were written relative to the maximum of their chunk.
void FinishWeights(const AttendCached<float>& a, std::int64_t chunk, std::int64_t chunks,
                   SeenKeys seen, const float* tops, std::int64_t tops_stride, float top,
                   float inverse, float* weights) {
  std::fill(weights, weights + seen.begin, 0.0f);
  std::fill(weights + seen.end, weights + a.table_stride, 0.0f);
  for (std::int64_t i = 0; i < chunks; ++i) {
    const std::int64_t begin = std::max(seen.begin, (chunk + i) * kCachedChunk);
    const std::int64_t end = std::min(seen.end, (chunk + i + 1) * kCachedChunk);
    if (begin >= end) continue;
    const float factor = Exp2One(tops[i * tops_stride] - top) * inverse;
    for (std::int64_t j = begin; j < end; ++j) weights[j] *= factor;
  }
}

/// Joins the states that the chunks of a part left for head g, [chunks rows stride], and writes the
/// results.
void FinishHead(const AttendCached<float>& a, const CachedPart& part, std::int64_t g,
                std::int64_t chunks, float* states) {
  const F d;
  const std::int64_t stride = state_stride(a), width = stored_width(a.v.dim), lanes = Lanes();
  const std::int64_t group = a.heads / a.kv_heads, step = part.rows * stride;
  const std::int64_t count = query_begin(a, part.b + 1) - query_begin(a, part.b);
  for (std::int64_t r = 0; r < part.rows; ++r) {
    const std::int64_t i = part.row + r, row = QueryRow(a, part.b, g, i);
    float* state = states + r * stride;
    const float first_top = state[0];
    for (std::int64_t c = 1; c < chunks; ++c) Join(width, state + c * step, state);
    float* out = a.out + row * a.v.dim;
    if (state[2] == 0.0f) {
      std::fill_n(out, a.v.dim, 0.0f);
      if (a.weights) std::fill_n(a.weights + row * a.table_stride, a.table_stride, 0.0f);
      continue;
    }
    float top = state[0], keep = 1.0f, total = state[1];
    if (a.sinks) {
      const float sink = a.sinks[g * group + i % group] * static_cast<float>(kLog2E);
      top = std::max(top, sink);
      keep = Exp2One(state[0] - top);
      total = total * keep + Exp2One(sink - top);
    }
    const float inverse = 1.0f / total, factor = keep * inverse;
    std::int64_t e = 0;
    for (; e + lanes <= a.v.dim; e += lanes) {
      hn::StoreU(hn::Mul(hn::Set(d, factor), hn::Load(d, state + kStateHead + e)), d, out + e);
    }
    for (; e < a.v.dim; ++e) out[e] = factor * state[kStateHead + e];
    if (a.weights) {
      state[0] = first_top;  // joining has changed it
      FinishWeights(a, part.chunk, chunks, seen_keys(a, part.b, count, i / group), state, step, top,
                    inverse, a.weights + row * a.table_stride);
    }
  }
}

/// A part from queries to results, or, given `states` [heads rows stride] for the part's one chunk,
/// to those; successive heads are `head_step` floats apart.
template <class Stored>
void AttendPart(const AttendCached<float>& a, const CachedPart& part, float* states,
                std::int64_t head_step) {
  Scratch scratch(part_scratch(a));
  Chunk<Stored> c;
  const std::int64_t width = stored_width(a.v.dim), stride = state_stride(a);
  c.width = stored_width(a.k.dim);
  c.q = scratch.take(kPartRows * c.width);
  c.p = scratch.take(kPartRows * kCachedChunk);
  c.key_scales = scratch.take(kCachedChunk);
  c.value_scales = scratch.take(kCachedChunk);
  float* odd = scratch.take(kPartRows * stride);
  c.odd = width <= 2 * Lanes() ? odd : nullptr;
  float* own = scratch.take(kPartRows * stride);
  float* later = scratch.take(kPartRows * stride);
  for (std::int64_t g = part.g; g < part.g_end; ++g) {
    PackQueries(a, part, g, c);
    if (states) {
      AttendChunk(a, part, g, part.chunk, c, states + (g - part.g) * head_step);
      continue;
    }
    AttendChunk(a, part, g, part.chunk, c, own);
    for (std::int64_t chunk = part.chunk + 1; chunk < part.chunk_end; ++chunk) {
      AttendChunk(a, part, g, chunk, c, later);
      for (std::int64_t r = 0; r < part.rows; ++r) {
        Join(width, later + r * stride, own + r * stride);
      }
    }
    FinishHead(a, part, g, 1, own);
  }
}

void CachedAttend(const AttendCached<float>& a, const CachedPart& part, float* states,
                  std::int64_t head_step) {
  switch (a.k.type) {
    case CacheType::f32:
      return AttendPart<StoredF32>(a, part, states, head_step);
    case CacheType::bf16:
      return AttendPart<StoredBf16>(a, part, states, head_step);
    case CacheType::int8:
      return AttendPart<StoredInt8>(a, part, states, head_step);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
namespace {

HWY_EXPORT(CachedAttend);
HWY_EXPORT(FinishHead);

/// What has to be done. A part whose chunks are tasks of their own leaves their states in memory
/// and is finished when all are there; the others are done in one go.
struct Schedule {
  struct Whole {
    CachedPart part;
    std::int64_t state;  // its first state, or −1; states are [heads chunks rows]
  };
  struct Task {
    std::size_t whole;
    std::int64_t chunk;     // or −1 for all
    std::int64_t g, g_end;  // key heads
  };
  std::vector<Whole> wholes;
  std::vector<Task> tasks;
  std::int64_t states = 0;
  double work = 0.0;   // multiply-adds
  double bytes = 0.0;  // of keys and values
};

/// Tasks below this many multiply-adds, some microseconds, are not worth being handed out.
constexpr std::int64_t kTaskWork = 65536;

/// What is larger than a second-level cache is asked for ahead of time; below, that costs up to
/// half again of the time.
constexpr double kStreamedBytes = 2 << 20;

Schedule schedule(const AttendCached<float>& a) {
  Schedule to;
  const std::int64_t group = a.heads / a.kv_heads, width = a.k.dim + a.v.dim;
  to.wholes.reserve(static_cast<std::size_t>(a.rows));
  to.tasks.reserve(static_cast<std::size_t>(a.rows));
  for (std::int64_t b = 0; b < a.rows; ++b) {
    const std::int64_t count = query_begin(a, b + 1) - query_begin(a, b), rows = count * group;
    const std::int64_t begin = seen_keys(a, b, count, 0).begin, chunk = begin / kCachedChunk;
    const std::int64_t chunk_end =
        std::max((a.lengths[b] + kCachedChunk - 1) / kCachedChunk, chunk + 1);
    // Many rows make enough tasks as they are, and their states would fill memory.
    const bool split = a.weights || (chunk_end - chunk > 1 && rows <= 4 * kPartRows);
    const std::size_t before = to.wholes.size();
    for (std::int64_t row = 0; row < rows; row += kPartRows) {
      const std::int64_t height = std::min(kPartRows, rows - row);
      const CachedPart part{b, row, height, 0, a.kv_heads, chunk, chunk_end};
      to.wholes.push_back({part, split ? to.states : -1});
      if (split) to.states += a.kv_heads * height * (chunk_end - chunk);
    }
    const std::int64_t keys =
        split ? std::min(kCachedChunk, a.lengths[b] - begin) : std::int64_t{a.lengths[b]} - begin;
    const std::int64_t head_work = std::min(kPartRows, rows) * keys * width + 1;
    const std::int64_t heads = std::min(a.kv_heads, (kTaskWork - 1) / head_work + 1);
    for (std::int64_t c = split ? chunk : -1; c < (split ? chunk_end : 0); ++c) {
      for (std::size_t whole = before; whole < to.wholes.size(); ++whole) {
        for (std::int64_t g = 0; g < a.kv_heads; g += heads) {
          to.tasks.push_back({whole, c, g, std::min(a.kv_heads, g + heads)});
        }
      }
    }
    to.bytes += static_cast<double>((a.lengths[b] - begin) * a.kv_heads * width *
                                    stored_element_bytes(a.k.type));
    to.work += static_cast<double>((a.lengths[b] - begin) * a.heads * count * width);
  }
  return to;
}

}  // namespace

void attend_cached(const AttendCached<float>& a) {
  const auto attend = HWY_DYNAMIC_DISPATCH(CachedAttend);
  const auto finish = HWY_DYNAMIC_DISPATCH(FinishHead);
  const Schedule todo = schedule(a);
  const std::int64_t stride = state_stride(a);
  const auto n = static_cast<std::int64_t>(todo.tasks.size());
  // Aligned and not initialised: states are written before they are read.
  struct Free {
    void operator()(float* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  const std::unique_ptr<float, Free> memory(static_cast<float*>(::operator new (
      static_cast<std::size_t>(todo.states * stride) * sizeof(float), std::align_val_t{64})));
  const auto state = [&](const Schedule::Whole& whole, std::int64_t g, std::int64_t chunk) {
    const CachedPart& part = whole.part;
    const std::int64_t before = g * (part.chunk_end - part.chunk) + chunk - part.chunk;
    return memory.get() + (whole.state + before * part.rows) * stride;
  };
  const auto grain =
      static_cast<std::int64_t>(static_cast<double>(kTaskWork * n) / (todo.work + 1));
  parallel_for(n, std::clamp<std::int64_t>(grain, 1, 64), [&](std::int64_t i, std::int64_t end) {
    for (; i < end; ++i) {
      const Schedule::Task& task = todo.tasks[static_cast<std::size_t>(i)];
      const Schedule::Whole& whole = todo.wholes[task.whole];
      CachedPart part = whole.part;
      part.g = task.g;
      part.g_end = task.g_end;
      part.stream = todo.bytes > kStreamedBytes;
      if (task.chunk < 0) {
        attend(a, part, nullptr, 0);
        continue;
      }
      part.chunk = task.chunk;
      part.chunk_end = task.chunk + 1;
      const std::int64_t chunks = whole.part.chunk_end - whole.part.chunk;
      attend(a, part, state(whole, part.g, part.chunk), chunks * part.rows * stride);
    }
  });
  if (todo.states == 0) return;
  parallel_for(static_cast<std::int64_t>(todo.wholes.size()) * a.kv_heads, 16,
               [&](std::int64_t i, std::int64_t end) {
                 for (; i < end; ++i) {
                   const Schedule::Whole& whole =
                       todo.wholes[static_cast<std::size_t>(i / a.kv_heads)];
                   if (whole.state < 0) continue;
                   const std::int64_t g = i % a.kv_heads;
                   finish(a, whole.part, g, whole.part.chunk_end - whole.part.chunk,
                          state(whole, g, whole.part.chunk));
                 }
               });
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
