#include "qkv/kernels/attention/observe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/additive.h"
#include "qkv/kernels/attention/look.h"

namespace qkv::kernels {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

/// Query rows [first, last) of a head and a segment: what a thread looks at.
struct Piece {
  std::int64_t segment, head, first, last;
};

/// Reads row after row of a piece.
class Looker {
 public:
  explicit Looker(const AttendObserved& a)
      : row(a),
        a_(a),
        tiled_(!a.plan->lists && (!a.form || (a.form->score != ScoreForm::pair &&
                                              !a.form->additive(UnitActivation::leaky_relu)))),
        softmax_(!a.form || a.form->norm.kind == NormForm<float>::Kind::softmax),
        exponential_(!a.form || a.form->norm.exponential()) {}

  /// visit(i) for every row of the piece, with `row` and `looked` filled.
  template <class Visit>
  void each(const Piece& piece, Visit&& visit) {
    const AttendPlan::Segment& s = a_.plan->segments[static_cast<std::size_t>(piece.segment)];
    for (std::int64_t first = piece.first; first < piece.last; first += kLookRows) {
      const std::int64_t last = std::min(first + kLookRows, piece.last);
      if (tiled_) score_tiles(s, piece.head, first, last);
      for (std::int64_t i = first; i < last; ++i) {
        row.find(i, s, piece.head);
        if (tiled_) {
          gather(i, i - first);
        } else {
          row.score();
        }
        row.bias();
        weigh();
        visit(i);
      }
    }
  }

  AttendRow<float> row;
  LookedRow looked{};

 private:
  /// Scores of the key tiles that some row of the band sees.
  void score_tiles(const AttendPlan::Segment& s, std::int64_t head, std::int64_t first,
                   std::int64_t last) {
    std::int64_t begin = s.k_end, end = s.k_begin;
    each_interval(first, last, [&](const Interval& x) {
      begin = std::min(begin, x.begin);
      end = std::max(end, x.end);
    });
    if (begin >= end) return;
    origin_ = s.k_begin + (begin - s.k_begin) / kLookKeys * kLookKeys;
    const std::int64_t tiles = (end - origin_ + kLookKeys - 1) / kLookKeys;
    stride_ = tiles * kLookKeys;
    seen_.assign(static_cast<std::size_t>(tiles), 0);
    each_interval(first, last, [&](const Interval& x) {
      std::fill(seen_.begin() + (x.begin - origin_) / kLookKeys,
                seen_.begin() + (x.end - 1 - origin_) / kLookKeys + 1, std::uint8_t{1});
    });
    reserve(stride_ * kLookRows);
    for (std::int64_t t = 0; t < tiles; ++t) {
      const std::int64_t key = origin_ + t * kLookKeys;
      if (!seen_[static_cast<std::size_t>(t)]) continue;
      const std::int64_t count = std::min(kLookKeys, s.k_end - key);
      float* to = scores_.get() + t * kLookKeys;
      if (!a_.form || a_.form->score == ScoreForm::product) {
        look_products(a_, head, first, last - first, key, count, to, stride_);
      } else {
        compare(head, first, last - first, key, count, to);
      }
    }
  }
  /// Scores of a tile that go unit by unit.
  void compare(std::int64_t head, std::int64_t first, std::int64_t rows, std::int64_t key,
               std::int64_t count, float* to) {
    const std::int64_t dim = a_.dim, kv_head = head / (a_.heads / a_.kv_heads);
    const auto pack = [dim](std::vector<float>& packed, const float* from, std::int64_t n,
                            std::int64_t stride) {
      packed.resize(static_cast<std::size_t>(n * dim));
      for (std::int64_t i = 0; i < n; ++i) {
        std::copy_n(from + i * stride, dim, packed.begin() + i * dim);
      }
    };
    pack(q_rows_, a_.q + (first * a_.heads + head) * dim, rows, a_.heads * dim);
    pack(k_rows_, a_.k + (key * a_.kv_heads + kv_head) * dim, count, a_.kv_heads * dim);
    block_.resize(static_cast<std::size_t>(rows * count));
    if (a_.form->score == ScoreForm::additive) {
      additive_scores({rows, count, dim, q_rows_.data(), k_rows_.data(),
                       a_.form->weight + head * a_.form->weight_stride, block_.data()});
    } else {
      l1_scores({rows, count, dim, q_rows_.data(), k_rows_.data(), a_.scale, block_.data()});
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(block_.begin() + r * count, count, to + r * stride_);
    }
  }
  template <class Visit>
  void each_interval(std::int64_t first, std::int64_t last, Visit&& visit) const {
    const auto& offsets = a_.plan->row_offsets;
    for (std::int64_t x = offsets[static_cast<std::size_t>(first)];
         x < offsets[static_cast<std::size_t>(last)]; ++x) {
      visit(a_.plan->intervals[static_cast<std::size_t>(x)]);
    }
  }
  void gather(std::int64_t i, std::int64_t r) {
    row.scores.resize(row.keys.size());
    float* to = row.scores.data();
    each_interval(i, i + 1, [&](const Interval& x) {
      const float* from = scores_.get() + r * stride_ - origin_;
      to = std::copy(from + x.begin, from + x.end, to);
    });
  }
  void weigh() {
    if (softmax_) {
      row.weights.resize(row.scores.size());
      looked = look_softmax(row.scores, row.weights);
      return;
    }
    row.weigh();
    looked = {kNone, row.result.statistic, row.result.entropy};
    for (const float s : row.scores) looked.top = std::max(looked.top, s);
    if (exponential_) return;
    looked.lse = kNone;
    looked.entropy = 0.0f;
    double sum = 0, entropy = 0;
    for (std::size_t n = 0; n < row.scores.size(); ++n) {
      const double p = static_cast<double>(row.weights[n]);
      if (row.scores[n] > kNone) sum += std::exp(static_cast<double>(row.scores[n] - looked.top));
      if (p > 0) entropy -= p * std::log(p);
    }
    if (sum > 0) looked.lse = looked.top + static_cast<float>(std::log(sum));
    looked.entropy = static_cast<float>(entropy);
  }
  void reserve(std::int64_t floats) {
    if (floats <= size_) return;
    scores_.reset(new (std::align_val_t{64}) float[static_cast<std::size_t>(floats)]);
    size_ = floats;
  }

  struct Free {
    void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  const AttendObserved& a_;
  bool tiled_, softmax_, exponential_;
  std::unique_ptr<float[], Free> scores_;  // [row][stride]: key origin + column
  std::int64_t size_ = 0, stride_ = 0, origin_ = 0;
  std::vector<std::uint8_t> seen_;  // key tiles of the band
  std::vector<float> q_rows_, k_rows_, block_;
};

/// Band n of `bands` over `count` things begins at the first that falls into it.
std::int64_t band_begin(std::int64_t n, std::int64_t bands, std::int64_t count) {
  return (n * count + bands - 1) / bands;
}

/// What one piece adds to sums that several share.
struct Partial {
  std::vector<double> received;  // keys of the segment
  std::vector<double> map;       // map rows from the first that the piece touches
  std::int64_t map_first = 0;
};

class Summary {
 public:
  Summary(const AttendObserved& a, const AttendSummary& s) : a_(a), s_(s) {}

  void run() {
    clear();
    const auto& segments = a_.plan->segments;
    std::vector<Piece> pieces;
    for (std::size_t b = 0; b < segments.size(); ++b) {
      const std::int64_t rows = segments[b].q_end - segments[b].q_begin;
      // Up to eight pieces a head: one long sequence keeps some threads busy and few sums apart.
      const std::int64_t step = std::max<std::int64_t>(64, (rows + 7) / 8);
      for (std::int64_t h = 0; h < a_.heads; ++h) {
        for (std::int64_t r = 0; r < rows; r += step) {
          pieces.push_back({static_cast<std::int64_t>(b), h, segments[b].q_begin + r,
                            segments[b].q_begin + std::min(rows, r + step)});
        }
      }
    }
    std::vector<Partial> partial(pieces.size());
    parallel_for(static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t n, std::int64_t) {
      look(pieces[static_cast<std::size_t>(n)], partial[static_cast<std::size_t>(n)]);
    });
    join(pieces, partial);
  }

 private:
  /// Rows and keys outside all segments stay like this.
  void clear() {
    const std::int64_t rows = a_.plan->queries * a_.heads;
    if (s_.entropy) std::fill_n(s_.entropy, rows, 0.0f);
    if (s_.max_logit) std::fill_n(s_.max_logit, rows, kNone);
    if (s_.lse) std::fill_n(s_.lse, rows, kNone);
    if (s_.top_keys) std::fill_n(s_.top_keys, rows * s_.top, -1);
    if (s_.top_weights) std::fill_n(s_.top_weights, rows * s_.top, 0.0f);
  }

  std::int64_t map_row(std::int64_t i) const { return i * s_.map_rows / a_.plan->queries; }

  void look(const Piece& piece, Partial& sums) {
    const AttendPlan::Segment& s = a_.plan->segments[static_cast<std::size_t>(piece.segment)];
    if (s_.received) sums.received.resize(static_cast<std::size_t>(s.k_end - s.k_begin));
    if (s_.map) {
      sums.map_first = map_row(piece.first);
      const std::int64_t rows = map_row(piece.last - 1) + 1 - sums.map_first;
      sums.map.resize(static_cast<std::size_t>(rows * s_.map_cols));
    }
    std::vector<std::int64_t> places(static_cast<std::size_t>(s_.top));
    Looker looker(a_);
    looker.each(piece, [&](std::int64_t i) {
      const AttendRow<float>& row = looker.row;
      const std::int64_t at = i * a_.heads + piece.head;
      if (s_.entropy) s_.entropy[at] = looker.looked.entropy;
      if (s_.max_logit) s_.max_logit[at] = looker.looked.top;
      if (s_.lse) s_.lse[at] = looker.looked.lse;
      const std::int64_t kept = look_largest(row.weights, places);
      for (std::int64_t n = 0; n < kept; ++n) {
        const auto place = static_cast<std::size_t>(places[static_cast<std::size_t>(n)]);
        if (s_.top_keys) s_.top_keys[at * s_.top + n] = static_cast<std::int32_t>(row.keys[place]);
        if (s_.top_weights) s_.top_weights[at * s_.top + n] = row.weights[place];
      }
      if (s_.received) receive(i, s, row.weights.data(), sums.received.data());
      if (s_.map) {
        paint(i, row.weights.data(), sums.map.data() + (map_row(i) - sums.map_first) * s_.map_cols);
      }
    });
  }

  /// visit(interval, its weights) for what row i sees.
  template <class Visit>
  void each_run(std::int64_t i, const float* weights, Visit&& visit) const {
    const auto row = static_cast<std::size_t>(i);
    for (std::int64_t x = a_.plan->row_offsets[row]; x < a_.plan->row_offsets[row + 1]; ++x) {
      const Interval seen = a_.plan->intervals[static_cast<std::size_t>(x)];
      visit(seen, weights);
      weights += seen.end - seen.begin;
    }
  }
  void receive(std::int64_t i, const AttendPlan::Segment& s, const float* weights,
               double* received) const {
    each_run(i, weights, [&](const Interval& seen, const float* p) {
      double* to = received + (seen.begin - s.k_begin);
      for (std::int64_t n = 0; n < seen.end - seen.begin; ++n) to[n] += static_cast<double>(p[n]);
    });
  }
  /// Adds a row to its row of the map, or takes the larger.
  void paint(std::int64_t i, const float* weights, double* map) const {
    const std::int64_t all = a_.plan->keys, cols = s_.map_cols;
    each_run(i, weights, [&](const Interval& seen, const float* p) {
      for (std::int64_t j = seen.begin; j < seen.end;) {
        const std::int64_t c = j * cols / all;
        const std::int64_t end = std::min(seen.end, band_begin(c + 1, cols, all));
        double cell = s_.map_largest ? map[c] : 0.0;
        for (; j < end; ++j, ++p) {
          const double w = static_cast<double>(*p);
          cell = s_.map_largest ? std::max(cell, w) : cell + w;
        }
        map[c] = s_.map_largest ? cell : map[c] + cell;
      }
    });
  }

  void join(const std::vector<Piece>& pieces, const std::vector<Partial>& partial) {
    const std::int64_t keys = a_.plan->keys, cells = s_.map_rows * s_.map_cols;
    std::vector<double> received(static_cast<std::size_t>(s_.received ? keys * a_.heads : 0));
    std::vector<double> map(static_cast<std::size_t>(s_.map ? a_.heads * cells : 0));
    for (std::size_t n = 0; n < pieces.size(); ++n) {
      const AttendPlan::Segment& s = a_.plan->segments[static_cast<std::size_t>(pieces[n].segment)];
      double* to = received.data() + s.k_begin * a_.heads + pieces[n].head;
      for (const double mass : partial[n].received) {
        *to += mass;
        to += a_.heads;
      }
      double* cell = map.data() + pieces[n].head * cells + partial[n].map_first * s_.map_cols;
      for (const double value : partial[n].map) {
        *cell = s_.map_largest ? std::max(*cell, value) : *cell + value;
        ++cell;
      }
    }
    for (std::size_t n = 0; n < received.size(); ++n) {
      s_.received[n] = static_cast<float>(received[n]);
    }
    for (std::size_t n = 0; n < map.size(); ++n) {
      const auto r = static_cast<std::int64_t>(n) % cells / s_.map_cols;
      const std::int64_t rows = band_begin(r + 1, s_.map_rows, a_.plan->queries) -
                                band_begin(r, s_.map_rows, a_.plan->queries);
      s_.map[n] = static_cast<float>(s_.map_largest ? map[n] : map[n] / static_cast<double>(rows));
    }
  }

  const AttendObserved& a_;
  const AttendSummary& s_;
};

}  // namespace

void attend_weights(const AttendObserved& a, std::int64_t head, std::int64_t first,
                    std::int64_t last, Interval keys, float* weights) {
  const std::int64_t wide = keys.end - keys.begin;
  std::fill_n(weights, (last - first) * wide, 0.0f);
  std::vector<Piece> pieces;
  for (std::size_t b = 0; b < a.plan->segments.size(); ++b) {
    const AttendPlan::Segment& s = a.plan->segments[b];
    const std::int64_t end = std::min(last, s.q_end);
    for (std::int64_t r = std::max(first, s.q_begin); r < end; r += kLookRows) {
      pieces.push_back({static_cast<std::int64_t>(b), head, r, std::min(end, r + kLookRows)});
    }
  }
  parallel_for(static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t n, std::int64_t) {
    Looker looker(a);
    looker.each(pieces[static_cast<std::size_t>(n)], [&](std::int64_t i) {
      const AttendRow<float>& row = looker.row;
      float* out = weights + (i - first) * wide - keys.begin;
      for (std::size_t m = 0; m < row.keys.size(); ++m) {
        const std::int64_t j = row.keys[m];
        if (j >= keys.begin && j < keys.end) out[j] = row.weights[m];
      }
    });
  });
}

void attend_summary(const AttendObserved& a, const AttendSummary& s) { Summary(a, s).run(); }

}  // namespace qkv::kernels
