// The story that `qkv demo` tells: a translator learns the demo corpus and is tried on sentences
// whose words never met before.
#pragma once

#include <cstdint>
#include <string>

#include "demo/corpus.h"

#include "qkv/base/options.h"
#include "qkv/systems/translator.h"
#include "qkv/train/run.h"

namespace qkv {

struct DemoOptions {
  std::string model = "qkv-demo";  // directory
  bool overwrite = false;
  std::uint64_t seed = 1;
  std::int64_t steps = 1500;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"model", "Where the model goes"}, o.model);
    visit({"overwrite", "Also where a model or a run is already"}, o.overwrite);
    visit({"seed", "Of corpus, weights and order"}, o.seed);
    visit({"steps", "Updates", at_least(1)}, o.steps);
  }
};

/// What is going to be learnt and tried.
std::string demo_opening(const DemoCorpus& corpus);
/// Small enough for a minute, and the words as people read them.
TrainReport train_demo(const DemoOptions& options, const DemoCorpus& corpus, TrainingRun& run,
                       const TrainWatch& watch);
/// BLEU and the number of right sentences on the test part.
std::string demo_score(const Translator& translator, const DemoCorpus& corpus);
/// demo_sentences() with their translations, and what the grammar says where it says otherwise.
std::string demo_translations(const Translator& translator);

}  // namespace qkv
