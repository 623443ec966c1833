#include "qkv/models/transformer.h"

#include <cmath>

#include "qkv/base/error.h"
#include "qkv/ops/embedding.h"

namespace qkv {

void Transformer::Config::check() const {
  const auto positive = [](const char* name, std::int64_t value) {
    if (value <= 0) fail("transformer: {} is {}, must be positive", name, value);
  };
  positive("source_vocabulary", source_vocabulary);
  positive("target_vocabulary", target_vocabulary);
  positive("width", width);
  positive("heads", heads);
  positive("feed_forward", feed_forward);
  positive("max_length", max_length);
  if (first_position < 0) fail("transformer: first_position {} is negative", first_position);
  if (encoder_layers < 0 || decoder_layers < 0) fail("transformer: a negative number of layers");
  if (width % heads != 0) fail("transformer: width {} is no multiple of heads {}", width, heads);
  if (share_embeddings && source_vocabulary != target_vocabulary) {
    fail("transformer: share_embeddings needs equal vocabularies, not {} and {}", source_vocabulary,
         target_vocabulary);
  }
  for (double p : {dropout, attention_dropout, activation_dropout}) {
    if (!(p >= 0.0 && p < 1.0)) fail("transformer: dropout {} is not in [0, 1)", p);
  }
  if (!(norm_eps > 0.0)) fail("transformer: norm_eps {} must be positive", norm_eps);
}

Transformer Transformer::make(Initialiser init, const Config& c) {
  c.check();
  Transformer m;
  m.config = c;
  const double deviation = 1.0 / std::sqrt(static_cast<double>(c.width));
  m.source_embedding = init.normal({c.source_vocabulary, c.width}, deviation);
  if (!c.share_embeddings)
    m.target_embedding = init.normal({c.target_vocabulary, c.width}, deviation);
  if (c.positions == PositionKind::learned) {
    m.source_positions = init.normal({c.max_length, c.width}, deviation);
    m.target_positions = init.normal({c.max_length, c.width}, deviation);
  } else if (c.positions == PositionKind::sinusoidal) {
    init.require_table(c.max_length, c.width);
    m.sinusoids_ = sinusoid(c.max_length, c.width, c.sinusoid, c.first_position, init.type());
  }
  if (!c.tie_output) m.output_weight = init.xavier({c.width, c.target_vocabulary});
  if (c.output_bias) m.output_bias = init.zeros({c.target_vocabulary});

  LayerConfig layer;
  layer.attention = {.width = c.width,
                     .heads = c.heads,
                     .output = c.attention_output,
                     .projection = c.relu_projections ? Activation::relu : Activation::none,
                     .dropout = c.attention_dropout};
  layer.feed_forward = c.feed_forward;
  layer.activation = c.activation;
  layer.dropout = c.dropout;
  layer.activation_dropout = c.activation_dropout;
  layer.norm_eps = c.norm_eps;
  for (std::int64_t i = 0; i < c.encoder_layers; ++i) {
    m.encoder.push_back(EncoderLayer::make(init, layer));
  }
  for (std::int64_t i = 0; i < c.decoder_layers; ++i) {
    m.decoder.push_back(DecoderLayer::make(init, layer));
  }
  if (c.final_norm) {
    m.encoder_norm = LayerNorm::make(init, c.width, c.norm_eps);
    m.decoder_norm = LayerNorm::make(init, c.width, c.norm_eps);
  }
  return m;
}

std::vector<std::int32_t> positions_of(const Segments& segments, std::int64_t limit) {
  if (segments.longest() > limit) {
    fail<ShapeError>("transformer: a sequence of {} tokens, max_length is {}", segments.longest(),
                     limit);
  }
  return places(segments);
}

Tensor Transformer::embed_rows(std::span<const std::int32_t> ids, const Tensor& table,
                               const Tensor& learned, std::span<const std::int32_t> position,
                               bool zero_rows) const {
  return embed(
      ids, table,
      {.scale = config.scale_embedding ? std::sqrt(static_cast<double>(config.width)) : 1.0,
       .dropout = config.dropout,
       .zero_rows = zero_rows},
      learned.defined() ? learned : sinusoids_, position);
}

Tensor Transformer::embed_target(std::span<const std::int32_t> ids,
                                 std::span<const std::int32_t> position) const {
  const Tensor& table = config.share_embeddings ? source_embedding : target_embedding;
  if (!config.zero_start) return embed_rows(ids, table, target_positions, position);
  std::vector<std::int32_t> rows(ids.begin(), ids.end());
  for (std::size_t t = 0; t < rows.size(); ++t) {
    if (position[t] == 0) rows[t] = -1;
  }
  return embed_rows(rows, table, target_positions, position, true);
}

Tensor Transformer::encode(std::span<const std::int32_t> ids, const Segments& segments) const {
  const Mask mask = qkv::segments(segments, segments);
  ResidualStream stream(embed_rows(ids, source_embedding, source_positions,
                                   positions_of(segments, config.max_length)),
                        config.norm, config.dropout);
  const ModuleScope at("encoder");
  for (std::size_t i = 0; i < encoder.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    encoder[i](stream, mask);
  }
  return stream.finish(encoder_norm);
}

Tensor Transformer::decode(std::span<const std::int32_t> ids, const Segments& segments,
                           const Tensor& memory, const Segments& memory_segments) const {
  if (segments.count() != memory_segments.count()) {
    fail<ShapeError>("transformer: {} target sequences but {} source sequences", segments.count(),
                     memory_segments.count());
  }
  const Mask self_mask = qkv::segments(segments, segments) & causal();
  const Mask cross_mask = qkv::segments(segments, memory_segments);
  ResidualStream stream(embed_target(ids, positions_of(segments, config.max_length)), config.norm,
                        config.dropout);
  const ModuleScope at("decoder");
  for (std::size_t i = 0; i < decoder.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    const DecoderLayer& layer = decoder[i];
    layer(
        stream, [&](const Tensor& x) { return layer.self(x, x, self_mask); },
        [&](const Tensor& x) { return layer.cross(x, memory, cross_mask); });
  }
  return stream.finish(decoder_norm);
}

CrossEntropyResult Transformer::loss(const TranslationBatch& batch,
                                     const CrossEntropyOptions& options) const {
  const Tensor memory = encode(batch.source, batch.source_segments);
  const Tensor hidden =
      decode(batch.target_in, batch.target_segments, memory, batch.source_segments);
  return cross_entropy(hidden, output_matrix(), output_stored(), output_bias, batch.target_out,
                       options);
}

const Tensor& Transformer::output_matrix() const {
  if (!config.tie_output) return output_weight;
  return config.share_embeddings ? source_embedding : target_embedding;
}

VocabularyMatrix Transformer::output_stored() const {
  return config.tie_output ? VocabularyMatrix::table : VocabularyMatrix::projection;
}

Transformer::Config transformer_sizes(std::string_view preset) {
  Transformer::Config c;
  if (preset == "tiny") {
    // The text-only baseline of Wu et al. (ACL 2021) on Multi30k, in fairseq's conventions.
    c.width = 128;
    c.heads = 4;
    c.feed_forward = 256;
    c.encoder_layers = c.decoder_layers = 4;
    c.sinusoid = Sinusoid::blocks;
    c.dropout = 0.3;
  } else if (preset == "small") {
    c.width = 256;
    c.heads = 4;
    c.feed_forward = 1024;
    c.encoder_layers = c.decoder_layers = 3;
    c.dropout = 0.2;
  } else if (preset == "base" || preset == "page") {
    // Vaswani et al. 2017, base.
    c.width = 512;
    c.heads = 8;
    c.feed_forward = 2048;
    c.encoder_layers = c.decoder_layers = 6;
    c.dropout = 0.1;
  } else {
    fail<UsageError>("--preset '{}' is not one of tiny, small, base, page", preset);
  }
  if (preset == "page") {
    // The walk-through's (systems.md S5b): at most 10 words, no W_O.
    c.positions = PositionKind::learned;
    c.max_length = 10;
    c.norm_eps = 1e-8;
    c.attention_dropout = 0.1;
    c.share_embeddings = false;
    c.tie_output = false;
    c.output_bias = true;
    c.attention_output = false;
    c.relu_projections = true;
  }
  return c;
}

std::int64_t kept_per_token(const Transformer::Config& c) {
  // In rows of width C. Encoder layer: q, k, v, attention, W_O, sum, norm (7), feed-forward output,
  // sum, norm (3) and the hidden layer; a decoder layer has a cross-attention more, whose k and v
  // are rows of the source. The backward pass holds about one layer's gradients.
  const std::int64_t encoder = c.encoder_layers * (10 * c.width + c.feed_forward);
  const std::int64_t decoder = c.decoder_layers * (17 * c.width + c.feed_forward);
  return encoder + decoder + 10 * c.width + 2 * c.feed_forward;
}

}  // namespace qkv
