// The time of a training step of a Transformer translator on random sentences, at the shapes of
// bench/peers/torch_train.py.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

enum class TranslatorPreset : std::uint8_t { tiny, small, base };
constexpr std::array<std::string_view, 3> spelling(TranslatorPreset) {
  return {"tiny", "small", "base"};
}

struct TrainOptions {
  TranslatorPreset preset = TranslatorPreset::tiny;
  int steps = 9;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"preset", "Sizes of the model"}, o.preset);
    visit({"steps", "Steps measured", runs_bounds()}, o.steps);
  }
};
Report train(const TrainOptions& options, const Say& say);

}  // namespace qkv::bench
