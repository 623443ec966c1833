// Going on from a network that was trained before: who learns how fast, what stays, adapters.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "qkv/base/options.h"
#include "qkv/nn/lora.h"
#include "qkv/train/loop.h"

namespace qkv {

/// How a network that was trained before goes on. Of a network with several stacks of layers each
/// counts for itself, from its own top; tables of words and positions stand below all of them, what
/// is in no layer (heads, last norms) above.
struct FineTuning {
  double layer_rates =
      1;                 // each layer learns so much slower than the one above, tables the slowest
  double head_rate = 1;  // of what stands above the layers
  std::string freeze;    // "embeddings", "encoder" or how many of the lowest layers; empty: none
  LoraOptions lora;      // with adapters nothing else of the network learns

  template <class Self, class Visit>
  static void each(Self& t, Visit&& visit) {
    visit({"layer_rates",
           "Each layer's rate over that of the layer above it",
           {.least = 0, .most = 1, .open_least = true}},
          t.layer_rates);
    visit({"head_rate", "Rate of what stands above the layers over theirs", positive()},
          t.head_rate);
    visit({"freeze",
           "What stays as it is: embeddings, the lowest N layers with them, or the whole encoder"},
          t.freeze);
    LoraOptions::each(t.lora, visit);
  }
  /// Throws UsageError for a `freeze` that is none of the three.
  void check() const;
  /// Whether the whole encoder stays: of a network that is one, all but its heads.
  bool keeps_encoder() const;
};

/// The loop's options for that: small steps of AdamW, a rate that rises for a tenth of all updates
/// and then falls to nothing, a few passes; the end comes early when nothing gets better.
TrainOptions tuned_options();

/// What is new beside trained weights that stay (adapters, the heads of a frozen encoder) bears
/// larger steps than they would: five times the rate (docs/results.md).
void raise_rate(TrainOptions& options);

/// Stacks and their numbers of layers: {"bert.encoder.layer": 6}.
using LayerCounts = std::map<std::string, std::int64_t, std::less<>>;
void count_layer(std::string_view path, LayerCounts& counts);

/// The rule for a network of these stacks, of which `fresh` (may be empty) says what was not
/// trained before. Throws UsageError for more layers to freeze than there are, and for an encoder
/// where there is none.
using IsFresh = std::function<bool(std::string_view path)>;
Trainable trainable_of(const FineTuning& tuning, LayerCounts counts, IsFresh fresh);

template <class M>
Trainable trainable_of(const FineTuning& tuning, const M& module, IsFresh fresh = {}) {
  LayerCounts counts;
  for_each_parameter(module,
                     [&](std::string_view path, const Tensor&) { count_layer(path, counts); });
  return trainable_of(tuning, std::move(counts), std::move(fresh));
}

/// How many numbers of a module are trained.
template <class M>
std::int64_t trained_count(const M& module, const Trainable& trainable) {
  std::int64_t count = 0;
  for_each_parameter(module, [&](std::string_view path, const Tensor& p) {
    if (!trainable || trainable(path) > 0) count += p.count();
  });
  return count;
}

/// "trained: 74,118 of 22,640,774 parameters", where that is not all.
template <class Model>
void say_trained(const Model& model, const Trainable& trainable, const TrainWatch& watch) {
  if (!trainable) return;
  watch.say("trained: " + grouped(trained_count(model, trainable)) + " of " +
            grouped(parameter_count(model)) + " parameters");
}

}  // namespace qkv
