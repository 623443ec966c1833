// Actions from the motion of a skeleton: frames of features in, one class a clip out, on packed
// batches of clips. AcT (Mazzia et al. 2022, "Action Transformer") and what it is measured against:
//
//   act    Linear, a trained class token before the frames, + trained positions, post-norm encoder
//          layers (LN ε 1e-6, exact gelu, 4·C inside), the token's state -> Linear -> Linear
//   mlp    all frames side by side (zeros where a clip is shorter), `layers` hidden layers
//   conv   `layers` convolutions over time, then the mean over the frames
//   lstm   `layers` LSTMs, then the state after the last frame
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/recurrent.h"
#include "qkv/nn/transformer_layers.h"
#include "qkv/tensor/segments.h"

namespace qkv {

enum class ActionArchitecture : std::uint8_t { act, mlp, conv, lstm };
constexpr std::array<std::string_view, 4> spelling(ActionArchitecture) {
  return {"act", "mlp", "conv", "lstm"};
}

/// Clips end to end: a row is a frame.
struct ActionBatch {
  Segments segments;                  // T frames in B clips
  Tensor features;                    // [T F]
  std::vector<std::int32_t> classes;  // [B] what is right; −1 counts for nothing
};

struct ActionLossOptions {
  double scale = 1.0;  // of Σ −log p(class): 1/clips
  double smoothing = 0.0;
};
struct ActionLoss {
  Tensor loss;  // scalar, differentiable
  double loss_sum = 0, nll_sum = 0;
  std::int64_t clips = 0, correct = 0;  // of those that count
};

struct ActionNetwork {
  struct Config {
    ActionArchitecture architecture = ActionArchitecture::act;
    std::int64_t features = 52;  // F
    std::int64_t frames = 30;    // of a clip, at most
    std::int64_t classes = 20;   // K
    std::int64_t width = 64;     // C
    std::int64_t layers = 4;
    std::int64_t heads = 1;   // act
    std::int64_t head = 256;  // act: the layer before the classes, without activation
    std::int64_t kernel = 5;  // conv: frames that one sees; odd
    double dropout = 0.3;

    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"architecture", "act, or as large as that: mlp, conv (over time), lstm", {}, "arch"},
            c.architecture);
      visit({"features"}, c.features);
      visit({"frames"}, c.frames);
      visit({"classes"}, c.classes);
      visit({"width", "act: width", side_bounds()}, c.width);
      visit({"layers", "act: encoder layers", side_bounds()}, c.layers);
      visit({"heads", "act: attention heads", side_bounds()}, c.heads);
      visit({"head", "act: width of the layer before the classes", side_bounds()}, c.head);
      visit({"kernel"}, c.kernel);
      visit({"dropout", "After attention and feed-forward, or between layers", share()}, c.dropout);
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
    /// How many numbers the model has.
    std::int64_t parameters() const;
  };

  Config config;
  Linear input;        // act: [F C]
  Tensor class_token;  // act: [1 C]
  Tensor positions;    // act: [frames + 1, C]
  std::vector<EncoderLayer> blocks;
  Linear head;                 // act: [C head]
  std::vector<Linear> layers;  // mlp [frames·F C], [C C] …; conv [kernel·F C], [kernel·C C] …
  Recurrent recurrent;         // lstm
  Linear output;               // [· K]

  static ActionNetwork make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("input", m.input);
    visit("class_token", m.class_token);
    visit("positions", m.positions);
    visit("blocks", m.blocks);
    visit("head", m.head);
    visit("layers", m.layers);
    visit("recurrent", m.recurrent);
    visit("output", m.output);
  }

  /// [B K]. Attention sees the class token before the frames. A clip gets the same numbers whatever
  /// stands beside it. Throws ShapeError for clips without a frame or with more than config.frames.
  Tensor logits(const ActionBatch& batch) const;
  /// Throws where batch.classes are missing or outside the classes.
  ActionLoss loss(const ActionBatch& batch, const ActionLossOptions& options = {}) const;
  /// softmax of the logits, not recorded.
  Tensor probabilities(const ActionBatch& batch) const;

 private:
  Tensor pooled(const ActionBatch& batch) const;
  Tensor transformed(const ActionBatch& batch) const;
};

/// AcT as published: micro, small, medium, large (heads 1–4 of 64); throws Error with this list.
/// The features, frames and classes are those of MPOSE2021: 52, 30, 20.
ActionNetwork::Config action_sizes(std::string_view name);
/// Another architecture with the width that brings its size nearest to that of `act`.
ActionNetwork::Config of_equal_size(const ActionNetwork::Config& act,
                                    ActionArchitecture architecture);

}  // namespace qkv
