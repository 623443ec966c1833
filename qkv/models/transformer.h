// The Transformer encoder–decoder (Vaswani et al. 2017), from token ids to hidden states and loss,
// on packed batches. One Config spans the published model, its pre-norm form and the early public
// variant with ReLU projections and no W_O (`page` preset; docs/models.md).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/positions.h"
#include "qkv/nn/transformer_layers.h"
#include "qkv/ops/loss.h"
#include "qkv/tensor/segments.h"

namespace qkv {

enum class PositionKind : std::uint8_t { none, sinusoidal, learned };
constexpr std::array<std::string_view, 3> spelling(PositionKind) {
  return {"none", "sinusoidal", "learned"};
}

/// A packed batch of sentence pairs. target_in is the target shifted right (begins with <bos>),
/// target_out the same ending with <eos>.
struct TranslationBatch {
  std::vector<std::int32_t> source, target_in, target_out;
  Segments source_segments, target_segments;
};

struct Transformer {
  struct Config {
    std::int64_t source_vocabulary = 0;
    std::int64_t target_vocabulary = 0;
    std::int64_t width = 512;  // C
    std::int64_t heads = 8;    // H
    std::int64_t feed_forward = 2048;
    std::int64_t encoder_layers = 6;
    std::int64_t decoder_layers = 6;
    NormPlacement norm = NormPlacement::post;
    bool final_norm = false;  // a norm at the end of both stacks; pre-norm needs it
    Activation activation = Activation::relu;
    PositionKind positions = PositionKind::sinusoidal;
    Sinusoid sinusoid = Sinusoid::interleaved;
    std::int64_t first_position = 0;  // what sinusoids count from
    std::int64_t max_length = 1024;   // rows of the position tables; longer sequences throw
    double dropout = 0.1;
    double attention_dropout = 0.0;
    double activation_dropout = 0.0;
    double norm_eps = 1e-5;
    bool scale_embedding = true;   // rows of the tables times √C
    bool zero_start = false;       // targets begin with zeros, whichever token stands there
    bool share_embeddings = true;  // one table for source and target (equal vocabularies)
    bool tie_output = true;        // the target table is the output matrix
    bool output_bias = false;
    bool attention_output = true;   // W_O
    bool relu_projections = false;  // relu after the q, k, v projections

    /// visit(name, field) for every field: configuration files and printing follow from it.
    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"source_vocabulary"}, c.source_vocabulary);
      visit({"target_vocabulary"}, c.target_vocabulary);
      visit({"width", "Width of the model", side_bounds()}, c.width);
      visit({"heads", "Attention heads", side_bounds()}, c.heads);
      visit({"feed_forward", "Width inside the feed-forward blocks", side_bounds()},
            c.feed_forward);
      visit({"encoder_layers", "Encoder and decoder layers", side_bounds(), "layers"},
            c.encoder_layers);
      visit({"decoder_layers", "Encoder and decoder layers", side_bounds(), "layers"},
            c.decoder_layers);
      visit({"norm", "Where layers are normed"}, c.norm);
      visit({"final_norm"}, c.final_norm);
      visit({"activation"}, c.activation);
      visit({"positions", "How a token knows its place"}, c.positions);
      visit({"sinusoid"}, c.sinusoid);
      visit({"first_position"}, c.first_position);
      visit({"max_length"}, c.max_length);
      visit({"dropout", "On embeddings and sub-layers", share()}, c.dropout);
      visit({"attention_dropout", "On attention weights", share()}, c.attention_dropout);
      visit({"activation_dropout", "Inside feed-forward blocks", share()}, c.activation_dropout);
      visit({"norm_eps"}, c.norm_eps);
      visit({"scale_embedding"}, c.scale_embedding);
      visit({"zero_start"}, c.zero_start);
      visit({"share_embeddings"}, c.share_embeddings);
      visit({"tie_output"}, c.tie_output);
      visit({"output_bias"}, c.output_bias);
      visit({"attention_output"}, c.attention_output);
      visit({"relu_projections"}, c.relu_projections);
    }
    /// Fields that configurations of before do not have.
    static bool added_later(std::string_view name) {
      return name == "first_position" || name == "scale_embedding" || name == "zero_start";
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
  };

  Config config;
  Tensor source_embedding;                    // [Vs C]
  Tensor target_embedding;                    // [Vt C]; undefined when shared
  Tensor source_positions, target_positions;  // [P C] learned; undefined otherwise
  Tensor output_weight;                       // [C Vt]; undefined when tied
  Tensor output_bias;                         // [Vt] or undefined
  std::vector<EncoderLayer> encoder;
  std::vector<DecoderLayer> decoder;
  LayerNorm encoder_norm, decoder_norm;  // weights undefined without final_norm

  static Transformer make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("source_embedding", m.source_embedding);
    visit("target_embedding", m.target_embedding);
    visit("source_positions", m.source_positions);
    visit("target_positions", m.target_positions);
    visit("output_weight", m.output_weight);
    visit("output_bias", m.output_bias);
    visit("encoder", m.encoder);
    visit("decoder", m.decoder);
    visit("encoder_norm", m.encoder_norm);
    visit("decoder_norm", m.decoder_norm);
  }

  /// Source ids [Ts] in sequences -> memory [Ts C].
  Tensor encode(std::span<const std::int32_t> ids, const Segments& segments) const;
  /// Target ids [Tt] (shifted right) with the memory of the same sentences -> hidden states [Tt C].
  Tensor decode(std::span<const std::int32_t> ids, const Segments& segments, const Tensor& memory,
                const Segments& memory_segments) const;
  /// The whole forward pass to the loss; options.ignore counts for nothing.
  CrossEntropyResult loss(const TranslationBatch& batch, const CrossEntropyOptions& options) const;

  /// Embedding + position of target ids at the given positions [T] -> [T C]; for decoding step by
  /// step.
  Tensor embed_target(std::span<const std::int32_t> ids,
                      std::span<const std::int32_t> position) const;
  const Tensor& output_matrix() const;
  VocabularyMatrix output_stored() const;

 private:
  Tensor embed_rows(std::span<const std::int32_t> ids, const Tensor& table, const Tensor& learned,
                    std::span<const std::int32_t> position, bool zero_rows = false) const;
  Tensor sinusoids_;  // [P C]
};

/// 0, 1, 2 … within each sequence; throws when one is longer than `limit`.
std::vector<std::int32_t> positions_of(const Segments& segments, std::int64_t limit);

/// tiny | small | base | page; throws UsageError with this list otherwise.
Transformer::Config transformer_sizes(std::string_view preset);

/// Numbers that a forward pass keeps for each token of a batch, with the gradients beside them.
std::int64_t kept_per_token(const Transformer::Config& c);

}  // namespace qkv
