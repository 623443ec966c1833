#include "experiments/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/view/curve.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The largest value of 1, 2 … whose count stays within the budget, by halving; at least 1.
std::int64_t largest_within(std::int64_t budget,
                            const std::function<std::int64_t(std::int64_t)>& count) {
  std::int64_t low = 1, high = 2;
  while (count(high) <= budget) high *= 2;
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    (count(middle) <= budget ? low : high) = middle;
  }
  return low;
}

/// What the width must be a multiple of.
std::int64_t granularity(const Labeller::Config& c) {
  std::int64_t unit = c.encoder == LabelEncoder::rnn && c.bidirectional ? 2 : 1;
  if (c.transforms()) unit = std::lcm(unit, c.heads);
  if (c.pools(Pooling::attention)) unit = std::lcm(unit, c.pooling_heads);
  return unit;
}

}  // namespace

std::int64_t nearest_value(std::int64_t budget,
                           const std::function<std::int64_t(std::int64_t)>& count) {
  const std::int64_t low = largest_within(budget, count);
  return std::abs(count(low + 1) - budget) < std::abs(count(low) - budget) ? low + 1 : low;
}

std::int64_t encoder_parameters(const Labeller::Config& config) {
  Labeller::Config c = config;
  c.words = 1;  // nothing of the features is counted, so they need no memory either
  c.unknown = 0;
  const Labeller m = Labeller::make(Initialiser::blank(), c);
  std::int64_t count = parameter_count(m) - m.word_embedding.count();
  if (c.characters > 0) {
    count -= m.character_embedding.count() + parameter_count(m.character_filters);
  }
  if (c.shapes > 0) count -= m.shape_embedding.count();
  return count;
}

Labeller::Config with_encoder_parameters(Labeller::Config c, std::int64_t budget) {
  const std::int64_t unit = granularity(c);
  const double inside = static_cast<double>(c.feed_forward) / static_cast<double>(c.width);
  const auto set_width = [&](std::int64_t units) {
    c.width = units * unit;
    c.feed_forward = std::max<std::int64_t>(1, std::llround(inside * static_cast<double>(c.width)));
    return encoder_parameters(c);
  };
  if (set_width(1) > budget) {
    fail("{} has {} parameters at its narrowest, more than {}; give more", name_of(c.encoder),
         encoder_parameters(c), budget);
  }
  set_width(nearest_value(budget, set_width));
  if (!c.transforms()) return c;
  c.feed_forward = nearest_value(budget, [&](std::int64_t width) {
    c.feed_forward = width;
    return encoder_parameters(c);
  });
  return c;
}

LabelledText draw_sentences(const LabelledText& text, std::int64_t size, std::uint64_t seed) {
  if (size < 1 || size > text.size()) {
    fail("{} training sentences are asked for, there are {}", size, text.size());
  }
  std::vector<std::size_t> order(at(text.size()));
  std::iota(order.begin(), order.end(), std::size_t{0});
  Philox random(key_of(seed, 0x64726177));  // "draw"
  shuffle(std::span(order), random);
  LabelledText drawn;
  drawn.report.read = size;
  for (const std::size_t i : std::span(order).first(at(size))) {
    const auto copy = [i](const auto& from, auto& to) {
      if (!from.empty()) to.push_back(from[i]);
    };
    copy(text.words, drawn.words);
    copy(text.texts, drawn.texts);
    copy(text.tags, drawn.tags);
    copy(text.labels, drawn.labels);
    if (!text.words.empty()) drawn.report.tokens += static_cast<std::int64_t>(text.words[i].size());
  }
  return drawn;
}

ComparisonRun run_comparison(const LabellingRecipe& recipe, const ComparisonData& data,
                             std::int64_t size, std::uint64_t seed,
                             const std::filesystem::path& directory, const TrainWatch& watch) {
  LabelledText train_text = draw_sentences(data.train, size, seed), valid_text = data.valid;
  LabellingRecipe r = recipe;
  r.train.seed = seed;
  LabellerModel model = make_labeller(r, train_text, seed);
  for (LabelledText* text : {&train_text, &valid_text}) cut_long(*text, longest_sentence(model));
  const LabelledSet train_set = encode_labelled(model, train_text, r.scheme),
                    valid_set = encode_labelled(model, valid_text, r.scheme);
  LabellingTraining training{.train = train_set, .valid = valid_set, .valid_text = valid_text};
  training.batches = {.max_tokens = r.batch_tokens, .seed = seed, .bucket = r.bucket};
  training.class_weight = r.class_weight;
  training.smoothing = r.smoothing;
  Optimiser optimiser(model, r.train.optimiser);

  std::filesystem::remove_all(directory);
  const TrainTask task = labelling_task(model, training);
  const TrainReport report = train(task, optimiser, r.train, directory, false, watch);
  const LabellerModel best = load_labeller_model(directory);
  const LabelScores scores = score_labelled(data.test, label_sentences(best, data.test.words));
  return {.encoder = std::string(name_of(r.network.encoder)),
          .size = size,
          .seed = seed,
          .score = scores.score(),
          .valid_score = report.best_score,
          .best_step = report.best_step,
          .steps = report.steps,
          .seconds = report.seconds};
}

double majority_score(const LabelledText& train, const LabelledText& test) {
  const auto commonest = [](const auto& all) {
    std::map<std::string, std::int64_t> counts;
    for (const auto& one : all) {
      if constexpr (std::is_same_v<std::decay_t<decltype(one)>, std::string>) {
        ++counts[one];
      } else {
        for (const std::string& tag : one) ++counts[tag];
      }
    }
    std::string best;
    for (const auto& [label, count] : counts) {
      if (best.empty() || count > counts[best]) best = label;
    }
    return best;
  };
  const std::string tag = commonest(train.tags), label = commonest(train.labels);
  std::vector<Labelled> guesses(test.words.size());
  for (std::size_t i = 0; i < guesses.size(); ++i) {
    if (!train.tags.empty()) guesses[i].tags.assign(test.words[i].size(), tag);
    guesses[i].label = label;
  }
  return score_labelled(test, guesses).score();
}

std::vector<ComparisonCell> summarise(std::span<const ComparisonRun> runs) {
  std::vector<std::string> encoders;
  std::map<std::pair<std::string, std::int64_t>, std::vector<double>> scores;
  for (const ComparisonRun& run : runs) {
    if (std::find(encoders.begin(), encoders.end(), run.encoder) == encoders.end()) {
      encoders.push_back(run.encoder);
    }
    scores[{run.encoder, run.size}].push_back(run.score);
  }
  std::vector<ComparisonCell> cells;
  for (const std::string& encoder : encoders) {
    for (const auto& [key, values] : scores) {
      if (key.first != encoder) continue;
      const auto n = static_cast<double>(values.size());
      ComparisonCell cell{.encoder = encoder, .size = key.second};
      cell.runs = static_cast<std::int64_t>(values.size());
      cell.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
      double squares = 0;
      for (const double v : values) squares += (v - cell.mean) * (v - cell.mean);
      cell.deviation = values.size() > 1 ? std::sqrt(squares / (n - 1)) : 0.0;
      cell.low = *std::min_element(values.begin(), values.end());
      cell.high = *std::max_element(values.begin(), values.end());
      cells.push_back(cell);
    }
  }
  return cells;
}

std::string comparison_table(std::span<const ComparisonCell> cells, const std::string& what) {
  std::vector<std::int64_t> sizes;
  for (const ComparisonCell& c : cells) sizes.push_back(c.size);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  std::string text = fmt::format("{:<10}", what);
  for (const std::int64_t size : sizes) text += fmt::format(" {:>14}", size);
  for (std::size_t i = 0; i < cells.size();) {
    const std::string& encoder = cells[i].encoder;
    text += fmt::format("\n{:<10}", encoder);
    for (const std::int64_t size : sizes) {
      if (i >= cells.size() || cells[i].encoder != encoder || cells[i].size != size) {
        text += fmt::format(" {:>14}", "-");
        continue;
      }
      const ComparisonCell& c = cells[i++];
      text += fmt::format(" {:>14}", c.runs > 1 ? fmt::format("{:.2f} ±{:.2f}", c.mean, c.deviation)
                                                : fmt::format("{:.2f}", c.mean));
    }
  }
  return text + "\n";
}

std::string comparison_svg(std::span<const ComparisonCell> cells, const std::string& title,
                           const std::string& score, const std::string& what) {
  std::vector<Series> series;
  for (const ComparisonCell& c : cells) {
    if (series.empty() || series.back().name != c.encoder) series.push_back({.name = c.encoder});
    series.back().points.push_back({static_cast<double>(c.size), c.mean, c.deviation});
  }
  return curve_svg(
      series, {.title = title, .x_label = "training " + what, .y_label = score, .log_x = true});
}

}  // namespace qkv
