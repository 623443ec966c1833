// The backward pass of the general path: all query heads of one key head of one segment, all of its
// rows or some. Scores are computed again. Compiled once per instruction set; included from
// dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_BACKWARD_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_BACKWARD_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_BACKWARD_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <hwy/highway.h>

#include "qkv/kernels/attention/general-forward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

class GeneralBackward {
 public:
  GeneralBackward(const AttendBackward<float>& a, const Task& task, const GradientPlaces& places)
      : a_(a),
        form_(*a.form),
        places_(places),
        task_(task),
        segment_(a.plan->segments[static_cast<std::size_t>(task.segment)]),
        group_(a.heads / a.kv_heads),
        keys_count_(segment_.k_end - segment_.k_begin),
        dp_(Scratch::padded(a.dim)),
        vp_(Scratch::padded(a.value_dim)),
        tile_(general_query_tile(form_, a.dim, a.value_dim)),
        strip_keys_(form_.norm.streams() ? std::min(kKeyTile, keys_count_) : keys_count_) {}

  /// As GeneralForward::run. With `collect` gradients of parameters are added to their places: they
  /// come out the same guarded or not, so the first time only.
  bool run(bool guarded, bool collect) {
    collect_ = collect;
    guarded_ = guarded;
    const Scorer::Size size{a_.dim, keys_count_, tile_, true};
    const std::int64_t kept = KeptBiases(form_);
    Scratch scratch(Scorer::floats(form_, size) + 2 * keys_count_ * (dp_ + vp_) +
                    tile_ * (dp_ + vp_) + Scratch::padded(a_.value_dim * tile_) +
                    (2 + kept) * strip_keys_ * tile_ + PatchFloats(tile_) + 128);
    Scorer scorer(form_, a_.scale, size, scratch);
    keys_ = scratch.take(keys_count_ * dp_);
    values_ = scratch.take(keys_count_ * vp_);
    dk_ = scratch.take(keys_count_ * dp_);
    dv_ = scratch.take(keys_count_ * vp_);
    dq_ = scratch.take(tile_ * dp_);
    dout_ = scratch.take(tile_ * vp_);
    dout_t_ = scratch.take(a_.value_dim * tile_);
    scores_ = scratch.take(strip_keys_ * tile_);
    products_ = scratch.take(strip_keys_ * tile_);
    kept_ = {scratch.take(kept * strip_keys_ * tile_), strip_keys_ * tile_};
    patch_ = scratch.take(PatchFloats(tile_));

    PackRows(keys_count_, a_.dim, a_.k + (segment_.k_begin * a_.kv_heads + task_.head) * a_.dim,
             a_.kv_heads * a_.dim, keys_, dp_);
    PackRows(keys_count_, a_.value_dim,
             a_.v + (segment_.k_begin * a_.kv_heads + task_.head) * a_.value_dim,
             a_.kv_heads * a_.value_dim, values_, vp_);
    scorer.take_keys(keys_, dp_, keys_count_);
    std::fill_n(dk_, keys_count_ * dp_, 0.0f);
    std::fill_n(dv_, keys_count_ * vp_, 0.0f);

    bool masked = false, finite = true;
    for (std::int64_t head = task_.head * group_; head < (task_.head + 1) * group_; ++head) {
      scorer.take_head(head);
      for (std::int64_t first = task_.first; first < task_.last; first += tile_) {
        masked |= query_tile_of(scorer, head, first, finite);
      }
      collect_weight(scorer, head);
    }
    for (std::int64_t k = 0; k < keys_count_; ++k) {
      const KeyGradients& to = places_.keys;
      finite &= Unpack(a_.dim, dk_ + k * dp_, scorer.factor(), to.dk + k * to.dk_stride);
      finite &= Unpack(a_.value_dim, dv_ + k * vp_, 1.0f, to.dv + k * to.dv_stride);
    }
    return finite || !masked;
  }

 private:
  /// One query tile against all keys; the return value is that of EachKeyTile.
  bool query_tile_of(Scorer& scorer, std::int64_t head, std::int64_t first, bool& finite) {
    Tile t = QueryTile(*a_.plan, task_.segment, a_.heads, head, first,
                       std::min(tile_, task_.last - first));
    const std::int64_t row0 = first * a_.heads + head;
    scorer.take_queries(a_.q + row0 * a_.dim, a_.heads * a_.dim, t);
    PackRows(t.rows, a_.value_dim, a_.dout + row0 * a_.value_dim, a_.heads * a_.value_dim, dout_,
             vp_);
    PackTransposed(t.rows, a_.value_dim, dout_, vp_, 1.0f, dout_t_, t.width);
    dropout_.prepare(a_.dropout, t);
    begun_ = false;
    RowCover cover(*a_.plan, first, t.rows);
    const bool masked = form_.norm.streams() ? stream(t, cover, scorer) : strip(t, cover, scorer);
    for (std::int64_t r = 0; r < t.rows; ++r) {
      float* to = a_.dq + (row0 + r * a_.heads) * a_.dim;
      if (begun_) {
        finite &= Unpack(a_.dim, dq_ + r * dp_, scorer.factor(), to);
      } else {
        std::fill_n(to, a_.dim, 0.0f);
      }
    }
    return masked;
  }

  bool stream(Tile& t, RowCover& cover, Scorer& scorer) {
    prepare_rows(t);
    return EachKeyTile(t, cover, [&] {
      recompute(t, scorer, scores_, products_, kept_);
      PullTile(form_.norm, t, a_.dentropy != nullptr, rows_, scores_, products_);
      spread(t, scorer, scores_, products_, kept_);
    });
  }

  bool strip(Tile& t, RowCover& cover, Scorer& scorer) {
    const Interval hull = cover.hull();
    if (hull.begin >= hull.end) return false;
    Strip strip{TileBegin(t, hull.begin), 0, t.width, {}};
    const auto at = [&](float* base) { return base + (t.key - strip.begin) * t.width; };
    const auto kept = [&] { return KeptTiles{at(kept_.at), kept_.stride}; };
    const bool masked = EachKeyTile(t, cover, [&] {
      recompute(t, scorer, at(scores_), at(products_), kept());
      strip.keys = t.key + t.keys - strip.begin;
      strip.tiles.push_back({t.key - strip.begin, strip.keys});
    });
    PullStrip(form_.norm, t, strip, scores_, products_);
    RowCover again(*a_.plan, t.first, t.rows);
    EachKeyTile(t, again, [&] { spread(t, scorer, at(scores_), at(products_), kept()); });
    return masked;
  }

  /// The scores of a tile, and what reaches their weights from above.
  void recompute(const Tile& t, const Scorer& scorer, float* scores, float* products,
                 KeptTiles kept) {
    const std::int64_t k = t.key - segment_.k_begin;
    FillTile(form_, scorer, t, k, patch_, kept, scores);
    Product<false>(false, t.keys, t.width / Lanes(), a_.value_dim, values_ + k * vp_, vp_, dout_t_,
                   t.width, products, t.width, false);
    if (a_.dropout.active()) Drop(a_.dropout, dropout_, t, products);
  }

  /// The weights and dS of a tile to all that they reach.
  void spread(const Tile& t, Scorer& scorer, float* weights, float* dscores, KeptTiles kept) {
    const std::int64_t k = t.key - segment_.k_begin;
    if (a_.dropout.active()) Drop(a_.dropout, dropout_, t, weights);
    Product<false>(guarded_, t.keys, vp_ / Lanes(), t.rows, weights, t.width, dout_, vp_,
                   dv_ + k * vp_, vp_, true);
    BiasGradients(form_, t, task_.head * group_, places_, collect_, patch_, kept, dscores);
    scorer.gradients(t, k, dscores, guarded_, begun_, dp_, dq_, dk_);
    begun_ = true;
  }

  float dot(const float* dout, const float* out) const {
    const F d;
    const std::int64_t whole = a_.value_dim / Lanes() * Lanes();
    VF sums = hn::Zero(d);
    for (std::int64_t e = 0; e < whole; e += Lanes()) {
      sums = hn::MulAdd(hn::Load(d, dout + e), hn::LoadU(d, out + e), sums);
    }
    float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for (std::int64_t e = whole; e < a_.value_dim; ++e) sum += dout[e] * out[e];
    return sum;
  }

  /// What PullTile needs to know of the rows, and the gradient of the sink.
  void prepare_rows(const Tile& t) {
    const Norm& norm = form_.norm;
    for (std::int64_t r = 0; r < t.width; ++r) {
      rows_.statistic[r] = rows_.factor[r] = rows_.delta[r] = rows_.dentropy[r] = 0.0f;
      if (r >= t.rows) continue;
      const std::int64_t row = (t.first + r) * a_.heads + t.head;
      const float statistic = a_.lse[row];
      if (norm.kind == Norm::Kind::relu) {
        const std::int64_t visible = norm.mean ? VisibleKeys(*a_.plan, t.first + r) : 1;
        rows_.factor[r] = visible == 0 ? 0.0f : 1.0f / static_cast<float>(visible);
      } else if (norm.kind == Norm::Kind::kernel_sum) {
        rows_.factor[r] = statistic == 0.0f || statistic == kNothing ? 0.0f : 1.0f / statistic;
        rows_.delta[r] = dot(dout_ + r * vp_, a_.out + row * a_.value_dim);
      } else if (norm.exponential() && statistic == kNothing) {
        rows_.statistic[r] =
            std::numeric_limits<float>::infinity();  // weight 0, whatever the score
      } else if (norm.exponential()) {
        rows_.statistic[r] = statistic;
        rows_.delta[r] = dot(dout_ + r * vp_, a_.out + row * a_.value_dim);
        if (a_.dlse) rows_.delta[r] -= a_.dlse[row];
        if (a_.dentropy) {
          rows_.dentropy[r] = a_.dentropy[row];
          rows_.delta[r] += a_.dentropy[row] * a_.entropy[row];
        }
        collect_sink(t, r);
      }
    }
  }

  void collect_sink(const Tile& t, std::int64_t r) {
    const Norm& norm = form_.norm;
    if (norm.kind != Norm::Kind::sink || !collect_ || !places_.sink.at) return;
    const float sink = norm.sink ? norm.sink[t.head] : 0.0f, log = sink - rows_.statistic[r];
    const float weight = std::exp(log);
    if (weight == 0.0f) return;
    places_.sink.at[(t.head - task_.head * group_) * places_.sink.head_stride] -=
        weight * (rows_.delta[r] + rows_.dentropy[r] * log);
  }

  void collect_weight(const Scorer& scorer, std::int64_t head) {
    const GradientPlace& to = places_.weight;
    if (!collect_ || !to.at) return;
    float* gradient = to.at + (head - task_.head * group_) * to.head_stride;
    for (std::int64_t c = 0; c < a_.dim; ++c) gradient[c] += scorer.dweight()[c];
  }

  const AttendBackward<float>& a_;
  const AttendForm<float>& form_;
  const GradientPlaces& places_;
  const Task& task_;
  const AttendPlan::Segment& segment_;
  std::int64_t group_, keys_count_, dp_, vp_, tile_, strip_keys_;
  float *keys_ = nullptr, *values_ = nullptr, *dk_ = nullptr, *dv_ = nullptr;  // [keys][padded]
  float *dq_ = nullptr, *dout_ = nullptr, *dout_t_ = nullptr;
  float *scores_ = nullptr, *products_ = nullptr, *patch_ = nullptr;
  KeptTiles kept_;
  bool collect_ = false, guarded_ = false, begun_ = false;
  RowDropout dropout_;
  RowGradients rows_;
};

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
