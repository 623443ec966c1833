// Tagging, classifying and recognising intents; loading and cutting into words are not timed.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct LabelOptions {
  std::string model, file;
  int runs = 5;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({.name = "model", .help = "Model directory of a tagger or classifier", .required = true},
          o.model);
    visit({"runs", "Runs measured", runs_bounds()}, o.runs);
  }
};
Report label(const LabelOptions& options, const Say& say);

}  // namespace qkv::bench
