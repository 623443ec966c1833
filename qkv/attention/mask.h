// Masks: who may see whom. A mask is a set of (query row, key) pairs, given row by row as sorted,
// disjoint key intervals, and closed under & | ~:
//
//   segments(q, k) & causal() & (window(256) | prefix(32))
//
// Positions are counted inside sequences. The sequences come from the segments() term of the whole
// expression; without one, all rows are one sequence. causal, window, prefix, lengths, dilated,
// documents and block_sparse only ever see keys of the row's own sequence; ~ complements within all
// keys [0, Tk), so ~causal() holds the later keys of the row's sequence and every key of the
// others, and De Morgan's laws hold.
//
// A Mask is a cheap value (a shared pointer) and may be read from several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "qkv/kernels/attention/plan.h"
#include "qkv/tensor/segments.h"

namespace qkv {

/// Where a query row stands: all that a mask may look at.
struct MaskRow {
  std::int64_t query = 0;                      // row in [0, Tq)
  std::int64_t segment = 0;                    // b, its sequence
  std::int64_t position = 0;                   // in its sequence, from 0
  std::int64_t queries = 0;                    // query rows of its sequence
  std::int64_t k_begin = 0;                    // first key of its sequence
  std::int64_t keys = 0;                       // keys of its sequence
  std::int64_t all_queries = 0, all_keys = 0;  // Tq, Tk
};

/// Which corner the diagonal of a causal mask or a window goes through when a sequence has another
/// number of keys than of queries: the last query sits at the last key (as when decoding against a
/// cache), or the first at the first.
enum class Alignment : std::uint8_t { bottom_right, top_left };

using kernels::AttendPlan;
using kernels::Interval;
using Intervals = std::vector<Interval>;

/// A mask that hides nothing but what lies too far from the row's place (bottom right).
struct MaskBand {
  static constexpr std::int64_t kFar = std::int64_t{1} << 48;  // "unlimited", without overflow
  std::int64_t left = kFar, right = kFar;  // places before and after the row's own that are seen
  // Of a segments() term, within which it holds; null: there is none. They live as long as the
  // mask.
  const Segments* queries = nullptr;
  const Segments* keys = nullptr;
  std::shared_ptr<const std::vector<std::int64_t>> lengths = {};  // of a lengths() term, or null
};

class Mask {
 public:
  /// Appends the keys that a row may see, absolute indices; any order, overlaps and keys outside
  /// [0, Tk) are tidied up afterwards. Must be a pure function of the row.
  using Rule = std::function<void(const MaskRow& row, Intervals& keys)>;
  /// A mask of one's own; `name` is what to_string prints. All ready-made masks but segments() are
  /// rules too.
  static Mask of(std::string name, Rule rule) { return of(std::move(name), std::move(rule), {}); }

  friend Mask operator&(const Mask& a, const Mask& b);
  friend Mask operator|(const Mask& a, const Mask& b);
  friend Mask operator~(const Mask& a);

  /// As it was written: "segments([3, 5]) & causal() & ~prefix(2)"; parse_mask() reads it.
  friend std::string to_string(const Mask& mask);
  friend std::shared_ptr<const kernels::AttendPlan> compile(const Mask& mask, std::int64_t queries,
                                                            std::int64_t keys);
  friend Mask segments(const Segments& queries, const Segments& keys);
  friend std::optional<MaskBand> band_of(const Mask& mask);
  friend Mask everything();
  friend Mask causal(Alignment alignment);
  friend Mask window(std::int64_t left, std::int64_t right, Alignment alignment);
  friend Mask lengths(std::vector<std::int64_t> valid);
  /// A rule that lists few keys a row (AttendPlan::lists).
  static Mask of_lists(std::string name, Rule rule);

 private:
  struct Node;
  static Mask of(std::string name, Rule rule, std::optional<MaskBand> band);
  explicit Mask(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  std::shared_ptr<Node> node_;
};

/// Every row sees every key, other sequences included.
Mask everything();
/// Row i of sequence b sees the keys of sequence b. Both must hold the same number of sequences.
/// Terms of one expression must agree: two different segmentations throw when compiled.
Mask segments(const Segments& queries, const Segments& keys);
inline Mask segments(const Segments& batch) { return segments(batch, batch); }
/// Keys up to the row's own place.
Mask causal(Alignment alignment = Alignment::bottom_right);
/// Keys from `left` before the row's own place to `right` after it, both included; negative values
/// move the edge to the other side.
Mask window(std::int64_t left, std::int64_t right, Alignment alignment = Alignment::bottom_right);
/// Keys fewer than `size` places away: window(size − 1, size − 1); window(0) sees nothing.
Mask window(std::int64_t size);
/// The first `count` keys.
Mask prefix(std::int64_t count);
/// The first valid[b] keys of sequence b ("valid lengths"). A length beyond the keys throws.
Mask lengths(std::vector<std::int64_t> valid);
/// The same for every query row: row i (of all Tq) sees the first valid[i] keys of its sequence.
Mask query_lengths(std::vector<std::int64_t> valid);
/// The same, a list a sequence: row i of sequence b sees its first valid[b][i] keys.
Mask query_lengths(const std::vector<std::vector<std::int64_t>>& valid);
/// Keys n·step places away for whole |n| < size; dilated(size, 1) is window(size).
Mask dilated(std::int64_t size, std::int64_t step, Alignment alignment = Alignment::bottom_right);
/// Rows see the keys of their sequence that carry their own id: several documents in one sequence.
Mask documents(std::vector<std::int64_t> of_rows, std::vector<std::int64_t> of_keys);  // [Tq] [Tk]
inline Mask documents(const std::vector<std::int64_t>& ids) { return documents(ids, ids); }
/// Row i (of all Tq) sees the keys neighbours[i] (of all Tk): message passing along edges. Such a
/// mask, alone or cut by others (&), is gone through row by row along its lists, at a cost and in a
/// memory that grow with the visible pairs alone; where most pairs are visible dense() is faster.
Mask graph(const std::vector<std::vector<std::int64_t>>& neighbours);
/// The same from a list of edges; rows without one see nothing.
struct Edge {
  std::int64_t query, key;
};
Mask graph(std::span<const Edge> edges);

/// A matrix [rows keys] of who sees whom, not 0: visible.
struct Pattern {
  std::int64_t rows = 0, keys = 0;
  std::vector<std::uint8_t> visible;
};
/// Every entry of the pattern stands for block × block pairs, counted in the sequence. The pattern
/// must cover the longest one.
Mask block_sparse(std::int64_t block, Pattern pattern);
/// What the rows and keys of a pattern count: those of the row's own sequence, or all.
enum class Numbering : std::uint8_t { sequence, packed };
/// The pattern itself; an axis of size 1 is broadcast (one row: a flag a key), others must cover
/// what they count.
Mask dense(Pattern pattern, Numbering numbering = Numbering::sequence);

/// The plan that the kernels read. Kept inside the mask for the last sizes asked, so all layers of
/// a model, forward and backward, share one. Its segments are those of the mask while every row
/// stays within its own sequence, else a single one.
std::shared_ptr<const kernels::AttendPlan> compile(const Mask& mask, std::int64_t queries,
                                                   std::int64_t keys);
/// The band that everything(), segments(), causal(), window() and one lengths() make when joined by
/// &; nothing for any other mask. For those who cannot go over any set of pairs: caches, sums.
std::optional<MaskBand> band_of(const Mask& mask);
/// The dense matrix [Tq Tk], 1 where row i sees key j. For tests and pictures.
std::vector<std::uint8_t> materialise(const Mask& mask, std::int64_t queries, std::int64_t keys);

}  // namespace qkv
