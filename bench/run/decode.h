// Translating, without loading and tokenising.
#pragma once

#include "bench/run/bench.h"
#include "bench/run/train.h"

#include "qkv/decode/batch_translator.h"

namespace qkv::bench {

struct DecodeOptions {
  std::string model, file, output;
  TranslatorPreset preset = TranslatorPreset::tiny;
  std::int64_t sentences = 200;
  int runs = 5;
  BatchTranslatorOptions translator;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"model", "Model directory; default: random weights of --preset"}, o.model);
    visit({"preset", "Sizes of the model of random weights"}, o.preset);
    visit({"sentences", "Sentences of 20 tokens for random weights", between(1, 1e7)}, o.sentences);
    visit({"beam", "Width of the beam", between(1, 1000)}, o.translator.search.beam);
    visit({"batch_sentences", "Sentences a batch, at most", between(1, 1e6)},
          o.translator.batch_sentences);
    visit({"batch_tokens", "Source tokens a batch", between(1, 1e9)}, o.translator.batch_tokens);
    visit({"runs", "Runs measured", runs_bounds()}, o.runs);
    visit({"output", "Write the translations here"}, o.output);
  }
};
Report decode(const DecodeOptions& options, const Say& say);

}  // namespace qkv::bench
