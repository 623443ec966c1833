// Recurrent encoder–decoders, from token ids to hidden states and loss, on packed batches. One
// Config spans the plain model with one fixed vector (Cho et al. 2014), attention asked by the
// state before a step (Bahdanau et al. 2015) and by the state after it (Luong et al. 2015), each
// with GRU or LSTM cells and any of the scores.
//
// Without feedback from attention into the cells all target rows run at once. With it the decoder
// goes step by step over the sentences still alive, longest first; every weight of the loop still
// gets its gradient from one product (qkv/ops/steps.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/models/rnn_attention.h"
#include "qkv/models/transformer.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/recurrent.h"
#include "qkv/nn/state_dict.h"

namespace qkv {

/// Where the decoder meets the source.
enum class RnnContext : std::uint8_t {
  fixed,   ///< the encoder's last state, read by the cell at every step
  before,  ///< c from the state before the step; the cell reads [c; embedding]
  after,   ///< c from the new state; tanh(W_c [c; h]) goes to the output
};
constexpr std::array<std::string_view, 3> spelling(RnnContext) {
  return {"fixed", "before", "after"};
}
constexpr std::array<std::string_view, 3> synonyms(RnnContext) {
  return {"none", "bahdanau", "luong"};
}

enum class RnnScore : std::uint8_t {
  additive,  ///< w·tanh(W_q q + W_k k), no biases; with RnnContext::after Luong's "concat"
  dot,       ///< q·k; both have one width
  general,   ///< q W k
};
constexpr std::array<std::string_view, 3> spelling(RnnScore) {
  return {"additive", "dot", "general"};
}
constexpr std::array<std::string_view, 3> synonyms(RnnScore) {
  return {"concat", "dot", "general"};
}

/// What an encoder leaves of a batch.
struct RnnMemory {
  Tensor rows;  // [Ts M], M the encoder's width in all its directions
  Segments segments;
  Tensor summary;          // [B M]: the last states of its last layer
  RecurrentStates states;  // where the decoder begins
};

struct RnnTranslator {
  struct Config {
    std::int64_t source_vocabulary = 0;
    std::int64_t target_vocabulary = 0;
    std::int64_t embedding = 32;  // E
    std::int64_t width = 32;      // H
    std::int64_t layers = 2;      // of encoder and decoder
    Cell cell = Cell::gru;
    bool bidirectional = false;  // the encoder, H in each direction; a tanh layer joins its states
    RnnContext context = RnnContext::before;
    RnnScore score = RnnScore::additive;
    std::int64_t attention_width = 0;  // A of the additive score; 0: H
    RnnLocal local = RnnLocal::none;   // a window instead of the whole source (rnn_attention.h)
    std::int64_t local_width = 10;     // D: the window reaches D tokens to both sides
    bool input_feeding = false;        // the cell also reads tanh(W_c [c; h]) of the step before
    std::int64_t max_length = 1024;    // longer sentences throw
    double dropout = 0.1;              // between layers
    double embedding_dropout = 0.0;
    double attention_dropout = 0.0;

    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"source_vocabulary"}, c.source_vocabulary);
      visit({"target_vocabulary"}, c.target_vocabulary);
      visit({"embedding", "Width of the embeddings", side_bounds()}, c.embedding);
      visit({"width", "Width of the model", side_bounds()}, c.width);
      visit({"layers", "Encoder and decoder layers", side_bounds()}, c.layers);
      visit({"cell", "The recurrent cell"}, c.cell);
      visit({"bidirectional", "Encode in both directions"}, c.bidirectional);
      visit({"context",
             "bahdanau (asked before the cell), luong (after it) or none",
             {},
             "attention"},
            c.context);
      visit({"score", "Of attention; additive is also Luong's concat"}, c.score);
      visit({"attention_width"}, c.attention_width);
      visit(
          {"local", "Attend to a window around the target's place or one that the model predicts"},
          c.local);
      visit({"local_width", "How far the window of --local reaches to both sides", side_bounds(),
             "window"},
            c.local_width);
      visit({"input_feeding", "The cell reads what attention gave before"}, c.input_feeding);
      visit({"max_length"}, c.max_length);
      visit({"dropout", "On embeddings and sub-layers", share()}, c.dropout);
      visit({"embedding_dropout", "On embeddings and sub-layers", share(), "dropout"},
            c.embedding_dropout);
      visit({"attention_dropout", "On attention weights", share()}, c.attention_dropout);
    }
    /// Fields that files of an earlier version lack.
    static bool added_later(std::string_view name) {
      return name == "local" || name == "local_width";
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
    bool attends() const { return context != RnnContext::fixed; }
    /// Whether a step needs what attention gave before.
    bool feedback() const { return context == RnnContext::before || input_feeding; }
    std::int64_t memory_width() const { return bidirectional ? 2 * width : width; }
    /// Columns that the decoder's first layer reads before the embedding.
    std::int64_t context_width() const;
  };

  Config config;
  Tensor source_embedding, target_embedding;  // [Vs E], [Vt E]
  Recurrent encoder, decoder;
  std::vector<Linear> bridge_h, bridge_c;  // a layer each, [2·H H]; empty in one direction
  Linear query, key;                       // [H A] (additive) and [M A] or [M H]; no biases
  Tensor score;                            // [A], additive
  Linear local_hidden, local_place;        // W [H H] and v [H 1] of predictive windows
  Linear combine;                          // W_c [M+H H], no bias
  Linear output;                           // [H Vt]

  /// PyTorch's recipe for such models: embeddings N(0, 1), matrices Xavier-uniform, biases 0.
  static RnnTranslator make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("source_embedding", m.source_embedding);
    visit("target_embedding", m.target_embedding);
    visit("encoder", m.encoder);
    visit("decoder", m.decoder);
    visit("bridge_h", m.bridge_h);
    visit("bridge_c", m.bridge_c);
    visit("query", m.query);
    visit("key", m.key);
    visit("score", m.score);
    visit("local_hidden", m.local_hidden);
    visit("local_place", m.local_place);
    visit("combine", m.combine);
    visit("output", m.output);
  }

  RnnMemory encode(std::span<const std::int32_t> ids, const Segments& segments) const;
  /// Target ids [Tt] (shifted right) with the memory of the same sentences -> hidden states [Tt H].
  Tensor decode(std::span<const std::int32_t> ids, const Segments& segments,
                const RnnMemory& memory) const;
  CrossEntropyResult loss(const TranslationBatch& batch, const CrossEntropyOptions& options) const;

  /// What the embeddings of target ids contribute to the first cell [T G·H], its bias included.
  Tensor target_products(std::span<const std::int32_t> ids) const;
};

/// Weights under PyTorch's names, matrices [out, in], for a model of these members there:
///
///   encoder.embedding, encoder.rnn             nn.Embedding; nn.GRU or nn.LSTM, with "_reverse"
///   decoder.embedding, decoder.rnn             the decoder's reads torch.cat((context, embedding))
///   decoder.attention.W_q, .W_k, .w_v          nn.Linear without bias: the additive score
///   decoder.attention.W                        on the memory: the general score
///   decoder.attention.W_p, .v_p                of predictive windows
///   decoder.bridge_h.0, decoder.bridge_c.0     nn.Linear of each layer, behind two directions
///   decoder.combine                            W_c, on torch.cat((context, state))
///   decoder.dense                              nn.Linear: the output
///
/// With attention before the cell these are the names of "Dive into Deep Learning", §11.4. Throws
/// for cells that PyTorch does not have.
StateDict state_dict(const RnnTranslator& model);
/// Strict, see write_state().
void load_state_dict(RnnTranslator& model, const StateDict& state);

/// The decoder step by step: in training where there is feedback, and wherever one decodes. Model
/// and memory must outlive it.
class RnnLoop {
 public:
  /// `rows`: of all steps together, while recording.
  RnnLoop(const RnnTranslator& model, const RnnMemory& memory, std::int64_t rows);

  /// One step of n rows -> hidden states [n H]. products: target_products() of their tokens; row r
  /// belongs to sentence source[r] and goes on from row r of the step before (of the memory's
  /// states at first); later rows are dropped.
  Tensor operator()(const Tensor& products, std::span<const std::int64_t> source);
  /// Row r becomes what row parents[r] was.
  void reorder(std::span<const std::int64_t> parents);
  /// How much each row looked at each source token in the last step: [n L], L the longest source.
  /// Only after watch(), of a model that attends.
  void watch() { look_.front().watch(); }
  const Tensor& weights() const { return weights_; }

 private:
  Tensor attention(const Tensor& state, std::span<const std::int64_t> source);

  const RnnTranslator& model_;
  const RnnMemory& memory_;
  RecurrentLoop cells_;
  std::vector<RnnAttention> look_;  // none or one each
  std::vector<StepLinear> context_, combine_;
  Tensor fixed_;  // [B G·H]: what the summary contributes
  Tensor fed_;    // [n H]: tanh(W_c [c; h]) of the last step
  Tensor weights_;
  std::int64_t step_ = 0;
};

/// tiny | small | base | page; throws UsageError with this list otherwise.
RnnTranslator::Config rnn_translator_sizes(std::string_view preset);

/// Numbers that a forward pass keeps for each token of a batch, with the gradients beside them.
std::int64_t kept_per_token(const RnnTranslator::Config& c);

}  // namespace qkv
