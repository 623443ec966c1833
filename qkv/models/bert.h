// BERT (Devlin et al. 2019): a Transformer encoder that sees both sides of every word, and its two
// tasks: words that were hidden (masked language model) and whether a second text follows the first
// (next sentence). Configuration and weights carry Hugging Face's names.
//
//   h = dropout(LN(word[id] + position[p] + segment[s]))
//   per layer, post-norm:  h ← LN(h + drop(attention(h))),  h ← LN(h + drop(W₂ gelu(W₁ h)))
//   pooled = tanh(W h_[CLS] + b)
//   logits of a hidden word = LN(gelu(W h + b))·wordᵀ + bias
//   next sentence: 0 follows, 1 does not = W pooled + b
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/state_dict.h"
#include "qkv/nn/transformer_layers.h"
#include "qkv/ops/loss.h"
#include "qkv/tensor/segments.h"

namespace qkv {

/// Packed sequences of tokens, [CLS] and [SEP] among them.
struct BertRows {
  std::vector<std::int32_t> ids;    // [T]
  std::vector<std::int32_t> types;  // [T], the segment of each token; empty: all 0
  Segments segments;
};

struct BertConfig {
  std::int64_t vocab_size = 30522;
  std::int64_t hidden_size = 768;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t intermediate_size = 3072;
  std::int64_t max_position_embeddings = 512;
  std::int64_t type_vocab_size = 2;
  Activation hidden_act = Activation::gelu;  // erf; gelu_tanh is Hugging Face's "gelu_new"
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;

  /// `dropout` of the command line sets one, that of attention weights the other.
  template <class Self, class Visit>
  static void each(Self& c, Visit&& visit) {
    visit({"vocab_size"}, c.vocab_size);
    visit({"hidden_size", "Width of the model", side_bounds(), "width"}, c.hidden_size);
    visit({"num_hidden_layers", "Layers", side_bounds(), "layers"}, c.num_hidden_layers);
    visit({"num_attention_heads", "Attention heads", side_bounds(), "heads"},
          c.num_attention_heads);
    visit({"intermediate_size", "Width inside the feed-forward blocks; default: 4 times the width",
           side_bounds(), "feed-forward"},
          c.intermediate_size);
    visit({"max_position_embeddings"}, c.max_position_embeddings);
    visit({"type_vocab_size"}, c.type_vocab_size);
    visit({"hidden_act", "Inside the feed-forward blocks", {}, "activation"}, c.hidden_act);
    visit({"hidden_dropout_prob", "Of embeddings and between layers", share(), "dropout"},
          c.hidden_dropout_prob);
    visit({"attention_probs_dropout_prob", "Of attention weights", share(), "attention-dropout"},
          c.attention_probs_dropout_prob);
    visit({"layer_norm_eps"}, c.layer_norm_eps);
    visit({"initializer_range"}, c.initializer_range);
  }
  /// The published shapes: tiny, mini, small, medium, base, large. Throws Error otherwise.
  static BertConfig of(std::string_view size, std::int64_t vocabulary = 30522);
  /// Throws with the field's name when a value makes no model.
  void check() const;
};

/// One layer under its published names.
struct BertLayer {
  EncoderLayer layer;
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("attention.self.query", m.layer.self.q);
    visit("attention.self.key", m.layer.self.k);
    visit("attention.self.value", m.layer.self.v);
    visit("attention.output.dense", m.layer.self.o);
    visit("attention.output.LayerNorm", m.layer.norm1);
    visit("intermediate.dense", m.layer.feed_forward.inner);
    visit("output.dense", m.layer.feed_forward.outer);
    visit("output.LayerNorm", m.layer.norm2);
  }
};

/// The encoder and its pooler, "BertModel".
struct BertEncoder {
  BertConfig config;
  Tensor words, positions, types;  // [V H], [P H], [S H]
  LayerNorm norm;
  std::vector<BertLayer> layers;
  Linear pooler;  // undefined: none

  static BertEncoder make(Initialiser& init, const BertConfig& config, bool pooler = true);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("embeddings.word_embeddings.weight", m.words);
    visit("embeddings.position_embeddings.weight", m.positions);
    visit("embeddings.token_type_embeddings.weight", m.types);
    visit("embeddings.LayerNorm", m.norm);
    visit("encoder.layer", m.layers);
    visit("pooler.dense", m.pooler);
  }

  /// Word, position and segment, normed: [T H]. Throws ShapeError for a sequence beyond the
  /// positions.
  Tensor embedded(const BertRows& rows) const;
  /// The last layer's states [T H]. A sequence gets the same numbers whatever stands beside it.
  Tensor operator()(const BertRows& rows) const;
  /// One vector for each sequence, from the state of its first token: [B H]. Sequences must not be
  /// empty.
  Tensor pooled(const Tensor& states, const Segments& segments) const;
};

struct BertLossOptions {
  double word_scale = 1.0;  // of Σ −log p(hidden word)
  double next_scale = 1.0;  // of Σ −log p(follows or not)
};
struct BertLoss {
  Tensor loss;  // scalar, differentiable
  double word_sum = 0, next_sum = 0;
  std::int64_t words = 0, right_words = 0;
  std::int64_t pairs = 0, right_pairs = 0;
};

/// Encoder and heads, "BertForPreTraining"; without the next-sentence head "BertForMaskedLM".
struct Bert {
  BertEncoder bert;
  Linear transform;          // cls.predictions.transform.dense
  LayerNorm transform_norm;  // … .LayerNorm
  Tensor word_bias;          // cls.predictions.bias [V]
  Linear next;               // cls.seq_relationship [H 2]; undefined: none

  struct Parts {
    bool pooler = true;
    bool words = true;  // the head for hidden words
    bool next = true;
  };
  static Bert make(Initialiser init, const BertConfig& config, Parts parts);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("bert", m.bert);
    visit("cls.predictions.bias", m.word_bias);
    visit("cls.predictions.transform.dense", m.transform);
    visit("cls.predictions.transform.LayerNorm", m.transform_norm);
    visit("cls.seq_relationship", m.next);
  }
  Parts parts() const {
    return {bert.pooler.weight.defined(), transform.weight.defined(), next.weight.defined()};
  }

  /// What the decoder multiplies: states [N H] of hidden words -> [N H].
  Tensor transformed(const Tensor& states) const;
  /// Scores of all words for the rows `where` of the batch: [N V]. Not differentiable.
  Tensor word_logits(const BertRows& rows, std::span<const std::int64_t> where) const;
  /// Row where[i] is to be the word targets[i]; follows[b] is 0 or 1, or there are none (empty).
  BertLoss loss(const BertRows& rows, std::span<const std::int64_t> where,
                std::span<const std::int32_t> targets, std::span<const std::int32_t> follows,
                const BertLossOptions& options = {}) const;
};

/// All weights as Hugging Face keeps them: its names, matrices [out, in].
StateDict bert_state(const Bert& model);
/// Reads such weights, float for float, into a model of the right shape. Norms may be called gamma
/// and beta; the decoder's copy of the word embeddings and the table of position numbers that some
/// files hold are passed over. Throws for what is missing or has another shape, and then has
/// changed nothing; other tensors throw too.
void load_bert_state(Bert& model, StateDict state);
/// "….LayerNorm.gamma" -> "….LayerNorm.weight"; other names stay.
std::string modern_bert_name(std::string name);
/// Whether a file's tensor is a copy or a constant that a model does without.
bool is_redundant_bert_name(std::string_view name);

}  // namespace qkv
