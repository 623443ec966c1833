// One chunk of cached keys and the query rows of one key head: scores, weights and sums of values.
// Compiled once per instruction set; included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_CACHED_CHUNK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_CACHED_CHUNK_INL_H_
#undef QKV_KERNELS_ATTENTION_CACHED_CHUNK_INL_H_
#else
#define QKV_KERNELS_ATTENTION_CACHED_CHUNK_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "qkv/kernels/attention/cached-inl.h"
#include "qkv/kernels/attention/cached_part.h"
#include "qkv/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

inline constexpr double kLog2E = 1.4426950408889634;

/// Keys that stay in the first-level cache while all rows of a part go over them: 16 KiB at D =
/// 128.
inline constexpr std::int64_t kKeyTile = 32;

/// Values go by in several passes where registers do not hold all sums: the shorter the tile, the
/// more in order memory is read.
inline constexpr std::int64_t kValueTile = 16;

/// One part at one chunk. `keys` and `values` point at what is stored of head 0 for the keys that
/// some row sees, counted from the chunk's first; head g stands `head` rows behind. Row r sees
/// [seen[r].begin, seen[r].end), all of them [begin, end).
template <class Stored>
struct Chunk {
  using Element = typename Stored::Element;
  std::int64_t number = -1, rows = 0, begin = 0, end = 0, head = 0;
  bool fetch = false;  // whether rows are asked for ahead of time
  SeenKeys seen[kPartRows];
  const std::int32_t* table;
  const Element* keys[kCachedChunk + kAhead];
  const Element* values[kCachedChunk + kAhead];
  std::int64_t width;   // of keys
  float* q;             // [rows width], scaled
  float* p;             // [rows kCachedChunk]: scores, then weights
  float* key_scales;    // [kCachedChunk] for int8
  float* value_scales;  // [kCachedChunk]
  float* odd;           // room for the sums of odd keys, or null
};

/// Which keys each row sees and where they stand.
template <class Stored>
void FindKeys(const AttendCached<float>& a, const CachedPart& part, std::int64_t chunk,
              Chunk<Stored>& c) {
  const std::int64_t group = a.heads / a.kv_heads, first = chunk * kCachedChunk;
  const std::int64_t count = query_begin(a, part.b + 1) - query_begin(a, part.b);
  c.number = chunk;
  c.rows = part.rows;
  c.begin = kCachedChunk;
  c.end = 0;
  for (std::int64_t r = 0; r < part.rows; ++r) {
    const SeenKeys all = seen_keys(a, part.b, count, (part.row + r) / group);
    SeenKeys& seen = c.seen[r];
    seen.end = std::clamp<std::int64_t>(all.end - first, 0, kCachedChunk);
    seen.begin = std::clamp<std::int64_t>(all.begin - first, 0, seen.end);
    if (seen.begin == seen.end) continue;
    c.begin = std::min(c.begin, seen.begin);
    c.end = std::max(c.end, seen.end);
  }
  if (c.begin >= c.end) return;
  using Element = typename Stored::Element;
  const auto* keys = static_cast<const Element*>(a.k.data);
  const auto* values = static_cast<const Element*>(a.v.data);
  const std::int64_t value_width = stored_width(a.v.dim);
  c.table = a.table + part.b * a.table_stride + first;
  for (std::int64_t j = c.begin; j < c.end; ++j) {
    c.keys[j] = keys + c.table[j] * c.width;
    c.values[j] = values + c.table[j] * value_width;
  }
  // Keys are taken by fours: those before the first and behind the last stand for them.
  for (std::int64_t j = c.begin / 4 * 4; j < c.begin; ++j) c.keys[j] = c.keys[c.begin];
  std::int64_t at = c.end;
  for (; at % 4 != 0; ++at) c.keys[at] = c.keys[c.end - 1];
  // What is fetched behind the keys are the values.
  c.fetch = part.stream && sizeof(Element) > 1 && c.end - c.begin >= 4 * kAhead;
  if (!c.fetch) return;
  for (; at < c.end + kAhead; ++at) c.keys[at] = c.values[c.begin + at - c.end];
  std::fill_n(c.values + c.end, kAhead, c.values[c.end - 1]);
}

/// Query row i of a hypothesis and head g: its place among all rows of q, out and weights.
HWY_INLINE std::int64_t QueryRow(const AttendCached<float>& a, std::int64_t b, std::int64_t g,
                                 std::int64_t i) {
  const std::int64_t group = a.heads / a.kv_heads;
  return (query_begin(a, b) + i / group) * a.heads + g * group + i % group;
}

/// The queries, scaled so that their products are what Exp2 or the cap want.
template <class Stored>
void PackQueries(const AttendCached<float>& a, const CachedPart& part, std::int64_t g,
                 Chunk<Stored>& c) {
  const F d;
  const auto scale =
      static_cast<float>(a.soft_cap != 0.0 ? a.scale / a.soft_cap : a.scale * kLog2E);
  const std::int64_t whole = a.k.dim / Lanes() * Lanes();
  for (std::int64_t r = 0; r < part.rows; ++r) {
    const float* from = a.q + QueryRow(a, part.b, g, part.row + r) * a.k.dim;
    float* to = c.q + r * c.width;
    for (std::int64_t x = 0; x < whole; x += Lanes()) {
      hn::Store(hn::Mul(hn::Set(d, scale), hn::LoadU(d, from + x)), d, to + x);
    }
    for (std::int64_t x = whole; x < a.k.dim; ++x) to[x] = scale * from[x];
    for (std::int64_t x = a.k.dim; x < c.width; ++x) to[x] = 0.0f;
  }
}

template <class Stored, int R>
HWY_INLINE std::int64_t ScoreRows(const Chunk<Stored>& c, std::int64_t r, std::int64_t begin,
                                  std::int64_t end) {
  for (; r + R <= c.rows; r += R) {
    for (std::int64_t j = begin; j < end; j += 4) {
      for (std::int64_t i = j; r == 0 && c.fetch && i < j + 4; ++i) {
        Fetch(c.keys[i + kAhead - 4] + c.head * c.width, c.width);
      }
      ScoreFour<Stored, R>(c.keys + j, c.head * c.width, c.width, c.q + r * c.width,
                           c.p + r * kCachedChunk + j, kCachedChunk);
    }
  }
  return r;
}

template <class Stored>
void ScoreKeys(const Chunk<Stored>& c) {
  for (std::int64_t j = c.begin / 4 * 4; j < c.end;) {
    const std::int64_t end = std::min((j / kKeyTile + 1) * kKeyTile, (c.end + 3) / 4 * 4);
    std::int64_t r = 0;
    if constexpr (kRowsAtOnce == 4) r = ScoreRows<Stored, 4>(c, r, j, end);
    r = ScoreRows<Stored, 2>(c, r, j, end);
    ScoreRows<Stored, 1>(c, r, j, end);
    j = end;
  }
}

/// Scores of row r to weights 2^(s − top); `state` gets top and their sum.
template <class Stored>
void Weigh(const AttendCached<float>& a, const Chunk<Stored>& c, std::int64_t r, std::int64_t head,
           std::int64_t last, float* state) {
  const F d;
  const I di;
  const std::int64_t lanes = Lanes(), from = c.seen[r].begin / lanes * lanes;
  const VF hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  const VF cap = hn::Set(d, static_cast<float>(a.soft_cap * kLog2E));
  const VF slope = hn::Set(d, a.slopes ? a.slopes[head] * static_cast<float>(kLog2E) : 0.0f);
  const auto begin = hn::Set(di, static_cast<std::int32_t>(c.seen[r].begin));
  const auto end = hn::Set(di, static_cast<std::int32_t>(c.seen[r].end));
  // A row of −∞ alone must not become ∞ − ∞ here: other chunks may hold more.
  VF top = hn::Set(d, std::numeric_limits<float>::lowest());
  float* p = c.p + r * kCachedChunk;
  for (std::int64_t j = from; j < c.seen[r].end; j += lanes) {
    VF s = hn::Load(d, p + j);
    if constexpr (sizeof(typename Stored::Element) == 1) {
      s = hn::Mul(s, hn::Load(d, c.key_scales + j));
    }
    if (a.soft_cap != 0.0) s = hn::Mul(cap, Tanh(d, s));
    const auto at = hn::Iota(di, static_cast<std::int32_t>(j));
    if (a.slopes) {
      const auto to_last = hn::Sub(at, hn::Set(di, static_cast<std::int32_t>(last)));
      s = hn::MulAdd(slope, hn::ConvertTo(d, to_last), s);
    }
    const auto seen = hn::AndNot(hn::Lt(at, begin), hn::Lt(at, end));
    s = hn::IfThenElse(hn::RebindMask(d, seen), s, hidden);
    hn::Store(s, d, p + j);
    top = hn::Max(top, s);
  }
  top = hn::MaxOfLanes(d, top);
  VF sum = hn::Zero(d);
  for (std::int64_t j = from; j < c.seen[r].end; j += lanes) {
    const VF weight = Exp2(hn::Sub(hn::Load(d, p + j), top));
    sum = hn::Add(sum, weight);
    hn::Store(weight, d, p + j);
  }
  state[0] = hn::GetLane(top);
  state[1] = hn::GetLane(hn::SumOfLanes(d, sum));
}

template <class Stored, int R>
HWY_INLINE std::int64_t AddRows(const Chunk<Stored>& c, std::int64_t r, std::int64_t begin,
                                std::int64_t end, const Sums& sums) {
  const auto from = [&](std::int64_t row) {
    const std::int64_t at = row * sums.stride;
    return Sums{sums.even + at, sums.odd ? sums.odd + at : nullptr, sums.stride, sums.width};
  };
  const std::int64_t head = c.head * sums.width;
  for (; r + R <= c.rows; r += R) {
    bool alike = true;  // the R rows see the same keys of [begin, end)
    SeenKeys seen[R];
    for (std::int64_t i = 0; i < R; ++i) {
      seen[i] = {std::max(begin, c.seen[r + i].begin), std::min(end, c.seen[r + i].end)};
      alike = alike && seen[i].begin == seen[0].begin && seen[i].end == seen[0].end;
    }
    if (alike) {
      WeightedSum<Stored, R>(c.values, seen[0].begin, seen[0].end, head, c.p + r * kCachedChunk,
                             kCachedChunk, from(r), c.fetch && r == 0);
      continue;
    }
    for (std::int64_t i = 0; i < R; ++i) {
      WeightedSum<Stored, 1>(c.values, seen[i].begin, seen[i].end, head,
                             c.p + (r + i) * kCachedChunk, kCachedChunk, from(r + i), false);
    }
  }
  return r;
}

template <class Stored>
void AddAllValues(const Chunk<Stored>& c, const Sums& sums) {
  // A single row goes over whole rows of values by itself, in order.
  const std::int64_t tile = c.rows == 1 ? kCachedChunk : kValueTile;
  for (std::int64_t j = c.begin; j < c.end;) {
    const std::int64_t end = std::min((j / tile + 1) * tile, c.end);
    std::int64_t r = 0;
    if constexpr (kRowsAtOnce == 4) r = AddRows<Stored, 4>(c, r, j, end, sums);
    r = AddRows<Stored, 2>(c, r, j, end, sums);
    AddRows<Stored, 1>(c, r, j, end, sums);
    j = end;
  }
}

/// The weights of row r of head g, before they take part; for int8 they then take the values'
/// scales.
template <class Stored>
void WeighRow(const AttendCached<float>& a, const CachedPart& part, std::int64_t g, std::int64_t r,
              const Chunk<Stored>& c, float* state) {
  const std::int64_t group = a.heads / a.kv_heads, i = part.row + r;
  const std::int64_t count = query_begin(a, part.b + 1) - query_begin(a, part.b);
  const std::int64_t first = c.number * kCachedChunk;
  const std::int64_t last = seen_keys(a, part.b, count, i / group).end - 1;
  const SeenKeys seen = c.seen[r];
  Weigh(a, c, r, g * group + i % group, last - first, state);
  float* p = c.p + r * kCachedChunk;
  if (a.weights) {
    float* weights = a.weights + QueryRow(a, part.b, g, i) * a.table_stride;
    std::copy(p + seen.begin, p + seen.end, weights + first + seen.begin);
  }
  if constexpr (sizeof(typename Stored::Element) == 1) {
    for (std::int64_t j = seen.begin; j < seen.end; ++j) p[j] *= c.value_scales[j];
  }
}

/// The states of a part's rows of head g after one chunk.
template <class Stored>
void AttendChunk(const AttendCached<float>& a, const CachedPart& part, std::int64_t g,
                 std::int64_t chunk, Chunk<Stored>& c, float* states) {
  const F d;
  const std::int64_t stride = state_stride(a);
  if (c.number != chunk) FindKeys(a, part, chunk, c);
  for (std::int64_t r = 0; r < part.rows; ++r) {
    states[r * stride + 2] = c.seen[r].begin < c.seen[r].end ? 1.0f : 0.0f;
  }
  if (c.begin >= c.end) return;
  c.head = g * kCachePage;
  if constexpr (sizeof(typename Stored::Element) == 1) {
    for (std::int64_t j = c.begin; j < c.end; ++j) {
      c.key_scales[j] = a.k.scales[c.table[j] + c.head];
      c.value_scales[j] = a.v.scales[c.table[j] + c.head];
    }
  }
  ScoreKeys(c);
  const Sums sums{states + kStateHead, c.odd, stride, stride - kStateHead};
  for (std::int64_t r = 0; r < part.rows; ++r) {
    float* even = sums.even + r * stride;
    for (std::int64_t e = 0; e < sums.width; e += Lanes()) hn::Store(hn::Zero(d), d, even + e);
    for (std::int64_t e = 0; c.odd && e < sums.width; e += Lanes()) {
      hn::Store(hn::Zero(d), d, c.odd + r * stride + e);
    }
    if (c.seen[r].begin < c.seen[r].end) WeighRow(a, part, g, r, c, states + r * stride);
  }
  AddAllValues(c, sums);
  for (std::int64_t r = 0; c.odd && r < part.rows; ++r) {
    float* even = sums.even + r * stride;
    for (std::int64_t e = 0; e < sums.width; e += Lanes()) {
      hn::Store(hn::Add(hn::Load(d, even + e), hn::Load(d, c.odd + r * stride + e)), d, even + e);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
