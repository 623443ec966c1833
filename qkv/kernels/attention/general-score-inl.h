// The scores of form.h for a tile, and their gradients: what differs between the product, the
// additive and the L1 score and a user's own. Compiled once per instruction set; included from
// dispatched sources only.
#if defined(QKV_KERNELS_ATTENTION_GENERAL_SCORE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_GENERAL_SCORE_INL_H_
#undef QKV_KERNELS_ATTENTION_GENERAL_SCORE_INL_H_
#else
#define QKV_KERNELS_ATTENTION_GENERAL_SCORE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include <hwy/highway.h>

#include "qkv/kernels/attention/additive-inl.h"
#include "qkv/kernels/attention/general-tile-inl.h"
#include "qkv/kernels/attention/l1-inl.h"
#include "qkv/kernels/attention/leaky-inl.h"
#include "qkv/kernels/attention/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// Scores of query tiles of one head against key tiles. Keys are counted from those last taken.
class Scorer {
 public:
  /// Room for so many keys and query rows at a time; `gradients` when they will be asked for.
  struct Size {
    std::int64_t dim, keys, rows;
    bool gradients;
  };
  static std::int64_t floats(const AttendForm<float>& form, const Size& size) {
    const std::int64_t stride = PairStride(size.dim);
    switch (form.score) {
      case ScoreForm::product:
        return size.dim * size.rows + (size.gradients ? size.rows * stride : 0) + 64;
      case ScoreForm::additive:
        return (size.keys + size.rows + 2) * (stride + 1) + 96;
      case ScoreForm::l1:
        return (size.keys + size.rows) * stride + 64;
      case ScoreForm::pair:
        return 0;
    }
    return 0;
  }
  Scorer(const AttendForm<float>& form, double scale, const Size& size, Scratch& scratch);

  /// The features of head `head` come from here on.
  void take_head(std::int64_t head);
  /// Key rows [count][dim], `stride` apart; for gradients they must stay, and for those of the
  /// product be aligned, zeros behind dim.
  void take_keys(const float* from, std::int64_t stride, std::int64_t count);
  void take_queries(const float* from, std::int64_t stride, const Tile& t);

  /// scores[key][width] of keys k .. k + t.keys of those taken.
  void scores(const Tile& t, std::int64_t k, float* to) const;

  /// dscores -> dq [rows][dp] (added to when `begun`), dk [keys taken][dp] (added to), both still
  /// to be multiplied by factor(). Pairs without gradient are left out, of the product when
  /// `guarded`.
  void gradients(const Tile& t, std::int64_t k, const float* dscores, bool guarded, bool begun,
                 std::int64_t dp, float* dq, float* dk);
  float factor() const { return form_.score == ScoreForm::product ? scale_ : 1.0f; }
  /// Of the additive score's weight, of this head so far; null for other scores.
  const float* dweight() const { return dweight_; }

 private:
  AdditiveTile additive(const Tile& t, std::int64_t k) const {
    const AdditiveRows keys{{prepared_keys_ + k * stride_, t.keys, stride_},
                            keys_ + k * keys_stride_,
                            keys_stride_,
                            key_extent_ + k};
    return {
        dim_, keys, {{prepared_, t.rows, stride_}, queries_, queries_stride_, extent_}, weight_};
  }
  L1Tile l1(const Tile& t, std::int64_t k) const {
    return {dim_,
            {prepared_keys_ + k * stride_, t.keys, stride_},
            {prepared_, t.rows, stride_},
            -scale_};
  }
  LeakyTile leaky(const Tile& t, std::int64_t k) const {
    return {dim_,
            {prepared_keys_ + k * stride_, t.keys, stride_},
            {prepared_, t.rows, stride_},
            weight_,
            static_cast<float>(form_.slope)};
  }
  bool is_leaky() const { return form_.additive(UnitActivation::leaky_relu); }
  bool is_tanh() const { return form_.additive(UnitActivation::tanh); }
  void pair_scores(const Tile& t, std::int64_t k, float* to) const;
  void pair_gradients(const Tile& t, std::int64_t k, const float* dscores, std::int64_t dp,
                      float* dq, float* dk) const;

  const AttendForm<float>& form_;
  float scale_;
  std::int64_t dim_, stride_;
  const float *keys_ = nullptr, *queries_ = nullptr;  // as they were given
  std::int64_t keys_stride_ = 0, queries_stride_ = 0;
  float *prepared_keys_ = nullptr, *prepared_ = nullptr;  // rows, PairStride apart
  float* transposed_ = nullptr;                           // product: queries [dim][width]
  float *key_extent_ = nullptr, *extent_ = nullptr;       // additive
  float *weight_ = nullptr, *dweight_ = nullptr;
};

inline Scorer::Scorer(const AttendForm<float>& form, double scale, const Size& size,
                      Scratch& scratch)
    : form_(form),
      scale_(static_cast<float>(scale)),
      dim_(size.dim),
      stride_(PairStride(size.dim)) {
  const bool additive = form.score == ScoreForm::additive;
  if (form.score == ScoreForm::product) {
    transposed_ = scratch.take(dim_ * size.rows);
    if (size.gradients) prepared_ = scratch.take(size.rows * stride_);
  }
  if (additive || form.score == ScoreForm::l1) {
    prepared_keys_ = scratch.take(size.keys * stride_);
    prepared_ = scratch.take(size.rows * stride_);
  }
  if (additive) {
    key_extent_ = scratch.take(size.keys);
    extent_ = scratch.take(size.rows);
    weight_ = scratch.take(stride_);
    dweight_ = scratch.take(stride_);
  }
}

inline void Scorer::take_head(std::int64_t head) {
  if (!weight_) return;
  std::copy_n(form_.weight + head * form_.weight_stride, dim_, weight_);
  std::fill(weight_ + dim_, weight_ + stride_, 0.0f);
  std::fill_n(dweight_, stride_, 0.0f);
}

inline void Scorer::take_keys(const float* from, std::int64_t stride, std::int64_t count) {
  keys_ = from;
  keys_stride_ = stride;
  if (form_.score == ScoreForm::l1 || is_leaky()) {
    PackRows(count, dim_, from, stride, prepared_keys_, stride_);
  }
  if (is_tanh()) {
    AdditivePrepare(count, dim_, from, stride, prepared_keys_, stride_, key_extent_);
  }
}

inline void Scorer::take_queries(const float* from, std::int64_t stride, const Tile& t) {
  queries_ = from;
  queries_stride_ = stride;
  if (is_tanh()) {
    AdditivePrepare(t.rows, dim_, from, stride, prepared_, stride_, extent_);
  } else if (prepared_) {
    PackRows(t.rows, dim_, from, stride, prepared_, stride_);
  }
  if (transposed_) PackTransposed(t.rows, dim_, from, stride, scale_, transposed_, t.width);
}

inline void Scorer::scores(const Tile& t, std::int64_t k, float* to) const {
  switch (form_.score) {
    case ScoreForm::product:
      return Product<false>(false, t.keys, t.width / Lanes(), dim_, keys_ + k * keys_stride_,
                            keys_stride_, transposed_, t.width, to, t.width, false);
    case ScoreForm::additive:
      return is_leaky() ? LeakyScores(leaky(t, k), t.width, to)
                        : AdditiveScores(additive(t, k), t.width, to);
    case ScoreForm::l1:
      return L1Scores(l1(t, k), t.width, to);
    case ScoreForm::pair:
      return pair_scores(t, k, to);
  }
}

inline void Scorer::gradients(const Tile& t, std::int64_t k, const float* dscores, bool guarded,
                              bool begun, std::int64_t dp, float* dq, float* dk) {
  if (form_.score == ScoreForm::product) {
    Product<false>(guarded, t.keys, dp / Lanes(), t.rows, dscores, t.width, prepared_, stride_,
                   dk + k * dp, dp, true);
    Product<true>(guarded, t.rows, dp / Lanes(), t.keys, dscores, t.width, keys_ + k * keys_stride_,
                  keys_stride_, dq, dp, begun);
    return;
  }
  if (!begun) std::fill_n(dq, t.rows * dp, 0.0f);
  const PairGradient to{dq, dp, dk + k * dp, dp};
  if (is_leaky()) {
    LeakyGradients(leaky(t, k), t.width, dscores, to, dweight_);
  } else if (is_tanh()) {
    AdditiveGradients(additive(t, k), t.width, dscores, to, dweight_);
  } else if (form_.score == ScoreForm::l1) {
    L1Gradients(l1(t, k), t.width, dscores, to);
  } else {
    pair_gradients(t, k, dscores, dp, dq, dk);
  }
}

/// Rows [count][dim] as a user's function takes them.
inline std::vector<double> Widened(const float* from, std::int64_t stride, std::int64_t count,
                                   std::int64_t dim) {
  std::vector<double> rows;
  rows.reserve(static_cast<std::size_t>(count * dim));
  for (std::int64_t r = 0; r < count; ++r) {
    rows.insert(rows.end(), from + r * stride, from + r * stride + dim);
  }
  return rows;
}

inline void Scorer::pair_scores(const Tile& t, std::int64_t k0, float* to) const {
  std::fill_n(to, t.keys * t.width, 0.0f);
  const auto n = static_cast<std::size_t>(dim_);
  const auto queries = Widened(queries_, queries_stride_, t.rows, dim_);
  const auto keys = Widened(keys_ + k0 * keys_stride_, keys_stride_, t.keys, dim_);
  EachVisible(t, [&](std::int64_t k, std::int64_t r) {
    to[k * t.width + r] = static_cast<float>(
        form_.pair->value({queries.data() + r * dim_, n}, {keys.data() + k * dim_, n}));
  });
}

inline void Scorer::pair_gradients(const Tile& t, std::int64_t k0, const float* dscores,
                                   std::int64_t dp, float* dq, float* dk) const {
  const auto n = static_cast<std::size_t>(dim_);
  const auto queries = Widened(queries_, queries_stride_, t.rows, dim_);
  const auto keys = Widened(keys_ + k0 * keys_stride_, keys_stride_, t.keys, dim_);
  std::vector<double> left(n), right(n);
  EachVisible(t, [&](std::int64_t k, std::int64_t r) {
    const float ds = dscores[k * t.width + r];
    if (ds == 0.0f) return;
    std::fill(left.begin(), left.end(), 0.0);
    std::fill(right.begin(), right.end(), 0.0);
    form_.pair->gradient({queries.data() + r * dim_, n}, {keys.data() + k * dim_, n},
                         static_cast<double>(ds), left, right);
    for (std::size_t c = 0; c < n; ++c) {
      dq[static_cast<std::size_t>(r * dp) + c] += static_cast<float>(left[c]);
      dk[static_cast<std::size_t>((k0 + k) * dp) + c] += static_cast<float>(right[c]);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
