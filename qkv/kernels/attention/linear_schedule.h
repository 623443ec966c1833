// How linear attention is cut into pieces, and how the sums of the pieces travel between them. A
// sequence is a row of positions: key j stands at j, a causal query at the last key it may see, any
// other query at its own index. 64 positions are a chunk, 8 chunks a group; both are counted from
// the start of the sequence.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/linear.h"
#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/attention/scratch.h"

namespace qkv::kernels {

/// 64 rows: the weights inside a chunk cost as much as two passes over the sums at D = 64.
inline constexpr std::int64_t kLinearChunk = 64;
inline constexpr std::int64_t kLinearGroup = 8;

/// Key rows [key, key + keys) and query rows [row, row + rows), absolute. Where they meet through
/// weights, query row + r sees the chunk's keys up to key + r + offset.
struct LinearChunk {
  std::int64_t key, keys, row, rows, offset;
};

/// What the cutting of a sequence depends on, beside its own lengths.
struct LinearShape {
  template <class T>
  explicit LinearShape(const LinearInputs<T>& in)
      : causal(in.causal), dim(in.dim), value_dim(in.value_dim) {}
  bool causal;
  std::int64_t dim, value_dim;
};

class LinearAxis {
 public:
  LinearAxis(const LinearSegment& s, const LinearShape& shape)
      : s_(s),
        shift_(shape.causal ? (s.k_end - s.k_begin) - (s.q_end - s.q_begin) : 0),
        rows_end_(s.seen == 0 ? 0 : shift_ + s.q_end - s.q_begin),
        direct_(!shape.causal && few_pairs(s, shape)),
        weighted_(shape.causal || direct_) {}

  /// Whether the rows and keys of a chunk meet through weights: under a causal mask, and where a
  /// whole sequence is one chunk and has fewer of them than its sums have products.
  bool weighted() const { return weighted_; }
  std::int64_t chunks() const {
    const std::int64_t end = std::max(rows_end_, s_.seen);
    return (end + kLinearChunk - 1) / kLinearChunk;
  }
  std::int64_t groups() const { return (chunks() + kLinearGroup - 1) / kLinearGroup; }
  /// Rows at the beginning of the sequence that see no key.
  std::int64_t empty_rows() const {
    const std::int64_t rows = s_.q_end - s_.q_begin;
    return s_.seen == 0 ? rows : std::min(rows, std::max<std::int64_t>(0, -shift_));
  }
  LinearChunk chunk(std::int64_t c) const {
    const std::int64_t begin = c * kLinearChunk, end = begin + kLinearChunk;
    const std::int64_t first = std::max(begin, shift_);
    return {s_.k_begin + begin, std::max<std::int64_t>(0, std::min(end, s_.seen) - begin),
            s_.q_begin + first - shift_,
            std::max<std::int64_t>(0, std::min(end, rows_end_) - first),
            direct_ ? kLinearChunk : first - begin};
  }

 private:
  static bool few_pairs(const LinearSegment& s, const LinearShape& shape) {
    const std::int64_t rows = s.q_end - s.q_begin;
    return rows > 0 && rows <= kLinearChunk && s.seen <= kLinearChunk &&
           rows * s.seen * (shape.dim + shape.value_dim + 1) <
               (rows + s.seen) * shape.dim * (shape.value_dim + 1);
  }

  LinearSegment s_;
  std::int64_t shift_;     // position of query row 0
  std::int64_t rows_end_;  // position behind the last query that sees a key
  bool direct_;            // every row sees every key of the one chunk
  bool weighted_;
};

/// One group of one key head.
struct LinearPiece {
  LinearAxis axis;
  std::int64_t segment, head;  // head of the keys
  std::int64_t first, last;    // chunks
};

/// The sequences without what need not be looked at: no key is seen where there are no rows.
template <class T>
std::vector<LinearSegment> linear_seen(const LinearInputs<T>& in) {
  std::vector<LinearSegment> segments(in.segments.begin(), in.segments.end());
  for (LinearSegment& s : segments) {
    if (s.q_begin == s.q_end || in.heads == 0) s.seen = 0;
  }
  return segments;
}

/// Sizes of one call's packed rows: the features of a key, and a value with a one behind it, so
/// that numerators and denominators are rows of one product.
struct LinearWidths {
  LinearWidths(std::int64_t dim, std::int64_t value_dim)
      : d(Scratch::padded(dim)), e(Scratch::padded(value_dim + 1)), sum((value_dim + 1) * d) {}
  std::int64_t d, e;
  std::int64_t sum;  // floats of Σ [v 1] φ(k)ᵀ: Dv + 1 rows of d
};

struct LinearSweep {
  std::span<const LinearSegment> segments;
  std::int64_t kv_heads;
  LinearShape shape;
  bool reverse;       // sums travel from the end to the beginning
  std::int64_t sum;   // floats of a sum
  std::int64_t work;  // floats of scratch that a piece takes
};

/// Whether heads alone would leave threads idle: the longest one is more than an even share.
inline bool linear_spread(const std::vector<Task>& heads) {
  std::int64_t most = 0, all = 0;
  for (const Task& t : heads) {
    most = std::max(most, t.last);
    all += t.last;
  }
  return most > 1 && 10 * most * threads() > 13 * all;
}

inline void linear_add(std::int64_t n, const float* x, float* sum) {
  for (std::int64_t i = 0; i < n; ++i) sum[i] += x[i];
}

/// Runs every piece with the sum of what comes before it:
///   sum(piece, total, scratch)          writes the sum of a piece alone
///   use(piece, before, own, scratch)    `before`: the pieces before it, null for none (weighted),
///                                       or all pieces; `own`: where to leave the piece's own sum,
///                                       or null
/// Whether a head is one task or its groups are several, the same additions happen in the same
/// order: the choice may depend on the number of threads.
template <class Sum, class Use>
void linear_sweep(const LinearSweep& w, Sum&& sum, Use&& use) {
  std::vector<Task> heads;  // groups [0, last) of a head
  for (std::size_t b = 0; b < w.segments.size(); ++b) {
    const std::int64_t groups = LinearAxis(w.segments[b], w.shape).groups();
    for (std::int64_t h = 0; h < w.kv_heads && groups > 0; ++h) {
      heads.push_back({static_cast<std::int64_t>(b), h, 0, groups});
    }
  }
  const auto piece = [&](const Task& t, std::int64_t i) {  // the i-th on the way
    const LinearAxis axis(w.segments[static_cast<std::size_t>(t.segment)], w.shape);
    const std::int64_t group = w.reverse ? t.last - 1 - i : i;
    return LinearPiece{axis, t.segment, t.head, group * kLinearGroup,
                       std::min(axis.chunks(), (group + 1) * kLinearGroup)};
  };
  const std::int64_t padded = Scratch::padded(w.sum);

  if (!linear_spread(heads)) {
    const auto cost = [&](const Task& t) {
      const LinearAxis axis(w.segments[static_cast<std::size_t>(t.segment)], w.shape);
      return axis.chunks() * kLinearChunk * 64;
    };
    run_tasks(heads, cost, [&](const Task& t) {
      Scratch scratch(2 * padded + w.work);
      float *before = scratch.take(w.sum), *own = scratch.take(w.sum);
      bool begun = false;
      const auto add_own = [&] {
        if (begun) {
          linear_add(w.sum, own, before);
        } else {
          std::swap(before, own);
        }
        begun = true;
      };
      const bool weighted = piece(t, 0).axis.weighted();
      for (std::int64_t i = 0; i < t.last && !weighted; ++i) {
        sum(piece(t, i), own, scratch);
        add_own();
      }
      for (std::int64_t i = 0; i < t.last; ++i) {
        const bool carry = weighted && i + 1 < t.last;
        use(piece(t, i), begun ? before : nullptr, carry ? own : nullptr, scratch);
        if (carry) add_own();
      }
    });
    return;
  }

  struct alignas(64) Line {
    float floats[16];
  };
  std::vector<std::pair<std::size_t, std::int64_t>> pieces;
  for (std::size_t n = 0; n < heads.size(); ++n) {
    for (std::int64_t i = 0; i < heads[n].last; ++i) pieces.emplace_back(n, i);
  }
  const auto count = static_cast<std::int64_t>(pieces.size());
  const auto lines =
      std::make_unique_for_overwrite<Line[]>(static_cast<std::size_t>(count * padded / 16));
  float* const sums = reinterpret_cast<float*>(lines.get());
  const auto sum_of = [&](std::int64_t p) { return sums + p * padded; };
  const auto weighted = [&](std::size_t n) { return piece(heads[n], 0).axis.weighted(); };
  const auto needed = [&](std::size_t n, std::int64_t i) {  // by a later piece, or all
    return !weighted(n) || i + 1 < heads[n].last;
  };
  parallel_for(count, 1, [&](std::int64_t p, std::int64_t) {
    const auto& [n, i] = pieces[static_cast<std::size_t>(p)];
    if (needed(n, i)) sum(piece(heads[n], i), sum_of(p), Scratch(w.work));
  });
  for (std::int64_t p = 1; p < count; ++p) {  // each becomes the sum up to and with itself
    const auto& [n, i] = pieces[static_cast<std::size_t>(p)];
    if (i > 0 && needed(n, i)) linear_add(w.sum, sum_of(p - 1), sum_of(p));
  }
  parallel_for(count, 1, [&](std::int64_t p, std::int64_t) {
    const auto& [n, i] = pieces[static_cast<std::size_t>(p)];
    const float* before = !weighted(n) ? sum_of(p - i + heads[n].last - 1)
                          : i > 0      ? sum_of(p - 1)
                                       : nullptr;
    use(piece(heads[n], i), before, nullptr, Scratch(w.work));
  });
}

}  // namespace qkv::kernels
