// One model for labels: a tag for each token (tagging), a class for each sequence (classifying), or
// both at once (intents and their slots), from token ids to loss and predictions on packed batches.
//
//   features   word embedding, character CNN, word shape, side by side      [T E']
//   encoder    per position, CNN, RNN, self-attention, linear attention     [T C]
//              or, in place of both, a BERT over the pieces of the words
//   tag head   softmax or linear-chain CRF over emissions                   [T L]
//   class head a pooled sequence: one of K labels, several of them, or a number  [B K], [B 1]
//
// With both heads they may inform each other: class probabilities add to the emissions, the
// strongest tags add to the class logits, and a prior table of which tag goes with which class
// (Chen, Zeng, Lou 2019 name such a mask; the reading here is ours) weighs or forbids.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/models/bert.h"
#include "qkv/models/transformer.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/recurrent.h"
#include "qkv/nn/transformer_layers.h"
#include "qkv/ops/crf.h"
#include "qkv/tensor/segments.h"

namespace qkv {

enum class LabelEncoder : std::uint8_t {
  fc,         ///< each position by itself: what the others are measured against
  cnn,        ///< convolutions over `kernel` positions
  rnn,        ///< GRU or LSTM
  attention,  ///< Transformer encoder layers
  linear,     ///< the same with linear attention (elu + 1), not causal
  bert,       ///< a BERT: a word is the state of its first piece
};
constexpr std::array<std::string_view, 6> spelling(LabelEncoder) {
  return {"fc", "cnn", "rnn", "attention", "linear", "bert"};
}

/// How a sequence becomes one vector.
enum class Pooling : std::uint8_t {
  mean,
  max,        ///< of each column
  token,      ///< a trained vector stands before the sequence; its state is the sequence's (with
              ///< bert, what its pooler makes of [CLS])
  attention,  ///< Σ softmax(u·tanh(W h + b)) h, u trained (Yang et al. 2016)
};
constexpr std::array<std::string_view, 4> spelling(Pooling) {
  return {"mean", "max", "token", "attention"};
}

/// What is said of a sequence.
enum class ClassAnswer : std::uint8_t {
  label,   ///< one of K: softmax, cross-entropy
  labels,  ///< any of K, each for itself: sigmoid, binary cross-entropy
  number,  ///< K is 1: the logit itself, squared error
};
constexpr std::array<std::string_view, 3> spelling(ClassAnswer) {
  return {"label", "labels", "number"};
}

/// What the prior table does.
enum class PriorMask : std::uint8_t {
  none,
  soft,  ///< emissions += log(pᵀ·prior + 1e-6), p the class probabilities; in the loss too
  hard,  ///< a tag of prior 0 under the likeliest class is never predicted; the loss knows nothing
};
constexpr std::array<std::string_view, 3> spelling(PriorMask) { return {"none", "soft", "hard"}; }
/// Whom it binds. The way from tags to class acts on predictions alone: soft, log p(class) += log
/// (prior[class, tag] + 1e-6) for each distinct decoded tag; hard, a class with a tag of prior 0 is
/// left out.
enum class PriorWay : std::uint8_t { to_tags, to_class, both };
constexpr std::array<std::string_view, 3> spelling(PriorWay) {
  return {"to_tags", "to_class", "both"};
}

/// A packed batch of sequences of words. What the model has no use for may stay empty.
struct LabelBatch {
  Segments segments;                      // T words in B sequences
  std::vector<std::int32_t> words;        // [T]
  std::vector<std::int32_t> characters;   // of all words, end to end
  Segments word_characters;               // T pieces of `characters`, one a word; may be empty ones
  std::vector<std::int32_t> shapes;       // [T]
  std::vector<std::int32_t> pieces;       // of a BERT, [CLS] and [SEP] of each sequence included
  std::vector<std::int32_t> piece_types;  // their segments; empty: all 0
  Segments piece_segments;                // B sequences of them
  std::vector<std::int32_t> first_piece;  // [T] where each word begins in its sequence of pieces
  std::vector<std::int32_t> tags;      // [T] what is right; −1 counts for nothing (not in a CRF)
  std::vector<std::int32_t> classes;   // [B] what is right; −1 counts for nothing
  std::vector<std::int32_t> marks;     // [B K] ClassAnswer::labels: 1 for what is right, else 0
  std::vector<double> numbers;         // [B] ClassAnswer::number
  std::vector<std::int64_t> left_out;  // [B] pieces that found no room; nobody computes with them
};

struct LabelLossOptions {
  double tag_scale = 1.0;    // of Σ −log p(tags): 1/tokens gives the mean
  double class_scale = 1.0;  // of Σ −log p(class), of Σ (x − number)² or of the mean over K of
                             // Σ −log p(label); 1/sequences
  double smoothing = 0.0;  // ε of label smoothing; not in a CRF
};
struct LabelLoss {
  Tensor loss;           // scalar, differentiable: tag_scale · tag_sum + class_scale · class_sum
  double tag_sum = 0;    // unscaled; 0 without a tag head
  double class_sum = 0;  // unscaled; 0 without a class head
  std::int64_t tokens = 0;     // tags that count
  std::int64_t sequences = 0;  // classes that count
};

struct PredictOptions {
  bool tag_probabilities = false;
};
struct LabelPrediction {
  std::vector<std::int32_t> tags;         // [T]; empty without a tag head
  std::vector<double> tag_scores;         // [B]: log p of the tags of each sequence
  std::vector<double> tag_probabilities;  // [T], if wanted: of each tag at its place; in a CRF the
                                          // share of all paths through it
  std::vector<std::int32_t> classes;      // [B]; empty unless one label is the answer
  Tensor class_log_probabilities;         // [B K]; of several labels each for itself
  std::vector<double> numbers;            // [B]; with ClassAnswer::number
};

struct Labeller {
  struct Config {
    std::int64_t words = 0;       // vocabulary
    std::int64_t characters = 0;  // vocabulary; 0: no character features
    std::int64_t shapes = 0;      // word shapes; 0: none
    std::int64_t tags = 0;        // L; 0: no tag head
    std::int64_t classes = 0;     // K; 0: no class head

    std::int64_t embedding = 100;           // of words
    std::int64_t character_embedding = 30;  // of characters
    std::int64_t character_filters = 50;    // columns after the maximum over a word
    std::int64_t character_kernel = 3;
    std::int64_t shape_embedding = 10;

    LabelEncoder encoder = LabelEncoder::rnn;
    std::int64_t width = 128;  // C; two directions share it
    std::int64_t layers = 1;
    std::int64_t kernel = 3;  // cnn; odd
    Cell cell = Cell::lstm;   // rnn
    bool bidirectional = true;
    std::int64_t heads = 4;  // attention, linear
    std::int64_t feed_forward = 256;
    NormPlacement norm = NormPlacement::pre;  // pre ends in one more norm
    Activation activation = Activation::relu;
    PositionKind positions = PositionKind::sinusoidal;
    std::int64_t max_length = 1024;  // with positions; longer sequences throw

    bool crf = true;  // else each tag by itself
    ClassAnswer answer = ClassAnswer::label;
    Pooling pooling = Pooling::attention;
    std::int64_t pooling_heads = 1;
    bool class_to_tags = false;  // emissions += pᵀ·[K L], p the class probabilities
    bool tags_to_class = false;  // class logits += (max over tokens of softmax(emissions))·[L K]
    PriorMask prior = PriorMask::none;
    PriorWay prior_way = PriorWay::to_tags;

    double dropout = 0.1;            // between layers and before the heads
    double embedding_dropout = 0.1;  // of the features
    double attention_dropout = 0.0;
    double word_dropout = 0.0;  // words that training reads as `unknown`, so that it is learnt
    std::int64_t unknown = 1;   // id of the unknown word
    BertConfig bert;  // of that encoder, whose hidden_size is the width; kept apart in files

    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"words"}, c.words);
      visit({"characters"}, c.characters);
      visit({"shapes"}, c.shapes);
      visit({"tags"}, c.tags);
      visit({"classes"}, c.classes);
      visit({"embedding", "Width of the word embeddings", side_bounds()}, c.embedding);
      visit({"character_embedding"}, c.character_embedding);
      visit(
          {"character_filters", "Columns of the character features (0: none)", between(0, 1 << 20)},
          c.character_filters);
      visit({"character_kernel"}, c.character_kernel);
      visit({"shape_embedding", "Width of the word-shape embeddings: capitals, digits (0: none)",
             between(0, 1 << 20)},
            c.shape_embedding);
      visit({"encoder", "fc: each position by itself; linear: attention of linear cost"},
            c.encoder);
      visit({"width", "Width of the encoder", side_bounds()}, c.width);
      visit({"layers", "Encoder layers", side_bounds()}, c.layers);
      visit({"kernel", "cnn: positions that one sees", side_bounds()}, c.kernel);
      visit({"cell", "rnn: the recurrent cell"}, c.cell);
      visit({"bidirectional"}, c.bidirectional);
      visit({"heads", "attention, linear: heads", side_bounds()}, c.heads);
      visit({"feed_forward", "attention, linear: width inside", side_bounds()}, c.feed_forward);
      visit({"norm"}, c.norm);
      visit({"activation"}, c.activation);
      visit({"positions"}, c.positions);
      visit({"max_length"}, c.max_length);
      visit({"crf", "Whether the tags of a sentence are judged together"}, c.crf);
      visit({"answer", "label: one a text; labels: several, between commas; number: a regression"},
            c.answer);
      visit({"pooling", "How a sentence becomes one vector"}, c.pooling);
      visit({"pooling_heads"}, c.pooling_heads);
      visit({"class_to_tags"}, c.class_to_tags);
      visit({"tags_to_class"}, c.tags_to_class);
      visit({"prior", "Which tags go with which class, from the training text"}, c.prior);
      visit({"prior_way", "Whom the prior binds"}, c.prior_way);
      visit({"dropout", "Between layers and before the heads", share()}, c.dropout);
      visit({"embedding_dropout", "Of the features", share()}, c.embedding_dropout);
      visit({"attention_dropout", "Of attention weights", share()}, c.attention_dropout);
      visit({"word_dropout", "Words that training reads as unknown", share()}, c.word_dropout);
      visit({"unknown"}, c.unknown);
    }
    static bool added_later(std::string_view name) { return name == "answer"; }
    /// Throws with the field's name when a value makes no model.
    void check() const;
    /// Columns of the features, E'.
    std::int64_t input_width() const;
    bool transforms() const {
      return encoder == LabelEncoder::attention || encoder == LabelEncoder::linear;
    }
    bool pools(Pooling by) const { return classes > 0 && pooling == by; }
  };

  Config config;
  Tensor word_embedding;       // [V E]
  Tensor character_embedding;  // [Vc Ec]
  Linear character_filters;    // [kernel·Ec F]
  Tensor shape_embedding;      // [shapes Es]
  Tensor class_token;          // [1 E'], Pooling::token
  std::vector<Linear> layers;  // fc, cnn: [kernel·C C], the first [kernel·E' C]
  Recurrent recurrent;         // rnn
  BertEncoder bert;            // bert
  Linear input;                // attention, linear: [E' C], when the two differ
  Tensor positions;            // [P C], learned
  std::vector<EncoderLayer> blocks;
  LayerNorm norm;        // after the last block, with pre-norm
  Linear tag_output;     // [C L]
  CrfWeights crf;        // [L L], [L], [L]
  Linear pooling;        // W, b of Pooling::attention: [C C]
  Tensor pooling_query;  // u [H C/H]
  Linear class_output;   // [C K]
  Tensor class_to_tags;  // [K L]
  Tensor tags_to_class;  // [L K]

  // Not trained, but a part of the model: files keep them.
  Tensor prior;    // [K L] in [0, 1]; set by set_prior() when config.prior asks for one
  TagRules rules;  // which tag may follow which in predictions; empty: any

  static Labeller make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("word_embedding", m.word_embedding);
    visit("character_embedding", m.character_embedding);
    visit("character_filters", m.character_filters);
    visit("shape_embedding", m.shape_embedding);
    visit("class_token", m.class_token);
    visit("layers", m.layers);
    visit("recurrent", m.recurrent);
    visit("bert", m.bert);
    visit("input", m.input);
    visit("positions", m.positions);
    visit("blocks", m.blocks);
    visit("norm", m.norm);
    visit("tag_output", m.tag_output);
    visit("crf", m.crf);
    visit("pooling", m.pooling);
    visit("pooling_query", m.pooling_query);
    visit("class_output", m.class_output);
    visit("class_to_tags", m.class_to_tags);
    visit("tags_to_class", m.tags_to_class);
  }

  /// Checks shape and range; see tag_prior().
  void set_prior(const Tensor& table);
  /// Checks the sizes.
  void set_rules(const TagRules& allowed);

  /// What the encoder makes of a batch: a state for each word, and for each sequence when there is
  /// a class head. Its attention is seen as encoder.layers.N.self and encoder.pooling; with
  /// Pooling::token the token is the first row and key.
  struct States {
    Tensor words;   // [T C]
    Tensor pooled;  // [B C], or undefined
  };
  States encode(const LabelBatch& batch) const;

  /// Throws where batch.tags or batch.classes (or what stands in their place) are missing or
  /// outside their labels.
  LabelLoss loss(const LabelBatch& batch, const LabelLossOptions& options = {}) const;
  /// The best tags of each sequence (Viterbi) and the probabilities of its classes. A sequence gets
  /// the same numbers whatever stands beside it.
  LabelPrediction predict(const LabelBatch& batch, const PredictOptions& options = {}) const;

 private:
  struct Scores {
    Tensor emissions;     // [T L]
    Tensor class_logits;  // [B K]
  };
  Scores scores(const LabelBatch& batch) const;
  void add_class_loss(const Tensor& logits, const LabelBatch& batch,
                      const LabelLossOptions& options, LabelLoss& result) const;
  void make_heads(Initialiser& init);
  States bert_states(const LabelBatch& batch) const;
  Tensor features(const LabelBatch& batch) const;
  Tensor encoded(const Tensor& x, const Segments& segments) const;
  Tensor transformed(const Tensor& x, const Segments& segments) const;
  Tensor pool(const Tensor& h, const Segments& segments) const;
  Tensor pooling_keys(const Tensor& h) const;
  Tensor sinusoids_;  // [P C]
};

struct PriorOptions {
  double smoothing = 1.0;  // seen n times gives (n + smoothing·floor) / (n + smoothing)
  double floor = 0.01;     // of what was never seen
  std::int64_t least = 0;  // > 0: 1 for what was seen so often, else 0; for PriorMask::hard
};
/// The prior table [K L] from counts [K·L] (row by class): in how many training sequences of a
/// class a tag occurs. A class that was never seen allows everything.
Tensor tag_prior(std::span<const std::int64_t> counts, std::int64_t classes, std::int64_t tags,
                 const PriorOptions& options = {});

/// What does not depend on the task: tiny | small; throws UsageError with this list otherwise.
Labeller::Config labeller_sizes(std::string_view preset);

}  // namespace qkv
