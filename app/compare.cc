// qkv compare: encoders against each other on the same data, with equal numbers of parameters.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include "app/train/labels.h"
#include "experiments/comparison.h"
#include <fmt/ranges.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/synthetic.h"
#include "qkv/io/json.h"

namespace qkv::app {
namespace {

constexpr const char* kRunsFile = "runs.jsonl";
constexpr std::int64_t kMostValid = 1000;  // sentences; choosing among ten states takes no more

struct Settings {
  std::string task, directory, preset = "tiny", words;
  std::vector<std::string> encoders, sizes, train, valid, test;
  LabelFiles files;
  std::int64_t seeds = 3, steps = 1000;
  std::optional<std::int64_t> parameters, batch_tokens, alphabet, shortest, longest;
  std::optional<double> rate;
};

struct Data {
  LabelTask task = LabelTask::tag;
  LabelledText train, valid, test;
  PuzzleOptions puzzle;
  bool made_up = false;
};

template <class E>
std::optional<E> chosen(std::string_view word, std::span<const std::string_view> names) {
  const auto found = std::find(names.begin(), names.end(), word);
  if (found == names.end()) return {};
  return static_cast<E>(found - names.begin());
}

std::int64_t size_of(const std::string& word, std::int64_t all) {
  if (word == "all") return all;
  std::int64_t size = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, size);
  if (error != std::errc() || stop != end || size < 1) {
    fail("--sizes '{}' is neither a number of sentences nor 'all'", word);
  }
  return size;
}

Data made_up(const Settings& s, Puzzle puzzle) {
  if (!s.train.empty() || !s.valid.empty() || !s.test.empty()) {
    fail("'{}' is made up and reads no files; leave out --train, --valid and --test", s.task);
  }
  Data d{.task = puzzle == Puzzle::both ? LabelTask::classify : LabelTask::tag};
  d.puzzle = puzzle_options(puzzle);
  set(s.alphabet, d.puzzle.alphabet);
  set(s.shortest, d.puzzle.shortest);
  set(s.longest, d.puzzle.longest);
  d.made_up = true;
  d.train = make_puzzle(puzzle, 10'000, 1, d.puzzle);
  d.valid = make_puzzle(puzzle, 300, 2, d.puzzle);
  d.test = make_puzzle(puzzle, 1000, 3, d.puzzle);
  return d;
}

Data from_files(const Settings& s, LabelTask task, WordCut cut) {
  if (s.train.empty()) fail("'{}' needs --train", s.task);
  Data d{.task = task, .train = read_labelled(s.train, s.files, task)};
  d.valid = s.valid.empty() ? hold_out(d.train) : read_labelled(s.valid, s.files, task);
  d.test = s.test.empty() ? d.valid : read_labelled(s.test, s.files, task);
  for (LabelledText* text : {&d.train, &d.valid, &d.test}) cut_texts(*text, cut);
  if (d.valid.size() > kMostValid) d.valid = draw_sentences(d.valid, kMostValid, 1);
  return d;
}

/// The preset of an encoder, changed so that a comparison is one: tags by themselves, because a CRF
/// would show even the encoder of single words its neighbours; as many updates for each.
LabellingPreset preset_of(const Settings& s, const Data& data, LabelEncoder encoder) {
  LabellingPreset p = labelling_preset(s.preset, data.task, encoder);
  p.model.crf = false;
  p.train.epochs = p.train.patience = 0;
  p.train.steps = s.steps;
  p.train.validate_every = std::max<std::int64_t>(1, s.steps / 10);
  p.train.save_minutes = 1e9;
  if (data.made_up) {  // letters without meaning, and no end of them: nothing to look up or forget
    p.model.characters = p.model.shapes = 0;
    p.model.dropout = p.model.embedding_dropout = p.model.word_dropout = 0;
    p.batch_tokens = 300;
  }
  set(s.rate, p.train.schedule.rate);
  set(s.batch_tokens, p.batch_tokens);
  set_choice("--words", s.words,
             {std::pair{"space", WordCut::space}, std::pair{"word", WordCut::word},
              std::pair{"character", WordCut::character}},
             p.words.cut);
  if (p.batch_tokens < 1) fail("--batch-tokens must be positive");
  return p;
}

/// What all runs of a directory have in common.
Json common(const Settings& s, const Data& d, std::int64_t budget) {
  Json json = {{"task", s.task},
               {"preset", s.preset},
               {"steps", s.steps},
               {"parameters", budget},
               {"train", s.train},
               {"valid", s.valid},
               {"test", s.test},
               {"valid_sentences", d.valid.size()},
               {"test_sentences", d.test.size()},
               {"words", s.words},
               {"format", {s.files.format, s.files.column, s.files.field}},
               {"rate", s.rate ? Json(*s.rate) : Json()},
               {"batch_tokens", s.batch_tokens ? Json(*s.batch_tokens) : Json()}};
  if (d.made_up) json["letters"] = {d.puzzle.alphabet, d.puzzle.shortest, d.puzzle.longest};
  return json;
}

void check_settings(const std::filesystem::path& path, const Json& now) {
  if (!std::filesystem::exists(path)) return write_json(path, now);
  const Json before = read_json(path);
  for (const auto& [name, value] : now.items()) {
    if (before.contains(name) && before[name] == value) continue;
    fail("{}: the runs there had {} {}, not {}; give another --output", path.parent_path().string(),
         name, before.value(name, Json()).dump(), value.dump());
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
  std::vector<LabellingPreset> presets;
  std::vector<std::int64_t> sizes;
  Json contestants = Json::array();
  std::int64_t budget = 0;
};

Plan plan_of(const Settings& s, const Data& data, Console& console) {
  Plan plan;
  for (const std::string& word : s.sizes) plan.sizes.push_back(size_of(word, data.train.size()));
  std::sort(plan.sizes.begin(), plan.sizes.end());
  plan.sizes.erase(std::unique(plan.sizes.begin(), plan.sizes.end()), plan.sizes.end());
  if (plan.sizes.back() > data.train.size()) {
    fail("--sizes {}: there are {} training sentences", plan.sizes.back(), data.train.size());
  }
  const auto with_labels = [&](LabelEncoder encoder) {
    LabellingPreset p = preset_of(s, data, encoder);
    const Labeller::Config known = make_labeller(p, data.train, p.scheme, 0).network.config;
    p.model.tags = known.tags;
    p.model.classes = known.classes;
    return p;
  };
  // Self-attention has the most for its width; the others grow wider until they have as much.
  plan.budget =
      s.parameters.value_or(encoder_parameters(with_labels(LabelEncoder::attention).model));
  for (const std::string& word : s.encoders) {
    const auto encoder = chosen<LabelEncoder>(word, label_encoder_names());
    if (!encoder) {
      fail("--encoders '{}' is not one of {}", word, fmt::join(label_encoder_names(), ", "));
    }
    LabellingPreset p = with_labels(*encoder);
    p.model = with_encoder_parameters(p.model, plan.budget);
    const std::int64_t count = encoder_parameters(p.model);
    console.line(fmt::format(
        "{:<10} {} layers, width {}{}: {} parameters ({:+.1f}%)", word, p.model.layers,
        p.model.width,
        p.model.transforms() ? fmt::format(" and {}", p.model.feed_forward) : std::string(),
        grouped(count),
        100.0 * static_cast<double>(count - plan.budget) / static_cast<double>(plan.budget)));
    plan.contestants.push_back({{"encoder", word},
                                {"parameters", count},
                                {"layers", p.model.layers},
                                {"width", p.model.width}});
    if (p.model.transforms()) plan.contestants.back()["feed_forward"] = p.model.feed_forward;
    plan.presets.push_back(p);
  }
  return plan;
}

/// Runs what is missing, smallest first, so that an early stop leaves whole columns.
std::vector<ComparisonRun> run_all(const Settings& s, const Plan& plan, const Data& data,
                                   Console& console) {
  const std::filesystem::path directory = s.directory;
  const std::vector<ComparisonRun> before = finished_runs(directory / kRunsFile);
  std::vector<ComparisonRun> runs;
  const auto total = static_cast<std::int64_t>(plan.sizes.size() * plan.presets.size()) * s.seeds;
  for (const std::int64_t size : plan.sizes) {
    for (std::uint64_t seed = 1; seed <= static_cast<std::uint64_t>(s.seeds); ++seed) {
      for (const LabellingPreset& preset : plan.presets) {
        const auto same = [&](const ComparisonRun& r) {
          return r.encoder == name_of(preset.model.encoder) && r.size == size && r.seed == seed;
        };
        const auto found = std::find_if(before.begin(), before.end(), same);
        if (found != before.end()) {
          runs.push_back(*found);
          continue;
        }
        runs.push_back(run_comparison(preset, {data.train, data.valid, data.test}, size, seed,
                                      directory / "current",
                                      {.progress = console.progress(), .line = {}}));
        const ComparisonRun& r = runs.back();
        append_jsonl(directory / kRunsFile, json_of(r));
        console.line(fmt::format("{}/{}  {:<10} {} sentences, seed {}: {:.2f} (best at {}, {})",
                                 runs.size(), total, r.encoder, r.size, r.seed, r.score,
                                 r.best_step, duration_text(r.seconds)));
      }
    }
  }
  std::filesystem::remove_all(directory / "current");
  return runs;
}

void compare(const Settings& s, Program& program) {
  apply_threads(program);
  Data data;
  if (const auto puzzle = chosen<Puzzle>(s.task, puzzle_names())) {
    data = made_up(s, *puzzle);
  } else if (s.task == "tag" || s.task == "classify") {
    data.task = s.task == "tag" ? LabelTask::tag : LabelTask::classify;
    data = from_files(s, data.task, preset_of(s, data, LabelEncoder::cnn).words.cut);
  } else {
    fail("'{}' is not one of tag, classify, {}", s.task, fmt::join(puzzle_names(), ", "));
  }
  const Plan plan = plan_of(s, data, program.console);
  const std::filesystem::path directory = s.directory;
  std::filesystem::create_directories(directory);
  Json json = common(s, data, plan.budget);
  check_settings(directory / "settings.json", json);
  const std::vector<ComparisonRun> runs = run_all(s, plan, data, program.console);

  const std::vector<ComparisonCell> cells = summarise(runs);
  const double majority = majority_score(data.train, data.test);
  json["encoders"] = plan.contestants;
  json["majority"] = majority;
  json["runs"] = json["cells"] = Json::array();
  for (const ComparisonRun& r : runs) json["runs"].push_back(json_of(r));
  for (const ComparisonCell& c : cells) {
    json["cells"].push_back({{"encoder", c.encoder},
                             {"size", c.size},
                             {"runs", c.runs},
                             {"mean", c.mean},
                             {"deviation", c.deviation},
                             {"low", c.low},
                             {"high", c.high}});
  }
  write_json(directory / "compare.json", json);
  write_file(
      directory / "compare.svg",
      comparison_svg(cells, fmt::format("{}: {} parameters each", s.task, plan.budget), "score"));
  if (program.json) {
    print_output("{}\n", json.dump());
  } else {
    print_output("{}{:<10} {:>14.2f}\n", comparison_table(cells), "majority", majority);
  }
}

}  // namespace

void add_compare(Program& program) {
  auto settings = std::make_shared<Settings>();
  Settings& s = *settings;
  s.encoders = {"fc", "cnn", "rnn", "attention", "linear"};
  s.sizes = {"500", "2000", "all"};
  CLI::App* c = program.cli.add_subcommand(
      "compare", "Compare encoders: same data, equal parameters, several seeds and sizes");
  c->footer(
      "Scores are those of qkv train: F1 of spans, accuracy of other tags or of classes; mean and\n"
      "standard deviation over the seeds, each with its own draw of the sentences. Every finished\n"
      "run is kept in DIR/runs.jsonl: stop with Ctrl-C, and the same command goes on.");
  c->add_option("task", s.task,
                "tag or classify (files), or a puzzle: parity of each word's count so far, first "
                "(every word is tagged with the first), both (do a and b occur?)")
      ->required();
  const char* data = "Data";
  c->add_option("--train", s.train, "Labelled text")->expected(1)->group(data);
  c->add_option("--valid", s.valid,
                "The same, chooses the weights (at most 1000 sentences); default: held out")
      ->expected(1)
      ->group(data);
  c->add_option("--test", s.test, "The same, gives the score; default: the validation text")
      ->expected(1)
      ->group(data);
  add_label_files(*c, s.files, LabelTask::tag, data);
  c->add_option("--words", s.words, "How running text is cut: space, word or character")
      ->group(data);
  const char* puzzle = "Puzzles";
  c->add_option("--alphabet", s.alphabet, "Letters")->group(puzzle);
  c->add_option("--shortest", s.shortest, "Words of the shortest sequence")->group(puzzle);
  c->add_option("--longest", s.longest, "Words of the longest sequence")->group(puzzle);
  const char* what = "Comparison";
  c->add_option("--output", s.directory, "Directory for results")->required()->group(what);
  c->add_option("--encoders", s.encoders, "Any of fc, cnn, rnn, attention, linear")
      ->delimiter(',')
      ->group(what);
  c->add_option("--sizes", s.sizes, "Training sentences: numbers or all (a puzzle's: 10000)")
      ->delimiter(',')
      ->group(what);
  c->add_option("--seeds", s.seeds, "Runs of each")
      ->check(CLI::PositiveNumber)
      ->group(what)
      ->capture_default_str();
  c->add_option("--parameters", s.parameters,
                "Of encoder and heads; default: what the preset's self-attention has")
      ->check(CLI::PositiveNumber)
      ->group(what);
  c->add_option("--preset", s.preset, "tiny or small")->group(what)->capture_default_str();
  c->add_option("--steps", s.steps, "Updates of each run, whatever its size")
      ->check(CLI::PositiveNumber)
      ->group(what)
      ->capture_default_str();
  c->add_option("--rate", s.rate, "Peak learning rate of all; default: the preset's")->group(what);
  c->add_option("--batch-tokens", s.batch_tokens, "Words of a batch")->group(what);
  c->add_flag("--json", program.json, "Print what compare.json holds");
  add_threads(*c, program);
  c->callback([settings, &program] { compare(*settings, program); });
}

}  // namespace qkv::app
