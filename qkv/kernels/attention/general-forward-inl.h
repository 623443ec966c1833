// The forward pass of the general path, one query tile of one head. Compiled once per instruction
// set; included from dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_FORWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_FORWARD_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_FORWARD_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_FORWARD_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include <hwy/highway.h>

#include "qkv/kernels/attention/general-bias-gradient-inl.h"
#include "qkv/kernels/attention/general-norm-inl.h"
#include "qkv/kernels/attention/general-score-inl.h"
#include "qkv/kernels/attention/general-strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// The query rows of a task, without keys yet.
inline Tile QueryTile(const AttendPlan& plan, std::int64_t segment, std::int64_t heads,
                      std::int64_t head, std::int64_t first, std::int64_t rows) {
  const std::int64_t width = (rows + Lanes() - 1) / Lanes() * Lanes();
  return {&plan, &plan.segments[static_cast<std::size_t>(segment)], heads, head, first, rows,
          width};
}

/// First key of the key tile that `key` lies in.
inline std::int64_t TileBegin(const Tile& t, std::int64_t key) {
  return t.segment->k_begin + (key - t.segment->k_begin) / kKeyTile * kKeyTile;
}

/// visit() for each key tile of which a row sees something, in order, with t.key, t.keys and
/// t.cover set; true when some row does not see all of some tile.
template <class Visit>
bool EachKeyTile(Tile& t, RowCover& cover, Visit&& visit) {
  const Interval hull = cover.hull();
  bool masked = false;
  if (hull.begin >= hull.end) return masked;
  for (t.key = TileBegin(t, hull.begin); t.key < hull.end; t.key += kKeyTile) {
    t.keys = std::min(kKeyTile, t.segment->k_end - t.key);
    const Cover seen = cover.move(t.key, t.key + t.keys);
    if (seen == Cover::none) continue;
    masked |= seen == Cover::some;
    t.cover = seen == Cover::some ? &cover : nullptr;
    visit();
  }
  return masked;
}

/// Scores behind the biases, hidden ones −inf. `k` counts from the keys that the scorer took.
inline void FillTile(const AttendForm<float>& form, const Scorer& scorer, const Tile& t,
                     std::int64_t k, float* patch, KeptTiles kept, float* scores) {
  scorer.scores(t, k, scores);
  ApplyBiases(form, t, patch, kept, scores);
  Hide(t, scores);
}

/// Rows of `out` times factor[row], where that is not 1.
inline void RescaleRows(std::int64_t rows, std::int64_t padded, const float* factor, float* out) {
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

/// A query tile on its way through the keys.
class GeneralForward {
 public:
  GeneralForward(const Attend<float>& a, const Task& task)
      : a_(a),
        form_(*a.form),
        t_(QueryTile(*a.plan, task.segment, a.heads, task.head, task.first,
                     task.last - task.first)),
        kv_head_(task.head / (a.heads / a.kv_heads)),
        padded_(Scratch::padded(a.value_dim)) {}

  /// With `guarded` false, false when a value that is not finite arose that a hidden key may have
  /// caused: then it has to be done again, guarded.
  bool run(bool guarded) {
    RowCover cover(*a_.plan, t_.first, t_.rows);
    const bool streams = form_.norm.streams();
    const Interval hull = cover.hull();
    strip_ = {hull.end, streams ? kKeyTile : 0, t_.width, {}};
    if (!streams && hull.begin < hull.end) {
      strip_.begin = TileBegin(t_, hull.begin);
      strip_.keys = std::min(hull.end - strip_.begin + kKeyTile, t_.segment->k_end - strip_.begin);
    }
    const Scorer::Size size{a_.dim, kKeyTile, t_.width, false};
    Scratch scratch(Scorer::floats(form_, size) + strip_.keys * t_.width + PatchFloats(t_.width) +
                    kKeyTile * padded_ + t_.rows * padded_ + 64);
    Scorer scorer(form_, a_.scale, size, scratch);
    scores_ = scratch.take(strip_.keys * t_.width);
    patch_ = scratch.take(PatchFloats(t_.width));
    values_ = scratch.take(kKeyTile * padded_);
    out_ = scratch.take(t_.rows * padded_);
    scorer.take_head(t_.head);
    scorer.take_queries(a_.q + (t_.first * a_.heads + t_.head) * a_.dim, a_.heads * a_.dim, t_);
    dropout_.prepare(a_.dropout, t_);
    begun_ = false;
    const bool masked = streams ? stream(cover, scorer, guarded) : strip(cover, scorer, guarded);
    return write() || !masked;
  }

 private:
  void fill(Scorer& scorer, float* scores) {
    scorer.take_keys(a_.k + (t_.key * a_.kv_heads + kv_head_) * a_.dim, a_.kv_heads * a_.dim,
                     t_.keys);
    FillTile(form_, scorer, t_, 0, patch_, {}, scores);
  }

  /// out (+)= dropout(weights) · values.
  void add_values(bool guarded, float* weights) {
    if (a_.dropout.active()) Drop(a_.dropout, dropout_, t_, weights);
    PackRows(t_.keys, a_.value_dim, a_.v + (t_.key * a_.kv_heads + kv_head_) * a_.value_dim,
             a_.kv_heads * a_.value_dim, values_, padded_);
    Product<true>(guarded, t_.rows, padded_ / Lanes(), t_.keys, weights, t_.width, values_, padded_,
                  out_, padded_, begun_);
    begun_ = true;
  }

  bool stream(RowCover& cover, Scorer& scorer, bool guarded) {
    RowSums sums;
    BeginSums(form_.norm, t_.head, t_.width, sums);
    const bool masked = EachKeyTile(t_, cover, [&] {
      fill(scorer, scores_);
      PushTile(form_.norm, t_, a_.entropy != nullptr, scores_, sums);
      if (begun_ && form_.norm.exponential()) RescaleRows(t_.rows, padded_, sums.factor, out_);
      add_values(guarded, scores_);
    });
    for (std::int64_t r = 0; r < t_.rows; ++r) {
      ends_[r] = FinishRow(form_.norm, sums, r, VisibleKeys(*a_.plan, t_.first + r));
    }
    return masked;
  }

  bool strip(RowCover& cover, Scorer& scorer, bool guarded) {
    const auto at = [&] { return scores_ + (t_.key - strip_.begin) * t_.width; };
    const bool masked = EachKeyTile(t_, cover, [&] {
      fill(scorer, at());
      strip_.tiles.push_back({t_.key - strip_.begin, t_.key + t_.keys - strip_.begin});
    });
    NormaliseStrip(form_.norm, t_, strip_, scores_, ends_);
    RowCover again(*a_.plan, t_.first, t_.rows);
    EachKeyTile(t_, again, [&] { add_values(guarded, at()); });
    return masked;
  }

  /// True while all is finite.
  bool write() {
    bool finite = true;
    for (std::int64_t r = 0; r < t_.rows; ++r) {
      const std::int64_t row = (t_.first + r) * a_.heads + t_.head;
      a_.lse[row] = ends_[r].statistic;
      if (a_.entropy) a_.entropy[row] = ends_[r].entropy;
      float* out = a_.out + row * a_.value_dim;
      if (begun_) {
        finite &= Unpack(a_.value_dim, out_ + r * padded_, ends_[r].factor, out);
      } else {
        std::fill_n(out, a_.value_dim, 0.0f);
      }
    }
    return finite;
  }

  const Attend<float>& a_;
  const AttendForm<float>& form_;
  Tile t_;
  std::int64_t kv_head_, padded_;
  Strip strip_{};
  float *scores_ = nullptr, *patch_ = nullptr, *values_ = nullptr, *out_ = nullptr;
  bool begun_ = false;
  RowDropout dropout_;
  RowEnd ends_[RowCover::kTallest];
};

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
