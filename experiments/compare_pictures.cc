#include "experiments/compare_pictures.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "experiments/comparison_runs.h"
#include "experiments/picture_puzzles.h"

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/progress.h"
#include "qkv/base/random.h"
#include "qkv/systems/picture_classifier.h"

namespace qkv {
namespace {

constexpr std::int64_t kMostValid = 1000;       // pictures; choosing among ten states takes no more
constexpr std::int64_t kPuzzleBudget = 40'000;  // parameters for 16 × 16 pixels
constexpr std::int64_t kPictureBudget = 150'000;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

bool from_files(const CompareOptions& o) { return o.task == CompareTask::picture; }

/// `size` of the pictures, drawn by `seed`; a smaller draw is the beginning of a larger one.
PictureSet draw_pictures(const PictureSet& set, std::int64_t size, std::uint64_t seed) {
  std::vector<std::size_t> order(set.pictures.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Philox random(key_of(seed, 0x64726177));  // "draw"
  shuffle(std::span(order), random);
  PictureSet drawn;
  drawn.classes = set.classes;
  for (const std::size_t i : std::span(order).first(at(size))) {
    drawn.pictures.push_back(set.pictures[i]);
    drawn.labels.push_back(set.labels[i]);
  }
  return drawn;
}

PictureSets puzzle_sets(const CompareOptions& o) {
  if (!o.files.train.empty() || !o.files.valid.empty() || !o.files.test.empty()) {
    fail("'{}' is made up and reads no files; leave out --train, --valid and --test",
         name_of(o.task));
  }
  const PicturePuzzle puzzle =
      o.task == CompareTask::texture ? PicturePuzzle::texture : PicturePuzzle::relation;
  return {.train = make_picture_puzzle(puzzle, 20'000, 1),
          .valid = make_picture_puzzle(puzzle, 500, 2),
          .test = make_picture_puzzle(puzzle, 2000, 3)};
}

PictureSets sets_of(const CompareOptions& o) {
  if (o.puzzle.alphabet || o.puzzle.shortest || o.puzzle.longest) {
    fail("--alphabet, --shortest and --longest are for puzzles of words");
  }
  if (o.files.words || o.files.form.format != LabelFormat::automatic) {
    fail("--words and --format are for text");
  }
  const CompareOptions plain;
  if (o.encoders != plain.encoders) fail("--encoders is for text; see --kinds");
  if (o.preset != plain.preset) fail("--preset is for text");
  if (!from_files(o)) return puzzle_sets(o);
  if (o.files.train.empty()) fail("'picture' needs --train");
  PictureFiles files{.train = o.files.train, .valid = o.files.valid, .test = o.files.test};
  PictureSets sets = read_picture_sets(files);
  if (sets.test.pictures.empty()) sets.test = sets.valid;
  if (static_cast<std::int64_t>(sets.valid.pictures.size()) > kMostValid) {
    sets.valid = draw_pictures(sets.valid, kMostValid, 1);
  }
  return sets;
}

PictureRecipe recipe_of(const CompareOptions& o, PictureKind kind, const PictureSets& sets) {
  PictureRecipe r = picture_recipe(kind);
  r.network.side = sets.train.pictures.front().width;
  r.network.channels = sets.train.pictures.front().channels;
  r.network.classes = static_cast<std::int64_t>(sets.train.classes.size());
  r.train.epochs = 0;
  r.train.steps = o.steps;
  r.train.schedule.steps = o.steps;
  r.train.schedule.warm_up = std::min<std::int64_t>(100, o.steps / 10);
  r.train.validate_every = std::max<std::int64_t>(1, o.steps / 10);
  r.train.save_minutes = 1e9;
  if (!from_files(o)) {
    r.noise.shift = 0;
    r.smoothing = 0;
  }
  if (o.rate) r.train.schedule.rate = *o.rate;
  if (o.batch_tokens) r.batch = *o.batch_tokens;
  return r;
}

std::int64_t count_of(const PictureNetwork::Config& c) {
  return parameter_count(PictureNetwork::make(Initialiser::blank(), c));
}

ComparisonRun run_one(const PictureRecipe& recipe, const PictureSets& sets, std::int64_t size,
                      std::uint64_t seed, const std::filesystem::path& directory,
                      const TrainWatch& watch) {
  PictureRecipe r = recipe;
  r.train.seed = seed;
  const PictureSet drawn = draw_pictures(sets.train, size, seed);
  PictureModel model = make_picture_model(r, drawn, seed);
  std::vector<Picture> train_pictures = drawn.pictures, valid = sets.valid.pictures;
  fit(model.network.config, train_pictures);
  fit(model.network.config, valid);
  const PictureTraining training{.train = train_pictures,
                                 .train_classes = classes_of(model, drawn),
                                 .valid = valid,
                                 .valid_classes = classes_of(model, sets.valid),
                                 .batch = std::min(r.batch, size),
                                 .smoothing = r.smoothing,
                                 .noise = r.noise,
                                 .seed = seed};
  Optimiser optimiser(model, r.train.optimiser);
  std::filesystem::remove_all(directory);
  const TrainTask task = picture_task(model, training);
  const TrainReport report = train(task, optimiser, r.train, directory, false, watch);
  const double score = PictureClassifier::load(directory).score(sets.test).accuracy();
  return {.encoder = std::string(name_of(r.network.kind)),
          .size = size,
          .seed = seed,
          .score = score,
          .valid_score = report.best_score,
          .best_step = report.best_step,
          .steps = report.steps,
          .seconds = report.seconds};
}

double majority_of(const PictureSets& sets) {
  std::vector<std::int64_t> counts(sets.train.classes.size());
  for (const int label : sets.train.labels) ++counts[static_cast<std::size_t>(label)];
  const auto best = static_cast<std::size_t>(std::ranges::max_element(counts) - counts.begin());
  std::int64_t right = 0;
  for (const int label : sets.test.labels) {
    right += sets.test.classes[static_cast<std::size_t>(label)] == sets.train.classes[best];
  }
  return 100.0 * static_cast<double>(right) / static_cast<double>(sets.test.labels.size());
}

}  // namespace

PictureNetwork::Config with_picture_parameters(PictureNetwork::Config c, std::int64_t budget) {
  const PictureNetwork::Config base = c;
  constexpr std::int64_t kParts = 32;  // of the widths of a cnn
  const std::int64_t unit = c.kind == PictureKind::vit ? c.heads : 1;
  const double inside = static_cast<double>(c.feed_forward) / static_cast<double>(c.width);
  const auto set = [&](std::int64_t units) {
    if (c.kind == PictureKind::cnn) {
      for (std::size_t i = 0; i < c.widths.size(); ++i) {
        c.widths[i] = std::max<std::int64_t>(1, base.widths[i] * units / kParts);
      }
    } else {
      c.width = units * unit;
      c.feed_forward =
          std::max<std::int64_t>(1, std::llround(inside * static_cast<double>(c.width)));
    }
    return count_of(c);
  };
  if (set(1) > budget) {
    fail("{} has {} parameters at its narrowest, more than {}; give more", name_of(c.kind),
         count_of(c), budget);
  }
  set(nearest_value(budget, set));
  // What is left over goes into one width.
  std::int64_t& last = c.kind == PictureKind::cnn ? c.widths.back() : c.feed_forward;
  last = nearest_value(budget, [&](std::int64_t width) {
    last = width;
    return count_of(c);
  });
  return c;
}

CompareReport compare_pictures(const CompareOptions& o, const TrainWatch& watch) {
  const PictureSets sets = sets_of(o);
  std::vector<PictureKind> kinds = o.kinds;
  if (kinds.empty()) kinds = {PictureKind::cnn, PictureKind::vit};
  const std::int64_t budget = o.parameters.value_or(from_files(o) ? kPictureBudget : kPuzzleBudget);
  ComparisonPlan plan{
      .directory = o.directory,
      .names = {},
      .sizes = sizes_of(o.sizes, static_cast<std::int64_t>(sets.train.pictures.size()), "pictures"),
      .seeds = o.seeds,
      .what = "pictures"};
  std::vector<PictureRecipe> recipes;
  Json contestants = Json::array();
  for (const PictureKind kind : kinds) {
    PictureRecipe r = recipe_of(o, kind, sets);
    r.network = with_picture_parameters(r.network, budget);
    const std::int64_t count = count_of(r.network);
    watch.line(
        fmt::format("{:<10} {} parameters ({:+.1f}%)", name_of(kind), grouped(count),
                    100.0 * static_cast<double>(count - budget) / static_cast<double>(budget)));
    contestants.push_back({{"kind", name_of(kind)}, {"parameters", count}});
    plan.names.emplace_back(name_of(kind));
    recipes.push_back(r);
  }
  std::filesystem::create_directories(plan.directory);
  CompareReport report;
  report.what = plan.what;
  report.json = {{"task", name_of(o.task)},
                 {"steps", o.steps},
                 {"parameters", budget},
                 {"train", o.files.train},
                 {"valid", o.files.valid},
                 {"test", o.files.test},
                 {"valid_pictures", sets.valid.pictures.size()},
                 {"test_pictures", sets.test.pictures.size()},
                 {"rate", recipes.front().train.schedule.rate},
                 {"batch", recipes.front().batch}};
  check_settings(plan.directory / "settings.json", report.json);
  const std::vector<ComparisonRun> runs = run_missing(
      plan,
      [&](std::size_t i, std::int64_t size, std::uint64_t seed) {
        return run_one(recipes[i], sets, size, seed, plan.directory / "current",
                       {.progress = watch.progress, .line = {}});
      },
      watch);
  report.cells = summarise(runs);
  report.majority = majority_of(sets);
  report.json["crossings"] = Json::array();
  for (std::size_t a = 0; a < plan.names.size(); ++a) {
    for (std::size_t b = a + 1; b < plan.names.size(); ++b) {
      const Crossing c = crossing_of(runs, plan.names[a], plan.names[b]);
      report.crossings += to_string(c, plan.what) + "\n";
      report.json["crossings"].push_back({{"ahead", c.ahead},
                                          {"behind", c.behind},
                                          {"seeds", c.seeds},
                                          {"at", c.at},
                                          {"mean", c.mean},
                                          {"factor", c.factor}});
    }
  }
  report.json["kinds"] = contestants;
  report.json["majority"] = report.majority;
  report.json["runs"] = list_of(runs);
  report.json["cells"] = list_of(report.cells);
  write_json(plan.directory / "compare.json", report.json);
  write_file(
      plan.directory / "compare.svg",
      comparison_svg(report.cells, fmt::format("{}: {} parameters each", name_of(o.task), budget),
                     "accuracy", plan.what));
  return report;
}

}  // namespace qkv
