// Recurrent networks over packed sequences: GRU or LSTM, several layers, one direction or both,
// dropout between the layers. Gates and states are in the order of PyTorch's GRU and LSTM, matrices
// transposed: weight_ih_l0 [3H I] is forward.0.input [I 3H]. Under its names, both ways:
// qkv/nn/torch_names.h.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/nn/module.h"
#include "qkv/ops/recurrent.h"
#include "qkv/ops/steps.h"

namespace qkv {

/// A state for each layer; with two directions layer 0 forward, layer 0 backward, layer 1 forward …
using RecurrentStates = std::vector<RecurrentState>;

/// One layer in one direction.
struct RecurrentLayer {
  RecurrentWeights weights;

  /// Xavier-uniform matrices (each as a whole), zero biases.
  static RecurrentLayer make(Initialiser& init, Cell cell, std::int64_t in, std::int64_t width,
                             bool bias);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("input", m.weights.input);
    visit("hidden", m.weights.hidden);
    visit("input_bias", m.weights.input_bias);
    visit("hidden_bias", m.weights.hidden_bias);
  }
};

struct Recurrent {
  struct Config {
    Cell cell = Cell::gru;
    std::int64_t input = 0;  // I
    std::int64_t width = 0;  // H of each direction
    std::int64_t layers = 1;
    bool bidirectional = false;
    bool bias = true;
    double dropout = 0.0;  // on what a layer hands to the next, while recording
  };
  Config config;
  std::vector<RecurrentLayer> forward, backward;  // one a layer; backward empty in one direction

  static Recurrent make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("forward", m.forward);
    visit("backward", m.backward);
  }

  std::int64_t directions() const { return config.bidirectional ? 2 : 1; }
  /// Columns of the result: H, or 2·H with two directions (forward first).
  std::int64_t output_width() const { return directions() * config.width; }

  struct Result {
    Tensor out;  // [T H] or [T 2·H], of the last layer
    RecurrentStates last;
  };
  /// x [T I]; initial is empty (zeros) or has a state for each layer and direction.
  Result operator()(const Tensor& x, const Segments& segments,
                    const RecurrentStates& initial = {}) const;
  /// In one direction, from the products of the first layer's inputs [T G·H], input_bias included.
  Result from_products(const Tensor& products, const Segments& segments,
                       const RecurrentStates& initial = {}) const;

 private:
  Result run(const Tensor& x, const Tensor& products, const Segments& segments,
             const RecurrentStates& initial) const;
};

/// The same layers (one direction) taken step by step, for loops whose inputs depend on what came
/// out before, and for decoding. The module must outlive it.
class RecurrentLoop {
 public:
  /// `rows`: of all steps together, while recording. `initial` as above.
  RecurrentLoop(const Recurrent& module, RecurrentStates initial, std::int64_t rows);

  /// products [n G·H] of the first layer's inputs, input_bias included; the first n rows of the
  /// states go on -> h of the last layer [n H].
  Tensor operator()(const Tensor& products);

  const RecurrentStates& states() const { return states_; }
  void set_states(RecurrentStates states) { states_ = std::move(states); }

 private:
  const Recurrent& module_;
  RecurrentStates states_;
  std::vector<StepCell> cells_;
  std::vector<StepLinear> inputs_;  // of layers 1, 2 …
};

}  // namespace qkv
