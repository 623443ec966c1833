#include "qkv/models/rnn_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/attention/observer.h"
#include "qkv/models/rnn_translator.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/softmax.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

Tensor one_head(const Tensor& x) { return reshape(x, {x.dim(0), 1, x.dim(1)}); }
Tensor no_heads(const Tensor& x) { return reshape(x, {x.dim(0), x.dim(2)}); }

/// How q [n A] meets the keys: q stands for n heads of one.
Attention how_of(const RnnTranslator& m, const Mask& mask) {
  Attention how;
  if (m.config.score == RnnScore::additive) {
    how.score = Additive{.weight = m.score, .query = {}, .key = {}};
  } else {
    how.score = ScaledDot{.scale = 1.0};
  }
  how.mask = mask;
  how.dropout = m.config.attention_dropout;
  return how;
}

/// The keys j of the row's sentence with |j − place| ≤ width.
void near(double place, std::int64_t width, const MaskRow& row, Intervals& keys) {
  const auto d = static_cast<double>(width), last = static_cast<double>(row.keys) - 1.0;
  const auto first = static_cast<std::int64_t>(std::ceil(std::max(0.0, place - d)));
  const auto end = static_cast<std::int64_t>(std::floor(std::min(last, place + d))) + 1;
  if (first < end) keys.push_back({row.k_begin + first, row.k_begin + end});
}

Mask monotonic_window(std::int64_t width, std::optional<std::int64_t> step) {
  return Mask::of("monotonic", [=](const MaskRow& row, Intervals& keys) {
    const std::int64_t place = std::min(step.value_or(row.position), row.keys - 1);
    near(static_cast<double>(place), width, row, keys);
  });
}

/// Around the places [n 1], one a row.
Mask predicted_window(std::int64_t width, const Tensor& places) {
  const Tensor at = places.to(DType::f64);
  return Mask::of("predictive", [=](const MaskRow& row, Intervals& keys) {
    near(at.values<double>()[static_cast<std::size_t>(row.query)], width, row, keys);
  });
}

}  // namespace

RnnAttention::RnnAttention(const RnnTranslator& model, const RnnMemory& memory, std::int64_t rows)
    : model_(model),
      memory_(memory),
      keys_(one_head(model.key.weight.defined() ? model.key(memory.rows) : memory.rows)),
      values_(one_head(memory.rows)) {
  if (model.query.weight.defined()) query_.emplace_back(model.query.weight, Tensor(), rows);
  if (model.config.local == RnnLocal::predictive) {
    local_hidden_.emplace_back(model.local_hidden.weight, Tensor(), rows);
    local_place_.emplace_back(model.local_place.weight, Tensor(), rows);
  }
}

Tensor RnnAttention::places(const Tensor& state, const Segments& rows) {
  const Tensor inner = activate(local_hidden_[0](state), Activation::tanh);
  std::vector<double> of_row;
  for (std::int64_t b = 0; b < rows.count(); ++b) {
    of_row.insert(of_row.end(), static_cast<std::size_t>(rows.length(b)),
                  static_cast<double>(memory_.segments.length(b)));
  }
  const Tensor lengths = Tensor::of(of_row, {rows.total(), 1});
  return multiply(activate(local_place_[0](inner), Activation::sigmoid), lengths.to(state.dtype()));
}

const Tensor& RnnAttention::units() {
  if (units_.defined()) return units_;
  const Segments& keys = memory_.segments;
  std::vector<std::int64_t> position;  // of each row in its sentence
  for (std::int64_t b = 0; b < keys.count(); ++b) {
    for (std::int64_t j = 0; j < keys.length(b); ++j) position.push_back(j);
  }
  const std::int64_t longest = keys.longest();
  return units_ = generated({keys.total(), 1, longest}, keys_.dtype(), [&](std::int64_t i) {
           return position[static_cast<std::size_t>(i / longest)] == i % longest ? 1.0 : 0.0;
         });
}

Tensor RnnAttention::operator()(const Tensor& state, const Segments& rows,
                                std::optional<std::int64_t> step) {
  const RnnTranslator::Config& c = model_.config;
  const ModuleScope outer("decoder"), at("attention");
  const Tensor q = one_head(query_.empty() ? state : query_[0](state));
  const Mask sentence = segments(rows, memory_.segments);
  if (c.local != RnnLocal::predictive) {
    const Attention how = how_of(model_, c.local == RnnLocal::monotonic
                                             ? sentence & monotonic_window(c.local_width, step)
                                             : sentence);
    // Values that are unit vectors give the weights themselves, whatever the score.
    if (watching_) {
      const AttentionObserver quiet({});  // it is the same attention once more
      weights_ = no_heads(attend(q, keys_, units(), how));
    }
    return no_heads(attend(q, keys_, values_, how));
  }
  const Tensor place = places(state, rows);
  Attention how = how_of(model_, sentence & predicted_window(c.local_width, place));
  how.dropout = 0.0;
  Tensor weights;
  {
    const AttentionObserver quiet({});  // not yet what the values are weighed with
    weights = bell_columns(no_heads(attend(q, keys_, units(), how)), place,
                           0.5 * static_cast<double>(c.local_width));
  }
  if (watching_) weights_ = weights;
  // And back: a row of weights times unit vectors gives the weights as scores, which Relu keeps.
  return no_heads(attend(one_head(weights), units(), values_,
                         {.score = ScaledDot{.scale = 1.0},
                          .mask = how.mask,
                          .norm = Relu{},
                          .dropout = c.attention_dropout}));
}

}  // namespace qkv
