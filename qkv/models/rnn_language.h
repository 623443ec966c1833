// A recurrent language model: embeddings, GRU or LSTM layers in one direction, and a product with
// the vocabulary, by default with the embeddings' own matrix (Inan et al. 2017, Press & Wolf 2017).
// Each sequence of a batch begins with a state of zeros.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/base/options.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/recurrent.h"
#include "qkv/ops/loss.h"

namespace qkv {

struct RnnLanguage {
  struct Config {
    std::int64_t vocab_size = 0;  // V
    std::int64_t embedding = 0;   // E; 0: as wide as the cells
    std::int64_t width = 256;     // H
    std::int64_t layers = 2;
    Cell cell = Cell::lstm;
    bool tie_output = true;          // logits are products with the embeddings
    double embedding_dropout = 0.0;  // on what the first layer reads
    double dropout = 0.0;            // between layers
    double output_dropout = 0.0;     // on what the last layer gives

    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"vocab_size"}, c.vocab_size);
      visit({"embedding", "Width of the embeddings (0: as wide as the cells)", between(0, 1 << 20)},
            c.embedding);
      visit({"width", "Width of the model", side_bounds()}, c.width);
      visit({"layers", "Layers", side_bounds()}, c.layers);
      visit({"cell", "The recurrent cell"}, c.cell);
      visit({"tie_output"}, c.tie_output);
      visit({"embedding_dropout", "On embeddings and between layers", share(), "dropout"},
            c.embedding_dropout);
      visit({"dropout", "On embeddings and between layers", share()}, c.dropout);
      visit({"output_dropout", "On embeddings and between layers", share(), "dropout"},
            c.output_dropout);
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
    std::int64_t embedding_width() const { return embedding > 0 ? embedding : width; }
  };
  Config config;
  Tensor embedding;  // [V E]
  Recurrent cells;
  Linear project;  // [H E], with tied embeddings of another width than the cells
  Linear output;   // [H V], without tying
  Tensor bias;     // [V], of the tied product

  /// Embeddings N(0, 1/E), so that tied logits begin near zero; matrices Xavier-uniform; biases 0,
  /// but 1 for an LSTM's forget gate (Jozefowicz et al. 2015).
  static RnnLanguage make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("embedding", m.embedding);
    visit("cells", m.cells);
    visit("project", m.project);
    visit("output", m.output);
    visit("bias", m.bias);
  }

  struct Result {
    Tensor hidden;  // what the output matrix reads: [T E] with tied embeddings, otherwise [T H]
    RecurrentStates last;
  };
  /// ids [T] of the sequences, from `initial` on (empty: zeros).
  Result operator()(std::span<const std::int32_t> ids, const Segments& segments,
                    const RecurrentStates& initial = {}) const;
  /// A target for each token, options.ignore for none.
  CrossEntropyResult loss(std::span<const std::int32_t> ids, const Segments& segments,
                          std::span<const std::int32_t> targets,
                          const CrossEntropyOptions& options) const;

  /// The matrix, how it lies and the bias of the output.
  const Tensor& output_matrix() const { return config.tie_output ? embedding : output.weight; }
  VocabularyMatrix output_form() const {
    return config.tie_output ? VocabularyMatrix::table : VocabularyMatrix::projection;
  }
  const Tensor& output_bias() const { return config.tie_output ? bias : output.bias; }
};

}  // namespace qkv
