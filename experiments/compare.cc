#include "experiments/compare.h"

#include <algorithm>
#include <filesystem>

#include "experiments/compare_pictures.h"
#include "experiments/comparison_runs.h"
#include <fmt/ranges.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/progress.h"

namespace qkv {
namespace {

constexpr std::int64_t kMostValid = 1000;  // sentences; choosing among ten states takes no more

struct Data {
  LabelTask task = LabelTask::tag;
  LabelledText train, valid, test;
  PuzzleOptions puzzle;
  bool made_up = false;
};

template <class T>
void lay_over(const std::optional<T>& from, T& to) {
  if (from) to = *from;
}

Data made_up(const CompareOptions& o, Puzzle puzzle) {
  const CompareFiles& f = o.files;
  if (!f.train.empty() || !f.valid.empty() || !f.test.empty()) {
    fail("'{}' is made up and reads no files; leave out --train, --valid and --test",
         name_of(o.task));
  }
  Data d{.task = puzzle == Puzzle::both ? LabelTask::classify : LabelTask::tag};
  d.puzzle = puzzle_options(puzzle);
  lay_over(o.puzzle.alphabet, d.puzzle.alphabet);
  lay_over(o.puzzle.shortest, d.puzzle.shortest);
  lay_over(o.puzzle.longest, d.puzzle.longest);
  d.made_up = true;
  d.train = make_puzzle(puzzle, 10'000, 1, d.puzzle);
  d.valid = make_puzzle(puzzle, 300, 2, d.puzzle);
  d.test = make_puzzle(puzzle, 1000, 3, d.puzzle);
  return d;
}

Data from_files(const CompareOptions& o, LabelTask task, WordCut cut) {
  const CompareFiles& f = o.files;
  if (f.train.empty()) fail("'{}' needs --train", name_of(o.task));
  for (const auto* sources : {&f.train, &f.valid, &f.test}) {
    if (sources->size() > 3) throw UsageError((*sources)[3] + ": text comes from at most 3 files");
  }
  if (o.puzzle.alphabet || o.puzzle.shortest || o.puzzle.longest) {
    fail("'{}' reads files; leave out --alphabet, --shortest and --longest", name_of(o.task));
  }
  Data d{.task = task, .train = read_labelled(f.train, f.form, task)};
  d.valid = f.valid.empty() ? hold_out(d.train) : read_labelled(f.valid, f.form, task);
  d.test = f.test.empty() ? d.valid : read_labelled(f.test, f.form, task);
  for (LabelledText* text : {&d.train, &d.valid, &d.test}) cut_texts(*text, cut);
  if (d.valid.size() > kMostValid) d.valid = draw_sentences(d.valid, kMostValid, 1);
  return d;
}

/// The recipe of an encoder, changed so that a comparison is one: tags by themselves, because a CRF
/// would show even the encoder of single words its neighbours; as many updates for each.
LabellingRecipe recipe_of(const CompareOptions& o, const Data& data, LabelEncoder encoder) {
  LabellingRecipe p = labelling_recipe(name_of(o.preset), data.task, encoder);
  p.network.crf = false;
  p.train.epochs = p.train.patience = 0;
  p.train.steps = o.steps;
  p.train.validate_every = std::max<std::int64_t>(1, o.steps / 10);
  p.train.save_minutes = 1e9;
  if (data.made_up) {  // letters without meaning, and no end of them: nothing to look up or forget
    p.network.characters = p.network.shapes = 0;
    p.network.dropout = p.network.embedding_dropout = p.network.word_dropout = 0;
    p.batch_tokens = 300;
  }
  lay_over(o.rate, p.train.schedule.rate);
  lay_over(o.batch_tokens, p.batch_tokens);
  lay_over(o.files.words, p.words.cut);
  return p;
}

Data data_of(const CompareOptions& o) {
  Data data;
  switch (o.task) {
    case CompareTask::parity:
      return made_up(o, Puzzle::parity);
    case CompareTask::first:
      return made_up(o, Puzzle::first);
    case CompareTask::both:
      return made_up(o, Puzzle::both);
    case CompareTask::tag:
      data.task = LabelTask::tag;
      break;
    case CompareTask::classify:
    case CompareTask::picture:
    case CompareTask::texture:
    case CompareTask::relation:
      data.task = LabelTask::classify;
      break;
  }
  return from_files(o, data.task, recipe_of(o, data, LabelEncoder::cnn).words.cut);
}

template <class T>
Json json_of(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

/// What all runs of a directory have in common.
Json common(const CompareOptions& o, const Data& d, std::int64_t budget) {
  const CompareFiles& f = o.files;
  const bool by_name = f.form.format == LabelFormat::automatic;
  Json json = {{"task", name_of(o.task)},
               {"preset", name_of(o.preset)},
               {"steps", o.steps},
               {"parameters", budget},
               {"train", f.train},
               {"valid", f.valid},
               {"test", f.test},
               {"valid_sentences", d.valid.size()},
               {"test_sentences", d.test.size()},
               {"words", f.words ? name_of(*f.words) : ""},
               {"format", {by_name ? "" : name_of(f.form.format), f.form.column, f.form.field}},
               {"rate", json_of(o.rate)},
               {"batch_tokens", json_of(o.batch_tokens)}};
  if (f.form.word_column > 0) json["word_column"] = f.form.word_column;
  if (d.made_up) json["letters"] = {d.puzzle.alphabet, d.puzzle.shortest, d.puzzle.longest};
  return json;
}

struct Plan {
  std::vector<LabellingRecipe> recipes;
  std::vector<std::int64_t> sizes;
  Json contestants = Json::array();
  std::int64_t budget = 0;
};

Plan plan_of(const CompareOptions& o, const Data& data, const TrainWatch& watch) {
  Plan plan;
  plan.sizes = sizes_of(o.sizes, data.train.size(), "sentences");
  const auto with_labels = [&](LabelEncoder encoder) {
    LabellingRecipe p = recipe_of(o, data, encoder);
    const Labeller::Config known = make_labeller(p, data.train, p.train.seed).network.config;
    p.network.tags = known.tags;
    p.network.classes = known.classes;
    return p;
  };
  // Self-attention has the most for its width; the others grow wider until they have as much.
  plan.budget =
      o.parameters.value_or(encoder_parameters(with_labels(LabelEncoder::attention).network));
  for (const LabelEncoder encoder : o.encoders) {
    LabellingRecipe p = with_labels(encoder);
    p.network = with_encoder_parameters(p.network, plan.budget);
    const std::int64_t count = encoder_parameters(p.network);
    watch.line(fmt::format(
        "{:<10} {} layers, width {}{}: {} parameters ({:+.1f}%)", name_of(encoder),
        p.network.layers, p.network.width,
        p.network.transforms() ? fmt::format(" and {}", p.network.feed_forward) : std::string(),
        grouped(count),
        100.0 * static_cast<double>(count - plan.budget) / static_cast<double>(plan.budget)));
    plan.contestants.push_back({{"encoder", name_of(encoder)},
                                {"parameters", count},
                                {"layers", p.network.layers},
                                {"width", p.network.width}});
    if (p.network.transforms()) plan.contestants.back()["feed_forward"] = p.network.feed_forward;
    plan.recipes.push_back(p);
  }
  return plan;
}

std::vector<ComparisonRun> run_all(const CompareOptions& o, const Plan& plan, const Data& data,
                                   const TrainWatch& watch) {
  ComparisonPlan all{.directory = o.directory, .names = {}, .sizes = plan.sizes, .seeds = o.seeds};
  for (const LabellingRecipe& r : plan.recipes) all.names.emplace_back(name_of(r.network.encoder));
  return run_missing(
      all,
      [&](std::size_t i, std::int64_t size, std::uint64_t seed) {
        return run_comparison(plan.recipes[i], {data.train, data.valid, data.test}, size, seed,
                              all.directory / "current", {.progress = watch.progress, .line = {}});
      },
      watch);
}

}  // namespace

std::string CompareReport::text() const {
  return comparison_table(cells, what) + fmt::format("{:<10} {:>14.2f}\n", "majority", majority) +
         crossings;
}

CompareReport compare(const CompareOptions& o, const TrainWatch& watch) {
  if (std::ranges::count(o.encoders, LabelEncoder::bert) > 0) {
    throw UsageError("--encoders: 'bert' is not one of fc, cnn, rnn, attention, linear");
  }
  if (compares_pictures(o.task)) return compare_pictures(o, watch);
  if (!o.kinds.empty()) fail("--kinds is for pictures; see --encoders");
  const Data data = data_of(o);
  const Plan plan = plan_of(o, data, watch);
  const std::filesystem::path directory = o.directory;
  std::filesystem::create_directories(directory);
  CompareReport report;
  report.json = common(o, data, plan.budget);
  check_settings(directory / "settings.json", report.json);
  const std::vector<ComparisonRun> runs = run_all(o, plan, data, watch);
  report.cells = summarise(runs);
  report.majority = majority_score(data.train, data.test);
  report.json["encoders"] = plan.contestants;
  report.json["majority"] = report.majority;
  report.json["runs"] = list_of(runs);
  report.json["cells"] = list_of(report.cells);
  write_json(directory / "compare.json", report.json);
  write_file(
      directory / "compare.svg",
      comparison_svg(report.cells,
                     fmt::format("{}: {} parameters each", name_of(o.task), plan.budget), "score"));
  return report;
}

}  // namespace qkv
