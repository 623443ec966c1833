// Training word vectors from running text: the recipe, its pass, and the whole run.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/base/progress.h"
#include "qkv/systems/vector_model.h"
#include "qkv/train/loop.h"

namespace qkv {

/// Defaults are those of word2vec.c.
struct VectorOptions {
  std::int64_t epochs = 5;
  std::int64_t window = 5;     // words on either side; each place draws 1 … window
  std::int64_t negatives = 5;  // words drawn by count^¾
  double sample = 1e-3;        // t of the sub-sampling of frequent words; 0: none
  double rate = 0;             // falls in a line to a ten thousandth; 0: 0.05 CBOW, 0.025 skip-gram
  std::uint64_t seed = 1;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"window", "Words on either side, at most", between(1, 1e6)}, o.window);
    visit({"negatives", "Words drawn beside the right one", between(1, 1e6)}, o.negatives);
    visit({"sample", "Sub-sampling of frequent words (0: none)", non_negative()}, o.sample);
    visit({"rate", "Learning rate at the start (0: 0.05 for cbow, 0.025 for skip-gram)",
           non_negative()},
          o.rate);
    visit({"epochs", "Passes over the text", between(1, 1e9)}, o.epochs);
    visit({"seed", "Of vectors and draws"}, o.seed);
  }
};
/// With which probability an occurrence of a word is kept: (√(c/(tN)) + 1)·tN/c, at most 1.
double keep_probability(std::int64_t count, std::int64_t total, double sample);

struct VectorReport {
  std::int64_t words = 0;     // read, those of all epochs
  std::int64_t examples = 0;  // steps taken
  double loss = 0;            // mean −log p of the last epoch's, every 64th example
  double seconds = 0;
};
/// One thread, one place after the other: the result is a pure function of its arguments. Throws
/// UsageError for a number out of its range.
VectorReport train_vectors(VectorNetwork& model, const VectorCorpus& corpus,
                           const VectorOptions& options, const ProgressSink& progress = {});

/// Everything that makes word vectors besides the text (docs/models.md).
struct VectorRecipe {
  VectorNetwork::Config network;
  VectorOptions train;
  WordOptions words{.cut = WordCut::word};
  std::int64_t min_count = 5;

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"words", "How lines are cut: space, word or character"}, r.words.cut);
    visit({"lower", "Read words in lower case"}, r.words.lowercase);
    visit({"zero_digits", "Read every digit as 0"}, r.words.zero_digits);
    visit({"min_count", "Rarer words are left out", between(0, 1e12)}, r.min_count);
  }
};

/// What a run reads and writes. It keeps no state to go on from.
struct VectorFiles {
  std::vector<std::string> train;
  std::string model;  // the directory
  bool overwrite = false;
  std::string text;  // empty: none

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    visit({.name = "train",
           .help = "Text, a sentence a line; may be gzipped",
           .bounds = between(1, 1000),
           .required = true},
          f.train);
    visit({.name = "model", .help = "Model directory to write", .required = true}, f.model);
    visit({"overwrite", "Write over a model that is there already"}, f.overwrite);
    visit({"text", "Also write the vectors as word2vec's text"}, f.text);
  }
};

struct TrainedVectors {
  VectorModel model;
  VectorReport report;
};
/// Lines in, vectors out; says to watch.line what it read.
TrainedVectors make_vectors(const VectorRecipe& recipe, std::span<const std::string> lines,
                            const TrainWatch& watch = {});
/// The whole run, from files to a directory. Throws before it reads anything where a model is
/// already and is not to be written over (begin_of()).
VectorReport train_vectors(const VectorRecipe& recipe, const VectorFiles& files,
                           const TrainWatch& watch = {});

}  // namespace qkv
