// `qkv lengths`: how well translators do at each length of the source, as a table, a curve and
// JSON. Without model directories it trains small ones with and without attention to write
// sequences backwards (experiments/lengths.h).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/lengths.h"

#include "qkv/base/options.h"
#include "qkv/eval/tokenise.h"
#include "qkv/io/json.h"
#include "qkv/train/loop.h"

namespace qkv {

/// Luong's "predictive" looks through a window whose place it predicts (local-p).
enum class LengthAttention : std::uint8_t { none, bahdanau, luong, predictive };
constexpr std::array<std::string_view, 4> spelling(LengthAttention) {
  return {"none", "bahdanau", "luong", "predictive"};
}

/// Sequences that are made up, and the models that learn them.
struct LengthTrials {
  LengthTask task;
  LengthTraining training;
  std::vector<LengthAttention> kinds = {LengthAttention::none, LengthAttention::bahdanau};
  std::int64_t seeds = 1, tried = 0, every = 1, sequences = 100;
  std::int64_t embedding = 32, width = 64, window = 3;

  template <class Self, class Visit>
  static void each(Self& t, Visit&& visit) {
    const Bounds length = between(1, 1000);
    visit({"attention", "Kinds of attention to compare"}, t.kinds);
    visit({"copy", "Copy instead of reversing"}, t.task.copy);
    visit({"symbols", "Different ones", between(2, 1e6)}, t.task.symbols);
    visit({"shortest", "Of the training sequences", length}, t.task.shortest);
    visit({"longest", "The same", length}, t.task.longest);
    visit({"try_to", "Longest that is tried (0: half as long again)", between(0, 1000)}, t.tried);
    visit({"every", "Try every so many lengths", length}, t.every);
    visit({"sequences", "Tried at each length", between(1, 1e6)}, t.sequences);
    visit({"embedding", "Width of the embeddings", side_bounds()}, t.embedding);
    visit({"width", "Width of the cells", side_bounds()}, t.width);
    visit({"window", "How far predictive windows reach to both sides", length}, t.window);
    visit({"steps", "Updates of each model", at_least(1)}, t.training.steps);
    visit({"batch", "Sequences an update", between(1, 1e6)}, t.training.batch);
    visit({"rate", "Learning rate", positive()}, t.training.rate);
    visit({"seed", "Of weights and sequences"}, t.training.seed);
    visit({"seeds", "Runs of each kind, this seed and the next ones", between(1, 1e6)}, t.seeds);
  }
};

/// Translators that there are already, and a text to try them on.
struct LengthModels {
  std::vector<std::string> models;  // directories
  std::string source, reference;
  std::int64_t bucket = 5;
  int beam = 4;
  BleuTokeniser tokeniser = BleuTokeniser::v13a;
  bool lower = false;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit({"models", "Model directories"}, m.models);
    visit({"source", "Text to translate"}, m.source);
    visit({"reference", "Its translation"}, m.reference);
    visit({"bucket", "Words that sentences of one bucket may differ by", between(1, 1e6)},
          m.bucket);
    visit({"beam", "Width of the beam", between(1, 1000)}, m.beam);
    visit({"bleu_tokeniser", "How BLEU cuts lines"}, m.tokeniser);
    visit({"lower", "BLEU without regard to case, for models of lower-cased text"}, m.lower);
  }
};

struct LengthOptions {
  std::string directory = "qkv-lengths";  // where lengths.svg and lengths.json go
  LengthTrials trials;
  LengthModels given;
};

struct LengthReport {
  /// A line of the picture.
  struct Line {
    std::string name;
    std::map<std::int64_t, double> value;  // by length; per cent of right sequences, or BLEU
    Json details;
  };
  std::vector<Line> lines;
  bool of_text = false;
  LengthTask task;

  /// A row a length; behind it, how far the attention lies from where it belongs.
  std::string text() const;
  Json json() const;
};

/// Writes lengths.svg and lengths.json. Throws Error for what does not go together.
LengthReport length_curves(const LengthOptions& options, const TrainWatch& watch);

}  // namespace qkv
