#include "qkv/models/rnn_language.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// Columns [H 2H) of an LSTM's gates i f g o: a cell that forgets nothing at first.
void open_forget_gates(Recurrent& cells) {
  const std::int64_t width = cells.config.width;
  for (RecurrentLayer& layer : cells.forward) {
    Tensor& bias = layer.weights.input_bias;
    change_each(bias, [width](std::int64_t i, double x) { return i / width == 1 ? 1.0 : x; });
  }
}

}  // namespace

void RnnLanguage::Config::check() const {
  if (vocab_size <= 0) fail("rnn language model: vocab_size is {}, must be positive", vocab_size);
  if (width <= 0) fail("rnn language model: width is {}, must be positive", width);
  if (layers <= 0) fail("rnn language model: layers is {}, must be positive", layers);
  if (embedding < 0) fail("rnn language model: embedding is {}", embedding);
  for (const double p : {embedding_dropout, dropout, output_dropout}) {
    if (!(p >= 0.0 && p < 1.0)) fail("rnn language model: dropout {} is not in [0, 1)", p);
  }
}

RnnLanguage RnnLanguage::make(Initialiser init, const Config& c) {
  c.check();
  RnnLanguage m;
  m.config = c;
  const std::int64_t inner = c.embedding_width();
  m.embedding = init.normal({c.vocab_size, inner}, 1.0 / std::sqrt(static_cast<double>(inner)));
  m.cells = Recurrent::make(
      init,
      {.cell = c.cell, .input = inner, .width = c.width, .layers = c.layers, .dropout = c.dropout});
  if (c.cell == Cell::lstm) open_forget_gates(m.cells);
  if (c.tie_output) {
    if (inner != c.width) m.project = Linear::make(init, c.width, inner, false);
    m.bias = init.zeros({c.vocab_size});
  } else {
    m.output = Linear::make(init, c.width, c.vocab_size);
  }
  return m;
}

RnnLanguage::Result RnnLanguage::operator()(std::span<const std::int32_t> ids,
                                            const Segments& segments,
                                            const RecurrentStates& initial) const {
  if (static_cast<std::int64_t>(ids.size()) != segments.total()) {
    fail<ShapeError>("rnn language model: {} ids in segments of {}", ids.size(), segments.total());
  }
  // Rows of N(0, 1/E) times √E have the spread that the cells expect.
  const double factor = std::sqrt(static_cast<double>(config.embedding_width()));
  const Tensor x = embed(ids, embedding, {.scale = factor, .dropout = config.embedding_dropout});
  Recurrent::Result y = cells(x, segments, initial);
  Tensor hidden = dropout(y.out, config.output_dropout);
  if (project.weight.defined()) hidden = project(hidden);
  return {std::move(hidden), std::move(y.last)};
}

CrossEntropyResult RnnLanguage::loss(std::span<const std::int32_t> ids, const Segments& segments,
                                     std::span<const std::int32_t> targets,
                                     const CrossEntropyOptions& options) const {
  return cross_entropy((*this)(ids, segments).hidden, output_matrix(), output_form(), output_bias(),
                       targets, options);
}

}  // namespace qkv
