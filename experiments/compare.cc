#include "experiments/compare.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/ranges.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/progress.h"

namespace qkv {
namespace {

constexpr const char* kRunsFile = "runs.jsonl";
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

std::int64_t size_of(const std::string& word, std::int64_t all) {
  if (word == "all") return all;
  std::int64_t size = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, size);
  if (error != std::errc() || stop != end || size < 1) {
    throw UsageError(fmt::format("--sizes: '{}' is neither a number of sentences nor 'all'", word));
  }
  return size;
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

void check_settings(const std::filesystem::path& path, const Json& now) {
  if (!std::filesystem::exists(path)) return write_json(path, now);
  const Json before = read_json(path);
  if (!before.is_object()) throw DataError(path.string(), 0, "holds no settings of qkv compare");
  const auto told = [](const Json& json, const std::string& name) {
    return json.contains(name) ? json[name].dump() : std::string("none");
  };
  for (const Json* settings : {&now, &before}) {
    for (const auto& [name, unused] : settings->items()) {
      if (before.contains(name) && now.contains(name) && before[name] == now[name]) continue;
      fail("{}: the runs there had {} {}, not {}; give another --output",
           path.parent_path().string(), name, told(before, name), told(now, name));
    }
  }
}

Json json_of(const ComparisonRun& r) {
  return {{"encoder", r.encoder},
          {"size", r.size},
          {"seed", r.seed},
          {"score", r.score},
          {"best_step", r.best_step},
          {"steps", r.steps},
          {"valid_score", r.valid_score},
          {"seconds", r.seconds}};
}

std::vector<ComparisonRun> finished_runs(const std::filesystem::path& path) {
  std::vector<ComparisonRun> runs;
  if (!std::filesystem::exists(path)) return runs;
  for (const Json& line : read_jsonl(path)) {
    FieldReader r(line, path.string());
    ComparisonRun run{.encoder = r.text("encoder"), .size = r.integer("size", {.least = 1})};
    run.seed = static_cast<std::uint64_t>(r.integer("seed", {.least = 0}));
    run.score = r.number("score");
    run.valid_score = r.number("valid_score");
    run.best_step = r.integer("best_step");
    run.steps = r.integer("steps");
    run.seconds = r.number("seconds");
    r.finish();
    runs.push_back(run);
  }
  return runs;
}

struct Plan {
  std::vector<LabellingRecipe> recipes;
  std::vector<std::int64_t> sizes;
  Json contestants = Json::array();
  std::int64_t budget = 0;
};

std::vector<std::int64_t> sizes_of(const CompareOptions& o, std::int64_t all) {
  std::vector<std::int64_t> sizes;
  for (const std::string& word : detail::split_list(o.sizes)) sizes.push_back(size_of(word, all));
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  if (sizes.empty()) throw UsageError("--sizes: takes at least one value");
  if (sizes.back() > all) fail("--sizes {}: there are {} training sentences", sizes.back(), all);
  return sizes;
}

Plan plan_of(const CompareOptions& o, const Data& data, const TrainWatch& watch) {
  Plan plan;
  plan.sizes = sizes_of(o, data.train.size());
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

/// Runs what is missing, smallest first, so that an early stop leaves whole columns.
std::vector<ComparisonRun> run_all(const CompareOptions& o, const Plan& plan, const Data& data,
                                   const TrainWatch& watch) {
  const std::filesystem::path directory = o.directory;
  const std::vector<ComparisonRun> before = finished_runs(directory / kRunsFile);
  std::vector<ComparisonRun> runs;
  const auto total = static_cast<std::int64_t>(plan.sizes.size() * plan.recipes.size()) * o.seeds;
  const auto run = [&](const LabellingRecipe& recipe, std::int64_t size, std::uint64_t seed) {
    const auto found = std::find_if(before.begin(), before.end(), [&](const ComparisonRun& r) {
      return r.encoder == name_of(recipe.network.encoder) && r.size == size && r.seed == seed;
    });
    if (found != before.end()) return runs.push_back(*found);
    runs.push_back(run_comparison(recipe, {data.train, data.valid, data.test}, size, seed,
                                  directory / "current", {.progress = watch.progress, .line = {}}));
    const ComparisonRun& r = runs.back();
    append_jsonl(directory / kRunsFile, json_of(r));
    watch.line(fmt::format("{}/{}  {:<10} {} sentences, seed {}: {:.2f} (best at {}, {})",
                           runs.size(), total, r.encoder, r.size, r.seed, r.score, r.best_step,
                           duration_text(r.seconds)));
  };
  for (const std::int64_t size : plan.sizes) {
    for (std::uint64_t seed = 1; seed <= static_cast<std::uint64_t>(o.seeds); ++seed) {
      for (const LabellingRecipe& recipe : plan.recipes) run(recipe, size, seed);
    }
  }
  std::filesystem::remove_all(directory / "current");
  return runs;
}

Json json_of(const ComparisonCell& c) {
  return {{"encoder", c.encoder},     {"size", c.size}, {"runs", c.runs}, {"mean", c.mean},
          {"deviation", c.deviation}, {"low", c.low},   {"high", c.high}};
}

template <class T>
Json list_of(const std::vector<T>& all) {
  Json list = Json::array();
  for (const T& one : all) list.push_back(json_of(one));
  return list;
}

}  // namespace

std::string CompareReport::text() const {
  return comparison_table(cells) + fmt::format("{:<10} {:>14.2f}\n", "majority", majority);
}

CompareReport compare(const CompareOptions& o, const TrainWatch& watch) {
  if (std::ranges::count(o.encoders, LabelEncoder::bert) > 0) {
    throw UsageError("--encoders: 'bert' is not one of fc, cnn, rnn, attention, linear");
  }
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
