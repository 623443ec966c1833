#include "qkv/attention/cached_form.h"

#include <cmath>
#include <optional>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

constexpr const char* kCall = "cached attention";

Tensor per_head(const char* name, const Tensor& x, std::int64_t heads) {
  if (x.shape() != Shape{heads}) {
    fail<ShapeError>("{}: {} is {}, H is {}", kCall, name, to_string(x.shape()), heads);
  }
  return x.to(DType::f32);
}

void take_biases(const Biases& biases, std::int64_t heads, CachedForm& form) {
  for (const Bias& bias : biases) {
    if (const auto* cap = std::get_if<SoftCap>(&bias)) {
      if (!(cap->cap > 0)) fail<ShapeError>("{}: SoftCap::cap {} is not above 0", kCall, cap->cap);
      if (form.soft_cap != 0.0 || form.slopes.defined()) {
        fail("{}: a SoftCap must be the first bias and the only one of its kind", kCall);
      }
      form.soft_cap = cap->cap;
    } else if (const auto* alibi = std::get_if<Alibi>(&bias)) {
      if (form.slopes.defined()) fail("{}: two Alibi biases", kCall);
      if (alibi->alignment != Alignment::bottom_right) {
        fail("{}: an Alibi aligned top left; a cache counts from the last key", kCall);
      }
      form.slopes = alibi->slopes.defined()
                        ? per_head("Alibi::slopes", alibi->slopes, heads)
                        : Tensor::of(alibi_slopes(heads, alibi->bias_max), {heads}).to(DType::f32);
    } else {
      fail("{}: of the biases a cache takes SoftCap and Alibi alone", kCall);
    }
  }
}

void take_mask(const Mask& mask, const CachedRows& rows, CachedForm& form) {
  const std::optional<MaskBand> band = band_of(mask);
  const bool cuts = band && (band->left < MaskBand::kFar || band->right < MaskBand::kFar);
  if (!band || band->lengths || band->right < 0 || band->left < 0 || (cuts && !rows.causal)) {
    fail("{}: cannot honour the mask {}; a cache takes {}", kCall, to_string(mask),
         rows.causal ? "segments, causal and a window that holds the row's own place" : "segments");
  }
  if (band->left < MaskBand::kFar) form.window = band->left + 1;
  if (!band->queries) return;
  const auto hypotheses = static_cast<std::int64_t>(rows.lengths.size());
  bool same = band->queries->count() == hypotheses;
  for (std::int64_t b = 0; same && b < hypotheses; ++b) {
    const auto at = static_cast<std::size_t>(b);
    same = band->queries->length(b) == rows.first[at + 1] - rows.first[at] &&
           band->keys->length(b) == rows.lengths[at];
  }
  if (!same) fail<ShapeError>("{}: {} are not the rows of the cache", kCall, to_string(mask));
}

}  // namespace

CachedForm cached_form(const Attention& how, std::int64_t heads, std::int64_t dim,
                       const CachedRows& rows) {
  CachedForm form;
  const auto* score = std::get_if<ScaledDot>(&how.score);
  if (!score) fail("{}: the score of a cache is ScaledDot and no other", kCall);
  form.scale = score->scale != 0.0 ? score->scale : 1.0 / std::sqrt(static_cast<double>(dim));
  take_biases(how.bias, heads, form);
  if (const auto* sink = std::get_if<SoftmaxSink>(&how.norm)) {
    form.sinks = sink->sink.defined() ? per_head("SoftmaxSink::sink", sink->sink, heads)
                                      : Tensor::zeros({heads});
  } else if (!std::holds_alternative<Softmax>(how.norm)) {
    fail("{}: the normaliser of a cache is Softmax or SoftmaxSink", kCall);
  }
  if (how.dropout != 0.0 && recording()) fail("{}: no dropout while recording", kCall);
  take_mask(how.mask, rows, form);
  form.definition = how.run == Execution::definition || definition_only();
  return form;
}

}  // namespace qkv
