// The inner loops of attention with few query rows: scores with keys in the lanes, and the keys
// that each row sees. Compiled once per instruction set; included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_FEW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_FEW_ROWS_INL_H_
#undef QKV_KERNELS_ATTENTION_FEW_ROWS_INL_H_
#else
#define QKV_KERNELS_ATTENTION_FEW_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include "qkv/kernels/attention/path.h"
#include "qkv/kernels/attention/weights-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Whether there are 32 vector registers, not 16.
inline constexpr bool kManyRegisters = HWY_TARGET <= HWY_AVX3;

/// The keys of a tile that each query row of a sequence sees, counted from the tile's first.
class SeenKeys {
 public:
  SeenKeys(const AttendPlan& plan, const AttendPlan::Segment& s) : plan_(plan), s_(s) {
    hull_ = {s.k_end, s.k_begin};
    for (std::int64_t row = s.q_begin; row < s.q_end; ++row) {
      std::int64_t& x = cursor_[row - s.q_begin];
      x = plan.row_offsets[static_cast<std::size_t>(row)];
      const std::int64_t end = plan.row_offsets[static_cast<std::size_t>(row) + 1];
      if (x == end) continue;
      hull_.begin = std::min(hull_.begin, at(x).begin);
      hull_.end = std::max(hull_.end, at(end - 1).end);
    }
  }
  /// All keys that any row sees lie in here, counted as the plan does.
  Interval hull() const { return hull_; }

  /// Moves to a later tile [k_begin, k_end). False when no row sees any of it.
  bool move(std::int64_t k_begin, std::int64_t k_end) {
    any_ = {k_end - k_begin, 0};
    for (std::int64_t row = s_.q_begin; row < s_.q_end; ++row) {
      const std::int64_t r = row - s_.q_begin;
      const std::int64_t end = plan_.row_offsets[static_cast<std::size_t>(row) + 1];
      std::int64_t& x = cursor_[r];
      while (x < end && at(x).end <= k_begin) ++x;
      runs_[r] = 0;
      for (std::int64_t y = x; y < end && at(y).begin < k_end; ++y) {
        const Interval seen{std::max(at(y).begin, k_begin) - k_begin,
                            std::min(at(y).end, k_end) - k_begin};
        run_[r][runs_[r]++] = seen;
        any_ = {std::min(any_.begin, seen.begin), std::max(any_.end, seen.end)};
      }
    }
    return any_.begin < any_.end;
  }
  /// All keys of the tile that any row sees lie in here.
  Interval any() const { return any_; }
  /// Row r sees one run of keys or none, and its neighbour r + 1 the same.
  bool like_next(std::int64_t r) const {
    return runs_[r] == runs_[r + 1] && runs_[r] <= 1 &&
           (runs_[r] == 0 || run_[r][0] == run_[r + 1][0]);
  }
  /// visit(begin, end) for the runs of keys that row r sees, or for those between that it does not.
  template <class Visit>
  void each_seen(std::int64_t r, Visit&& visit) const {
    for (int n = 0; n < runs_[r]; ++n) visit(run_[r][n].begin, run_[r][n].end);
  }
  template <class Visit>
  void each_hidden(std::int64_t r, Interval within, Visit&& visit) const {
    std::int64_t from = within.begin;
    for (int n = 0; n < runs_[r]; ++n) {
      if (from < run_[r][n].begin) visit(from, run_[r][n].begin);
      from = run_[r][n].end;
    }
    if (from < within.end) visit(from, within.end);
  }

 private:
  const Interval& at(std::int64_t x) const { return plan_.intervals[static_cast<std::size_t>(x)]; }

  const AttendPlan& plan_;
  const AttendPlan::Segment& s_;
  Interval hull_, any_{0, 0};
  std::int64_t cursor_[kFewRows];
  int runs_[kFewRows];
  Interval run_[kFewRows][kKeyTile / 2];  // runs do not touch
};

/// Where the scores of a tile come from and go to: `rows` packed queries [rows dim], already
/// scaled, against `keys` rows of keys; scores [rows kKeyTile].
struct ScoreTile {
  const float* q;
  std::int64_t rows, dim;
  const float* keys;
  std::int64_t stride, count;
  float* scores;
};

/// Scores of R query rows against G vectors of keys from key k on. As in the tiles, each is one
/// chain over the features.
template <int R, int G>
HWY_INLINE void ScoreVectors(const ScoreTile& t, std::int64_t r, std::int64_t k) {
  const F d;
  const std::int64_t lanes = Lanes();
  const float* from = t.keys + k * t.stride;
  const float* q = t.q + r * t.dim;
  VF sum[R][G];
  for (int i = 0; i < R; ++i) {
    for (int g = 0; g < G; ++g) sum[i][g] = hn::Zero(d);
  }
  std::int64_t c = 0;
#if HWY_TARGET != HWY_SCALAR
  const bool whole = k + G * lanes <= t.count;
  while (c + 4 <= t.dim) {
    // A line of the cache of each key at a time: rows of one head may lie a power of two apart, and
    // then few lines have room beside each other.
    const std::int64_t line = std::min(c + 16, t.dim / 4 * 4);
    for (int g = 0; g < G; ++g) {
      const float* at = from + g * lanes * t.stride;
      for (std::int64_t x = c; x < line; x += 4) {
        VF column[4];
        if (HWY_LIKELY(whole)) {
          FourColumns(at + x, t.stride, lanes, column);
        } else {
          FourColumns(at + x, t.stride, t.count - k - g * lanes, column);
        }
        for (int y = 0; y < 4; ++y) {
          for (int i = 0; i < R; ++i) {
            sum[i][g] = hn::MulAdd(hn::Set(d, q[i * t.dim + x + y]), column[y], sum[i][g]);
          }
        }
      }
    }
    c = line;
  }
#endif
  for (; c < t.dim; ++c) {
    for (int g = 0; g < G; ++g) {
      alignas(64) float column[hn::MaxLanes(d)] = {};
      const std::int64_t left = std::min(lanes, t.count - k - g * lanes);
      for (std::int64_t n = 0; n < left; ++n) column[n] = from[(g * lanes + n) * t.stride + c];
      for (int i = 0; i < R; ++i) {
        sum[i][g] = hn::MulAdd(hn::Set(d, q[i * t.dim + c]), hn::Load(d, column), sum[i][g]);
      }
    }
  }
  for (int i = 0; i < R; ++i) {
    for (int g = 0; g < G; ++g) {
      hn::Store(sum[i][g], d, t.scores + (r + i) * kKeyTile + k + g * lanes);
    }
  }
}

/// The same from row r on, as far as whole R rows go, for G vectors from key k on.
template <int R, int G>
HWY_INLINE std::int64_t ScoreRows(const ScoreTile& t, std::int64_t r, std::int64_t k) {
  for (; r + R <= t.rows; r += R) ScoreVectors<R, G>(t, r, k);
  return r;
}
template <int G>
void ScoreKeys(const ScoreTile& t, std::int64_t k) {
  std::int64_t r = 0;
  if constexpr (kManyRegisters) r = ScoreRows<8, G>(t, r, k);
  r = ScoreRows<4, G>(t, r, k);
  r = ScoreRows<2, G>(t, r, k);
  ScoreRows<1, G>(t, r, k);
}

/// Scores of all rows against the keys [begin, end), whole vectors; two of them at a time, since
/// one alone would wait for itself.
HWY_INLINE void Score(const ScoreTile& t, std::int64_t begin, std::int64_t end) {
  std::int64_t k = begin;
  for (; k + 2 * Lanes() <= end; k += 2 * Lanes()) ScoreKeys<2>(t, k);
  if (k < end) ScoreKeys<1>(t, k);
}

/// sum[r] += p[r][k] over keys [begin, end) in order, R rows side by side: a sum alone waits for
/// itself.
template <int R>
HWY_INLINE void AddWeights(const float* p, std::int64_t begin, std::int64_t end, float* sum) {
  float s[R];
  Repeat<R>([&](auto i) HWY_ATTR { s[i] = sum[i]; });
  for (std::int64_t k = begin; k < end; ++k) {
    Repeat<R>([&](auto i) HWY_ATTR { s[i] += p[i * kKeyTile + k]; });
  }
  Repeat<R>([&](auto i) HWY_ATTR { sum[i] = s[i]; });
}
HWY_INLINE void AddAllWeights(std::int64_t rows, const float* p, std::int64_t begin,
                              std::int64_t end, float* sum) {
  std::int64_t r = 0;
  for (; r + 8 <= rows; r += 8) AddWeights<8>(p + r * kKeyTile, begin, end, sum + r);
  for (; r + 4 <= rows; r += 4) AddWeights<4>(p + r * kKeyTile, begin, end, sum + r);
  for (; r < rows; ++r) AddWeights<1>(p + r * kKeyTile, begin, end, sum + r);
}

/// What weights are multiplied with: rows of values, `stride` apart, and where their sums go.
struct ValueTile {
  const float* v;
  std::int64_t stride, vectors;
  float* out;
  std::int64_t padded;
};

/// out[r] += Σ_k p[r][k] · v[k] over keys [begin, end) in order, for R rows and N vectors from e
/// on.
template <int R, int N>
void AddBlock(const ValueTile& t, const float* HWY_RESTRICT p, std::int64_t r, std::int64_t e,
              std::int64_t begin, std::int64_t end) {
  const F d;
  const std::int64_t lanes = Lanes();
  float* HWY_RESTRICT out = t.out + r * t.padded + e;
  VF sum[R][N];
  for (int i = 0; i < R; ++i) {
    for (int n = 0; n < N; ++n) sum[i][n] = hn::Load(d, out + i * t.padded + n * lanes);
  }
  for (std::int64_t k = begin; k < end; ++k) {
    VF right[N];
    for (int n = 0; n < N; ++n) right[n] = hn::LoadU(d, t.v + k * t.stride + e + n * lanes);
    for (int i = 0; i < R; ++i) {
      const VF left = hn::Set(d, p[(r + i) * kKeyTile + k]);
      for (int n = 0; n < N; ++n) sum[i][n] = hn::MulAdd(left, right[n], sum[i][n]);
    }
  }
  for (int i = 0; i < R; ++i) {
    for (int n = 0; n < N; ++n) hn::Store(sum[i][n], d, out + i * t.padded + n * lanes);
  }
}

/// The same from row r on, as far as whole R rows go, for all vectors.
template <int R>
HWY_INLINE std::int64_t AddRows(const ValueTile& t, const float* p, std::int64_t r,
                                std::int64_t rows, std::int64_t begin, std::int64_t end) {
  for (; r + R <= rows; r += R) {
    const std::int64_t width = t.vectors * Lanes();
    std::int64_t e = 0;
    if constexpr (kManyRegisters && R <= 2) {  // whole rows where registers allow
      for (; e + 8 * Lanes() <= width; e += 8 * Lanes()) AddBlock<R, 8>(t, p, r, e, begin, end);
    }
    for (; e + 4 * Lanes() <= width; e += 4 * Lanes()) AddBlock<R, 4>(t, p, r, e, begin, end);
    for (; e + 2 * Lanes() <= width; e += 2 * Lanes()) AddBlock<R, 2>(t, p, r, e, begin, end);
    if (e < width) AddBlock<R, 1>(t, p, r, e, begin, end);
  }
  return r;
}

/// The same for all rows [first, rows); values that several blocks read stay in the cache between.
HWY_INLINE void AddValues(const ValueTile& t, const float* p, std::int64_t first, std::int64_t rows,
                          std::int64_t begin, std::int64_t end) {
  const std::int64_t step = rows - first == 1 ? kKeyTile : 16;
  for (std::int64_t k = begin, last = 0; k < end; k = last) {
    last = std::min(end, (k / step + 1) * step);
    std::int64_t r = first;
    if constexpr (kManyRegisters) r = AddRows<4>(t, p, r, rows, k, last);
    r = AddRows<2>(t, p, r, rows, k, last);
    AddRows<1>(t, p, r, rows, k, last);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
