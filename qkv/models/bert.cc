#include "qkv/models/bert.h"

#include <algorithm>
#include <string>

#include "qkv/base/error.h"
#include "qkv/models/sizes.h"
#include "qkv/nn/positions.h"
#include "qkv/nn/residual.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

constexpr std::int64_t kMostShared = 4096;

/// Redraws every matrix of a part: N(0, σ) cut at 2σ. Vectors keep their ones and zeros.
template <class M>
void draw_matrices(Initialiser& init, M& part, double deviation) {
  for_each_parameter(part, [&](std::string_view, Tensor& p) {
    if (p.shape().rank() > 1) p = init.truncated_normal(p.shape(), deviation);
  });
}

std::vector<std::int32_t> places_below(const Segments& segments, const BertConfig& c) {
  if (segments.longest() > c.room()) {
    fail<ShapeError>(
        "bert: a sequence of {} tokens, max_position_embeddings is {}{}", segments.longest(),
        c.max_position_embeddings,
        c.first_position > 0 ? fmt::format(", counted from {}", c.first_position) : "");
  }
  return places(segments, c.first_position);
}

/// Which stored layers work one after another.
std::vector<std::size_t> layer_order(const BertConfig& c) {
  std::vector<std::size_t> order;
  for (std::int64_t l = 0; l < c.num_hidden_layers; ++l) {
    if (c.num_hidden_groups == 0) {
      order.push_back(static_cast<std::size_t>(l));
      continue;
    }
    const std::int64_t group = l * c.num_hidden_groups / c.num_hidden_layers;
    for (std::int64_t i = 0; i < c.inner_group_num; ++i) {
      order.push_back(static_cast<std::size_t>(group * c.inner_group_num + i));
    }
  }
  return order;
}

}  // namespace

BertConfig BertConfig::of(std::string_view size, std::int64_t vocabulary) {
  struct Size {
    std::string_view name;
    std::int64_t layers, width, heads;
  };
  static constexpr Size sizes[] = {{"tiny", 2, 128, 2},   {"mini", 4, 256, 4},
                                   {"small", 4, 512, 8},  {"medium", 8, 512, 8},
                                   {"base", 12, 768, 12}, {"large", 24, 1024, 16}};
  const Size& s = size_named(sizes, "bert: size", size);
  BertConfig c;
  c.vocab_size = vocabulary;
  c.num_hidden_layers = s.layers;
  c.hidden_size = s.width;
  c.num_attention_heads = s.heads;
  c.intermediate_size = 4 * s.width;
  return c;
}

void BertConfig::check() const {
  for (const auto& [name, value] :
       {std::pair{"vocab_size", vocab_size}, std::pair{"hidden_size", hidden_size},
        std::pair{"num_attention_heads", num_attention_heads},
        std::pair{"intermediate_size", intermediate_size},
        std::pair{"max_position_embeddings", max_position_embeddings},
        std::pair{"inner_group_num", inner_group_num}}) {
    if (value <= 0) fail("bert: {} is {}, must be positive", name, value);
  }
  for (const auto& [name, value] :
       {std::pair{"num_hidden_layers", num_hidden_layers},
        std::pair{"type_vocab_size", type_vocab_size}, std::pair{"embedding_size", embedding_size},
        std::pair{"num_hidden_groups", num_hidden_groups},
        std::pair{"first_position", first_position}}) {
    if (value < 0) fail("bert: {} is {}", name, value);
  }
  if (room() <= 0) {
    fail("bert: max_position_embeddings {} leave no place from {} on", max_position_embeddings,
         first_position);
  }
  if (num_hidden_groups > num_hidden_layers) {
    fail("bert: num_hidden_groups {} share {} layers", num_hidden_groups, num_hidden_layers);
  }
  // Shared weights do not grow with the layers, so the file is no bound.
  if (num_hidden_groups > 0 && num_hidden_layers * inner_group_num > kMostShared) {
    fail("bert: {} layers of {} share weights, more than {} in all", num_hidden_layers,
         inner_group_num, kMostShared);
  }
  if (hidden_size % num_attention_heads != 0) {
    fail("bert: hidden_size {} is no multiple of num_attention_heads {}", hidden_size,
         num_attention_heads);
  }
  for (const double p : {hidden_dropout_prob, attention_probs_dropout_prob}) {
    if (!(p >= 0.0 && p < 1.0)) fail("bert: dropout {} is not in [0, 1)", p);
  }
  if (!(layer_norm_eps > 0.0)) fail("bert: layer_norm_eps {} must be positive", layer_norm_eps);
  if (!(initializer_range > 0.0)) {
    fail("bert: initializer_range {} must be positive", initializer_range);
  }
}

BertEncoder BertEncoder::make(Initialiser& init, const BertConfig& c, bool pooler) {
  c.check();
  BertEncoder m;
  m.config = c;
  const std::int64_t width = c.table_width();
  m.words = init.truncated_normal({c.vocab_size, width}, c.initializer_range);
  m.positions = init.truncated_normal({c.max_position_embeddings, width}, c.initializer_range);
  if (c.type_vocab_size > 0) {
    m.types = init.truncated_normal({c.type_vocab_size, width}, c.initializer_range);
  }
  m.norm = LayerNorm::make(init, width, c.layer_norm_eps);
  if (c.embedding_size > 0) {
    m.mapping = Linear::make(init, width, c.hidden_size);
    draw_matrices(init, m.mapping, c.initializer_range);
  }
  LayerConfig layer;
  layer.attention = {.width = c.hidden_size,
                     .heads = c.num_attention_heads,
                     .dropout = c.attention_probs_dropout_prob};
  layer.feed_forward = c.intermediate_size;
  layer.activation = c.hidden_act;
  layer.dropout = c.hidden_dropout_prob;
  layer.norm_eps = c.layer_norm_eps;
  for (std::int64_t l = 0; l < c.stored_layers(); ++l) {
    m.layers.push_back({EncoderLayer::make(init, layer)});
    draw_matrices(init, m.layers.back(), c.initializer_range);
  }
  if (pooler) {
    m.pooler = Linear::make(init, c.hidden_size, c.hidden_size);
    draw_matrices(init, m.pooler, c.initializer_range);
  }
  return m;
}

Tensor BertEncoder::embedded(const BertRows& rows) const {
  if (static_cast<std::int64_t>(rows.ids.size()) != rows.segments.total() ||
      (!rows.types.empty() && rows.types.size() != rows.ids.size())) {
    fail<ShapeError>("bert: {} tokens and {} segment numbers in sequences of {}", rows.ids.size(),
                     rows.types.size(), rows.segments.total());
  }
  const Tensor placed = embed(rows.ids, words, {}, positions, places_below(rows.segments, config));
  if (!types.defined()) {
    if (std::ranges::any_of(rows.types, [](std::int32_t t) { return t != 0; })) {
      fail("bert: this model knows no second segment");
    }
    return norm(placed);
  }
  const Tensor typed =
      embed(rows.types.empty() ? std::vector<std::int32_t>(rows.ids.size(), 0) : rows.types, types);
  return residual_norm(placed, typed, norm.weight, norm.bias, {.eps = norm.eps}).out;
}

Tensor BertEncoder::operator()(const BertRows& rows) const {
  Tensor h = dropout(embedded(rows), config.hidden_dropout_prob);
  if (mapping.weight.defined()) h = mapping(h);
  ResidualStream stream(h, NormPlacement::post, config.hidden_dropout_prob);
  const Mask mask = qkv::segments(rows.segments, rows.segments);
  const ModuleScope at("encoder");
  std::int64_t number = 0;
  for (const std::size_t i : layer_order(config)) {
    const ModuleScope in("layers", number++);
    layers[i].layer(stream, mask);
  }
  return stream.finish({});
}

Tensor BertEncoder::pooled(const Tensor& states, const Segments& segments) const {
  if (!pooler.weight.defined()) fail("bert: this model has no pooler");
  std::vector<std::int64_t> first;
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    if (segments.length(b) == 0) fail<ShapeError>("bert: sequence {} has no token to pool", b);
    first.push_back(segments.begin(b));
  }
  return pooler(select_rows(states, first), config.pooler_act);
}

Bert Bert::make(Initialiser init, const BertConfig& c, Parts parts) {
  if (parts.next && !parts.pooler) fail("bert: the next-sentence head needs the pooler");
  Bert m;
  m.bert = BertEncoder::make(init, c, parts.pooler);
  if (parts.words) {
    m.transform = Linear::make(init, c.hidden_size, c.table_width());
    draw_matrices(init, m.transform, c.initializer_range);
    m.transform_norm = LayerNorm::make(init, c.table_width(), c.layer_norm_eps);
    m.word_bias = init.zeros({c.vocab_size});
  }
  if (parts.next) {
    m.next = Linear::make(init, c.hidden_size, 2);
    draw_matrices(init, m.next, c.initializer_range);
  }
  return m;
}

Tensor Bert::transformed(const Tensor& states) const {
  if (!transform.weight.defined()) fail("bert: this model has no head for hidden words");
  return transform_norm(transform(states, bert.config.hidden_act));
}

Tensor Bert::word_logits(const BertRows& rows, std::span<const std::int64_t> where) const {
  return logits(transformed(select_rows(bert(rows), where)), bert.words, VocabularyMatrix::table,
                word_bias);
}

BertLoss Bert::loss(const BertRows& rows, std::span<const std::int64_t> where,
                    std::span<const std::int32_t> targets, std::span<const std::int32_t> follows,
                    const BertLossOptions& options) const {
  if (where.size() != targets.size()) {
    fail<ShapeError>("bert: {} hidden words but {} targets", where.size(), targets.size());
  }
  if (!follows.empty() && static_cast<std::int64_t>(follows.size()) != rows.segments.count()) {
    fail<ShapeError>("bert: {} sequences but {} next-sentence labels", rows.segments.count(),
                     follows.size());
  }
  BertLoss result;
  const Tensor states = bert(rows);
  if (!where.empty()) {
    const CrossEntropyResult r =
        cross_entropy(transformed(select_rows(states, where)), bert.words, VocabularyMatrix::table,
                      word_bias, targets, {.scale = options.word_scale});
    result.loss = r.loss;
    result.word_sum = r.nll_sum;
    result.words = r.tokens;
    result.right_words = r.correct;
  }
  if (!follows.empty()) {
    if (!next.weight.defined()) fail("bert: this model has no next-sentence head");
    const CrossEntropyResult r = cross_entropy(next(bert.pooled(states, rows.segments)), follows,
                                               {.scale = options.next_scale});
    result.loss = result.loss.defined() ? add(result.loss, r.loss) : r.loss;
    result.next_sum = r.nll_sum;
    result.pairs = r.tokens;
    result.right_pairs = r.correct;
  }
  if (!result.loss.defined()) fail("bert: nothing to predict");
  return result;
}

std::string modern_bert_name(std::string name) {
  for (const auto& [old_end, new_end] : {std::pair{"LayerNorm.gamma", "LayerNorm.weight"},
                                         std::pair{"LayerNorm.beta", "LayerNorm.bias"}}) {
    const std::string_view end = old_end;
    if (name.ends_with(end)) return name.replace(name.size() - end.size(), end.size(), new_end);
  }
  return name;
}

bool is_redundant_bert_name(std::string_view name) {
  return name == "cls.predictions.decoder.weight" || name == "cls.predictions.decoder.bias" ||
         name.ends_with("embeddings.position_ids");
}

StateDict bert_state(const Bert& model) { return read_state(bert_entries(model)); }

void load_bert_state(Bert& model, StateDict state) {
  std::erase_if(state, [](const auto& entry) { return is_redundant_bert_name(entry.first); });
  for (auto& entry : state) entry.first = modern_bert_name(std::move(entry.first));
  write_state(bert_entries(model), state);
}

}  // namespace qkv
