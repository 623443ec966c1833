// Many prompts at once against one after the other, random weights.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct GenerateBenchOptions {
  std::string preset = "char-small";
  std::int64_t prompts = 8, tokens = 200;
  int runs = 3;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"preset", "char-tiny, char-small, words or base"}, o.preset);
    visit({"prompts", "Texts", between(1, 4096)}, o.prompts);
    visit({"tokens", "Tokens of each", between(1, 1e6)}, o.tokens);
    visit({"runs", "Runs measured", runs_bounds()}, o.runs);
  }
};
Report generate(const GenerateBenchOptions& options, const Say& say);

}  // namespace qkv::bench
