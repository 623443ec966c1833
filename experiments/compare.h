// `qkv compare`: encoders against each other on the same data, with equal numbers of parameters.
// Every finished run is kept in the directory, so that a comparison that was stopped goes on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/comparison.h"

#include "qkv/base/options.h"
#include "qkv/data/label_files.h"
#include "qkv/data/synthetic.h"
#include "qkv/io/json.h"
#include "qkv/models/picture_network.h"

namespace qkv {

/// From files, or a puzzle of words (qkv/data/synthetic.h); pictures from files, or made-up ones
/// (picture_puzzles.h).
enum class CompareTask : std::uint8_t {
  tag,
  classify,
  parity,
  first,
  both,
  picture,
  texture,
  relation
};
constexpr std::array<std::string_view, 8> spelling(CompareTask) {
  return {"tag", "classify", "parity", "first", "both", "picture", "texture", "relation"};
}
inline bool compares_pictures(CompareTask task) { return task >= CompareTask::picture; }
enum class ComparePreset : std::uint8_t { tiny, small };
constexpr std::array<std::string_view, 2> spelling(ComparePreset) { return {"tiny", "small"}; }

/// Labelled files and how they are read.
struct CompareFiles {
  std::vector<std::string> train, valid, test;
  LabelFiles form;
  std::optional<WordCut> words;

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    const Bounds some = at_least(1);
    visit({"train", "Labelled text, or pictures as qkv train picture reads them", some}, f.train);
    visit({"valid", "The same, chooses the weights (at most 1000 sentences); default: held out",
           some},
          f.valid);
    visit({"test", "The same, gives the score; default: the validation text", some}, f.test);
    LabelFiles::each(f.form, visit);
    visit({"words", "How running text is cut"}, f.words);
  }
};

struct ComparePuzzle {
  std::optional<std::int64_t> alphabet, shortest, longest;

  template <class Self, class Visit>
  static void each(Self& p, Visit&& visit) {
    visit({"alphabet", "Letters", between(3, 26)}, p.alphabet);
    visit({"shortest", "Words of the shortest sequence", between(1, 1000)}, p.shortest);
    visit({"longest", "Words of the longest sequence", between(1, 1000)}, p.longest);
  }
};

struct CompareOptions {
  CompareTask task = CompareTask::tag;
  CompareFiles files;
  ComparePuzzle puzzle;
  std::string directory;
  std::vector<LabelEncoder> encoders = {LabelEncoder::fc, LabelEncoder::cnn, LabelEncoder::rnn,
                                        LabelEncoder::attention, LabelEncoder::linear};
  std::vector<PictureKind> kinds;
  std::vector<std::string> sizes = {"500", "2000", "all"};
  std::int64_t seeds = 3, steps = 1000;
  std::optional<std::int64_t> parameters, batch_tokens;
  std::optional<double> rate;
  ComparePreset preset = ComparePreset::tiny;

  /// Those of the comparison itself; files and puzzle have lists of their own.
  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({.name = "output", .help = "Directory for results", .required = true}, o.directory);
    visit({"encoders", "Any of fc, cnn, rnn, attention, linear"}, o.encoders);
    visit({"kinds", "Of pictures, any of vit, mixer, cnn, quadratic; default: cnn,vit"}, o.kinds);
    visit({"sizes", "Training sentences or pictures: numbers or all (a puzzle's: 10000)"}, o.sizes);
    visit({"seeds", "Runs of each", between(1, 1e6)}, o.seeds);
    visit({"parameters", "Of encoder and heads; default: what the preset's self-attention has",
           at_least(1)},
          o.parameters);
    visit({"preset", "Sizes to begin with"}, o.preset);
    visit({"steps", "Updates of each run, whatever its size", at_least(1)}, o.steps);
    visit({"rate", "Peak learning rate of all; default: the preset's", positive()}, o.rate);
    visit({"batch_tokens", "Words of a batch (of pictures: pictures)", at_least(1)},
          o.batch_tokens);
  }
};

struct CompareReport {
  std::vector<ComparisonCell> cells;
  std::string what = "sentences";
  double majority = 0;    // what is reached without looking
  std::string crossings;  // of pictures: where the curves cross, a line a pair
  Json json;              // what compare.json holds
  /// A row an encoder, a column a size, and the majority's.
  std::string text() const;
};

/// Runs what is missing and writes runs.jsonl, compare.json and compare.svg. `watch` gets a line a
/// contestant and a line a run. Throws Error for what does not fit together, and when the runs in
/// the directory had other settings.
CompareReport compare(const CompareOptions& options, const TrainWatch& watch);

}  // namespace qkv
