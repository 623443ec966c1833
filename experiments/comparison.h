// Encoders against each other on the same data: equal numbers of parameters, several seeds, growing
// training sets; a table and a curve of what came out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/train/labelling.h"

namespace qkv {

/// Parameters above the features: encoder and heads. Word vectors and character filters are the
/// same for all encoders, and by far the most.
std::int64_t encoder_parameters(const Labeller::Config& config);

/// The configuration of the same kind that has nearest to `budget` encoder parameters: the width
/// is changed, and for Transformer layers the width inside, which takes up what the multiples of
/// `heads` leave over. Throws Error when even the narrowest is far above.
Labeller::Config with_encoder_parameters(Labeller::Config config, std::int64_t budget);

/// `size` of the sentences, drawn by `seed`; a smaller draw is the beginning of a larger one.
LabelledText draw_sentences(const LabelledText& text, std::int64_t size, std::uint64_t seed);

struct ComparisonData {
  const LabelledText& train;
  const LabelledText& valid;  // chooses the weights that are kept
  const LabelledText& test;   // gives the score
};
struct ComparisonRun {
  std::string encoder;
  std::int64_t size = 0;  // training sentences
  std::uint64_t seed = 0;
  double score = 0;  // LabelScores::score() on test
  double valid_score = 0;
  std::int64_t best_step = 0, steps = 0;
  double seconds = 0;
};
/// Trains one labeller from scratch; `directory` is for what training leaves and is cleared first.
/// The score is a pure function of recipe, data, size and seed.
ComparisonRun run_comparison(const LabellingRecipe& recipe, const ComparisonData& data,
                             std::int64_t size, std::uint64_t seed,
                             const std::filesystem::path& directory, const TrainWatch& watch = {});

/// What is reached without looking: each word (or sentence) gets the commonest label of training.
double majority_score(const LabelledText& train, const LabelledText& test);

struct ComparisonCell {
  std::string encoder;
  std::int64_t size = 0;
  std::int64_t runs = 0;
  double mean = 0;
  double deviation = 0;  // of the sample, n − 1; 0 for one run
  double low = 0, high = 0;
};
/// Encoders in the order of their first run, sizes ascending.
std::vector<ComparisonCell> summarise(std::span<const ComparisonRun> runs);

/// A row an encoder, a column a size: "82.31 ±0.42".
std::string comparison_table(std::span<const ComparisonCell> cells,
                             const std::string& what = "sentences");
/// Mean over size with bars of one deviation; `title` and the name of the score are for people.
std::string comparison_svg(std::span<const ComparisonCell> cells, const std::string& title,
                           const std::string& score, const std::string& what = "sentences");

/// The value of 1, 2 … whose count is nearest to the budget; the count grows with the value.
std::int64_t nearest_value(std::int64_t budget,
                           const std::function<std::int64_t(std::int64_t)>& count);

}  // namespace qkv
