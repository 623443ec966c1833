#include "qkv/decode/transformer_decoder.h"

#include <utility>

#include "qkv/attention/cache.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

CacheShape cache_shape(const DecoderStack& stack, bool self, const CacheOptions& options) {
  CacheShape shape{.type = options.type, .window = self ? options.window : 0};
  shape.layers = static_cast<std::int64_t>(stack.layers.size());
  if (shape.layers == 0) return {.layers = 0, .kv_heads = 1, .dim = 1};
  const DecoderLayer& layer = stack.layers.front();
  const MultiHead::Config& c = self ? layer.self.config : layer.cross.config;
  shape.kv_heads = c.kv_heads;
  shape.dim = c.head_dim;
  return shape;
}

class TransformerState final : public HiddenRows {
 public:
  TransformerState(const TransformerDecoder& decoder, std::span<const Tokens* const> sources,
                   bool with_attention)
      : HiddenRows(decoder.head()),
        decoder_(decoder),
        stack_(decoder.stack()),
        shown_layer_(with_attention ? decoder.options().attention_layer : -1),
        packed_(pack(sources, decoder.options().source_eos)),
        self_(cache_shape(stack_, true, decoder.options().cache), packed_.segments.count()),
        cross_(cache_shape(stack_, false, decoder.options().cache), packed_.segments,
               packed_.each_once) {
    const NoRecording off;
    const Tensor memory = stack_.memory(packed_.ids, packed_.segments);
    for (std::size_t l = 0; l < stack_.layers.size(); ++l) {
      const MultiHead& cross = stack_.layers[l].cross;
      cross_.set(static_cast<std::int64_t>(l), cross.keys(memory), cross.values(memory));
    }
  }

  void advance(std::span<const std::int32_t> parents,
               std::span<const std::int32_t> tokens) override {
    read(parents, tokens, Segments(std::vector<std::int64_t>(parents.size(), 1)));
  }

  void read(std::span<const std::int32_t> parents, std::span<const std::int32_t> tokens,
            const Segments& fresh) override {
    const NoRecording off;
    self_.reorder(parents);
    // The source is asked by every token, so each stands for a hypothesis of its own meanwhile.
    std::vector<std::int32_t> askers, last;
    positions_.clear();
    for (std::int64_t b = 0; b < fresh.count(); ++b) {
      if (fresh.length(b) == 0) fail("transformer decoder: no token to read");
      for (std::int64_t t = 0; t < fresh.length(b); ++t) {
        askers.push_back(parents[static_cast<std::size_t>(b)]);
        positions_.push_back(static_cast<std::int32_t>(self_.length(b) + t));
      }
      last.push_back(static_cast<std::int32_t>(fresh.end(b)) - 1);
    }
    cross_.reorder(askers);
    self_.begin_step(fresh);
    ResidualStream stream(stack_.embed(tokens, positions_), stack_.placement, 0.0);
    const ModuleScope at("decoder");
    for (std::size_t i = 0; i < stack_.layers.size(); ++i) {
      const ModuleScope in("layers", static_cast<std::int64_t>(i));
      const DecoderLayer& layer = stack_.layers[i];
      const auto l = static_cast<std::int64_t>(i);
      layer(
          stream,
          [&](const Tensor& x) {
            self_.append(l, layer.self.keys(x), layer.self.values(x));
            return layer.self.joined(
                self_.attend(l, layer.self.queries(x), layer.self.how(causal())));
          },
          [&](const Tensor& x) {
            Tensor* weights = l == shown_layer_ ? &weights_ : nullptr;
            return layer.cross.joined(
                cross_.attend(l, layer.cross.queries(x), layer.cross.how(everything()), weights));
          });
    }
    hidden_ = stream.finish(*stack_.norm);
    if (fresh.total() != fresh.count()) keep(last);
    if (shown_layer_ >= 0) mix_heads();
  }

  std::span<const float> attention(std::int64_t row) const override {
    if (shown_layer_ < 0) return {};
    const std::int64_t stride = weights_.dim(2);
    const std::int64_t length = packed_.segments.length(cross_.sentence(row));
    return attention_.values().subspan(static_cast<std::size_t>(row * stride),
                                       static_cast<std::size_t>(length));
  }

 private:
  struct Packed {
    Tokens ids;
    Segments segments;
    std::vector<std::int32_t> each_once;  // 0, 1 … one row a source
  };

  static Packed pack(std::span<const Tokens* const> sources, std::int32_t eos) {
    Packed packed;
    std::vector<std::int64_t> lengths;
    for (const Tokens* source : sources) {
      packed.ids.insert(packed.ids.end(), source->begin(), source->end());
      if (eos >= 0) packed.ids.push_back(eos);
      packed.each_once.push_back(static_cast<std::int32_t>(lengths.size()));
      lengths.push_back(static_cast<std::int64_t>(source->size()) + (eos >= 0 ? 1 : 0));
    }
    packed.segments = Segments(lengths);
    return packed;
  }

  // Of the rows of all tokens those of the last ones.
  void keep(const std::vector<std::int32_t>& last) {
    cross_.reorder(last);
    const std::vector<std::int64_t> rows(last.begin(), last.end());
    hidden_ = select_rows(hidden_, rows);
    if (shown_layer_ < 0) return;
    const std::int64_t heads = weights_.dim(1), stride = weights_.dim(2);
    const Tensor flat = select_rows(weights_.reshaped({weights_.dim(0), heads * stride}), rows);
    weights_ = flat.reshaped({flat.dim(0), heads, stride});
  }

  // weights_ [rows H stride] to attention_ [rows stride]: one head or the mean of all.
  void mix_heads() {
    const std::int64_t rows = weights_.dim(0), heads = weights_.dim(1), stride = weights_.dim(2);
    const std::int64_t head = decoder_.options().attention_head;
    const std::int64_t from = head < 0 ? 0 : head, to = head < 0 ? heads : head + 1;
    const float share = 1.0f / static_cast<float>(to - from);
    const Tensor each = weights_.reshaped({rows * heads, stride});
    attention_ = Tensor::zeros({rows, stride});
    for (std::int64_t r = 0; r < rows; ++r) {
      Tensor mixed = attention_.rows(r, r + 1);
      for (std::int64_t h = r * heads + from; h < r * heads + to; ++h) {
        add_scaled(static_cast<double>(share), each.rows(h, h + 1), mixed);
      }
    }
  }

  const TransformerDecoder& decoder_;
  const DecoderStack& stack_;
  const std::int64_t shown_layer_;  // −1: nobody looks
  const Packed packed_;
  KvCache self_;
  SourceCache cross_;
  std::vector<std::int32_t> positions_;  // [tokens of a step]
  Tensor weights_;                       // [rows H stride]
  Tensor attention_;                     // [rows stride]
};

DecoderStack stack_of(const Transformer& model, bool ends_sources) {
  const std::int64_t places = model.config.max_length;
  return {
      .layers = model.decoder,
      .norm = &model.decoder_norm,
      .placement = model.config.norm,
      .max_source = places - (ends_sources ? 1 : 0),
      .max_target = places - 1,
      .embed = [&model](std::span<const std::int32_t> ids,
                        std::span<const std::int32_t> at) { return model.embed_target(ids, at); },
      .memory = [&model](std::span<const std::int32_t> ids,
                         const Segments& segments) { return model.encode(ids, segments); }};
}

}  // namespace

TransformerDecoder::TransformerDecoder(const Transformer& model,
                                       const TransformerDecoderOptions& options)
    : TransformerDecoder(
          stack_of(model, options.source_eos >= 0),
          VocabularyHead(model.output_matrix(), model.output_stored(), model.output_bias),
          options) {}

TransformerDecoder::TransformerDecoder(DecoderStack stack, VocabularyHead head,
                                       const TransformerDecoderOptions& options)
    : stack_(std::move(stack)), options_(options), head_(std::move(head)) {
  const auto layers = static_cast<std::int64_t>(stack_.layers.size());
  std::int64_t& layer = options_.attention_layer;
  if (layer == -2 && layers == 1) layer = -1;
  if (layer < 0) layer += layers;
  if (layers > 0 && (layer < 0 || layer >= layers)) {
    fail("attention layer {} of {}", options.attention_layer, layers);
  }
  const std::int64_t heads =
      layers > 0 ? stack_.layers.front().cross.config.heads : options.attention_head + 1;
  if (options.attention_head < -1 || options.attention_head >= heads) {
    fail("attention head {} of {}", options.attention_head, heads);
  }
  if (options.cache.window < 0) fail("decoder: window is {}", options.cache.window);
}

std::unique_ptr<StepState> TransformerDecoder::start(std::span<const Tokens* const> sources,
                                                     bool with_attention) const {
  if (with_attention && stack_.layers.empty()) fail("a decoder without layers has no attention");
  return std::make_unique<TransformerState>(*this, sources, with_attention);
}

}  // namespace qkv
