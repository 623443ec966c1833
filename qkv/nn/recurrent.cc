#include "qkv/nn/recurrent.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/pieces.h"

namespace qkv {
namespace {

void check_states(const Recurrent& m, const RecurrentStates& states) {
  const std::size_t wanted = m.forward.size() + m.backward.size();
  if (!states.empty() && states.size() != wanted) {
    fail<ShapeError>("recurrent: {} initial states for {} layers and {} directions", states.size(),
                     m.forward.size(), m.directions());
  }
}

}  // namespace

RecurrentLayer RecurrentLayer::make(Initialiser& init, Cell cell, std::int64_t in,
                                    std::int64_t width, bool bias) {
  const std::int64_t wide = gates_of(cell) * width;
  RecurrentLayer m;
  m.weights.input = init.xavier({in, wide});
  m.weights.hidden = init.xavier({width, wide});
  if (bias) {
    m.weights.input_bias = init.zeros({wide});
    m.weights.hidden_bias = init.zeros({wide});
  }
  return m;
}

Recurrent Recurrent::make(Initialiser& init, const Config& c) {
  if (c.input <= 0 || c.width <= 0 || c.layers <= 0) {
    fail("recurrent: input {}, width {} and layers {} must be positive", c.input, c.width,
         c.layers);
  }
  if (!(c.dropout >= 0.0 && c.dropout < 1.0)) {
    fail("recurrent: dropout {} is not in [0, 1)", c.dropout);
  }
  Recurrent m;
  m.config = c;
  for (std::int64_t l = 0; l < c.layers; ++l) {
    const std::int64_t in = l == 0 ? c.input : m.output_width();
    m.forward.push_back(RecurrentLayer::make(init, c.cell, in, c.width, c.bias));
    if (c.bidirectional) {
      m.backward.push_back(RecurrentLayer::make(init, c.cell, in, c.width, c.bias));
    }
  }
  return m;
}

Recurrent::Result Recurrent::operator()(const Tensor& x, const Segments& segments,
                                        const RecurrentStates& initial) const {
  return run(x, {}, segments, initial);
}

Recurrent::Result Recurrent::from_products(const Tensor& products, const Segments& segments,
                                           const RecurrentStates& initial) const {
  if (config.bidirectional) fail("recurrent: from_products has one direction");
  return run({}, products, segments, initial);
}

Recurrent::Result Recurrent::run(const Tensor& x, const Tensor& products, const Segments& segments,
                                 const RecurrentStates& initial) const {
  check_states(*this, initial);
  Result result;
  result.out = x;
  const auto add = [&](const RecurrentLayer& layer, bool given, bool reverse) {
    const std::size_t n = result.last.size();
    const RecurrentState start = initial.empty() ? RecurrentState{} : initial[n];
    const RecurrentOptions options{.cell = config.cell, .reverse = reverse};
    Recurred y = given ? recurrent_from_products(products, segments, layer.weights, start, options)
                       : recurrent(result.out, segments, layer.weights, start, options);
    result.last.push_back(std::move(y.last));
    return y.out;
  };
  for (std::size_t l = 0; l < forward.size(); ++l) {
    if (l > 0) result.out = dropout(result.out, config.dropout);
    const Tensor there = add(forward[l], l == 0 && products.defined(), false);
    if (config.bidirectional) {
      const Tensor both[] = {there, add(backward[l], false, true)};
      result.out = join_columns(both);
    } else {
      result.out = there;
    }
  }
  return result;
}

RecurrentLoop::RecurrentLoop(const Recurrent& module, RecurrentStates initial, std::int64_t rows)
    : module_(module), states_(std::move(initial)) {
  if (module.config.bidirectional) fail("recurrent: a loop has one direction");
  check_states(module, states_);
  states_.resize(module.forward.size());
  for (std::size_t l = 0; l < module.forward.size(); ++l) {
    const RecurrentWeights& w = module.forward[l].weights;
    if (l > 0) inputs_.emplace_back(w.input, w.input_bias, rows);
    cells_.emplace_back(module.config.cell, w.hidden, w.hidden_bias, rows);
  }
}

Tensor RecurrentLoop::operator()(const Tensor& products) {
  Tensor x = products;
  for (std::size_t l = 0; l < cells_.size(); ++l) {
    if (l > 0) x = inputs_[l - 1](dropout(x, module_.config.dropout));
    states_[l] = cells_[l](x, states_[l]);
    x = states_[l].h;
  }
  return x;
}

}  // namespace qkv
