// How long a model of actions takes for one clip, from its features to the probabilities. 10 runs
// to warm up and 100 measured, as published.
#pragma once

#include "bench/run/bench.h"

#include "qkv/models/action.h"

namespace qkv::bench {

enum class ActionPresetName : std::uint8_t { micro, small, medium, large };
constexpr std::array<std::string_view, 4> spelling(ActionPresetName) {
  return {"act-micro", "act-small", "act-medium", "act-large"};
}

struct ActionOptions {
  std::string model;
  ActionPresetName preset = ActionPresetName::micro;
  ActionArchitecture architecture = ActionArchitecture::act;
  int warm_up = 10, runs = 100;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"model", "Model directory; default: random weights of --preset"}, o.model);
    visit({"preset", "Sizes"}, o.preset);
    visit({"architecture", "AcT, or as large: mlp, conv or lstm", {}, "arch"}, o.architecture);
    visit({"warm_up", "Runs before those measured", between(0, 1e6)}, o.warm_up);
    visit({"runs", "Runs measured", runs_bounds()}, o.runs);
  }
};
Report action(const ActionOptions& options, const Say& say);

}  // namespace qkv::bench
