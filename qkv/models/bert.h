// BERT (Devlin et al. 2019): a Transformer encoder that sees both sides of every word, and its two
// tasks: words that were hidden (masked language model) and whether a second text follows the first
// (next sentence). Configuration and weights carry Hugging Face's names. Its relatives are
// configurations of the same network: RoBERTa and XLM-R (positions from pad + 1, one segment),
// DistilBERT (no segments, no pooler) and ALBERT (narrow tables, layers that share weights).
//
//   h = dropout(LN(word[id] + position[p] + segment[s])), ALBERT: times a map [E H]
//   per layer, post-norm:  h ← LN(h + drop(attention(h))),  h ← LN(h + drop(W₂ gelu(W₁ h)))
//   pooled = tanh(W h_[CLS] + b)
//   logits of a hidden word = LN(gelu(W h + b))·wordᵀ + bias
//   next sentence: 0 follows, 1 does not = W pooled + b
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
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

/// Under whose names a model is published; changes no number.
enum class BertFamily : std::uint8_t { bert, distilbert, roberta, xlm_roberta, albert };
constexpr std::array<std::string_view, 5> spelling(BertFamily) {
  return {"bert", "distilbert", "roberta", "xlm-roberta", "albert"};
}

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
  // Of the relatives; type_vocab_size 0 is a network without segments.
  BertFamily family = BertFamily::bert;
  std::int64_t first_position = 0;  // row of the first token in the table of positions
  std::int64_t embedding_size = 0;  // E of all tables; 0: hidden_size, without a map behind it
  std::int64_t num_hidden_groups =
      0;                             // runs of layers with the same weights; 0: all have their own
  std::int64_t inner_group_num = 1;  // layers that such a run repeats
  Activation pooler_act = Activation::tanh;

  /// E.
  std::int64_t table_width() const { return embedding_size > 0 ? embedding_size : hidden_size; }
  /// Layers with weights of their own.
  std::int64_t stored_layers() const {
    return num_hidden_groups > 0 ? num_hidden_groups * inner_group_num : num_hidden_layers;
  }
  /// The longest sequence.
  std::int64_t room() const { return max_position_embeddings - first_position; }

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
    visit({"family"}, c.family);
    visit({"first_position"}, c.first_position);
    visit({"embedding_size"}, c.embedding_size);
    visit({"num_hidden_groups"}, c.num_hidden_groups);
    visit({"inner_group_num"}, c.inner_group_num);
    visit({"pooler_act"}, c.pooler_act);
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
  Tensor words, positions, types;  // [V E], [P E], [S E]; types undefined: none
  LayerNorm norm;
  Linear mapping;  // [E H]; undefined: none
  std::vector<BertLayer> layers;
  Linear pooler;  // undefined: none

  static BertEncoder make(Initialiser& init, const BertConfig& config, bool pooler = true);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("embeddings.word_embeddings.weight", m.words);
    visit("embeddings.position_embeddings.weight", m.positions);
    visit("embeddings.token_type_embeddings.weight", m.types);
    visit("embeddings.LayerNorm", m.norm);
    visit("encoder.embedding_hidden_mapping_in", m.mapping);
    visit("encoder.layer", m.layers);
    visit("pooler.dense", m.pooler);
  }

  /// Word, position and segment, normed: [T E]. Throws ShapeError for a sequence beyond the
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

  /// What the decoder multiplies: states [N H] of hidden words -> [N E].
  Tensor transformed(const Tensor& states) const;
  /// Scores of all words for the rows `where` of the batch: [N V]. Not differentiable.
  Tensor word_logits(const BertRows& rows, std::span<const std::int64_t> where) const;
  /// Row where[i] is to be the word targets[i]; follows[b] is 0 or 1, or there are none (empty).
  BertLoss loss(const BertRows& rows, std::span<const std::int64_t> where,
                std::span<const std::int32_t> targets, std::span<const std::int32_t> follows,
                const BertLossOptions& options = {}) const;
};

/// The parameters of a module with a BERT in it as Hugging Face keeps them: its names, matrices
/// [out, in], tables as they are.
template <class M>
StateEntries bert_entries(const M& model) {
  StateEntries entries;
  for_each_parameter(model, [&](std::string_view path, const Tensor& p) {
    const bool table = path.ends_with("_embeddings.weight");
    entries.push_back({std::string(path), {p}, table ? StateLayout::same : StateLayout::linear});
  });
  return entries;
}

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
