// qkv lengths: how well translators do at each length of the source, as a table, a curve and JSON.
// Without model directories it trains small ones with and without attention to write sequences
// backwards.
#include "experiments/lengths.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <sstream>

#include "app/command.h"
#include "app/output.h"
#include "app/train/training.h"
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/lines.h"
#include "qkv/decode/batch_translator.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/eval/bleu.h"
#include "qkv/io/json.h"
#include "qkv/train/translation.h"
#include "qkv/view/curve.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string directory = "qkv-lengths";
  LengthTask task;
  LengthTraining training;
  std::vector<std::string> kinds = {"none", "bahdanau"};
  std::int64_t seeds = 1, tried = 0, every = 1, sequences = 100;
  std::int64_t embedding = 32, width = 64, window = 3;
  std::vector<std::string> models;  // directories
  std::string source, reference, tokeniser = "13a";
  std::int64_t bucket = 5;
  int beam = 4;
  bool lower = false;
};

/// One line of the picture.
struct Line {
  std::string name;
  std::map<std::int64_t, double> value;  // by length; per cent or BLEU
  Json details;
};

RnnTranslator::Config network(const Settings& s, const std::string& kind) {
  RnnTranslator::Config c{
      .embedding = s.embedding, .width = s.width, .layers = 1, .bidirectional = true};
  c.dropout = 0.0;
  c.score = kind == "luong" || kind == "predictive" ? RnnScore::general : RnnScore::additive;
  if (kind == "predictive") {
    c.local = RnnLocal::predictive;
    c.local_width = s.window;
  }
  set_choice("--attention", kind,
             {std::pair{"none", RnnContext::fixed}, std::pair{"bahdanau", RnnContext::before},
              std::pair{"luong", RnnContext::after}, std::pair{"predictive", RnnContext::after}},
             c.context);
  return c;
}

/// Trains and tries one kind with every seed; the line is the mean.
Line tried(const Settings& s, const std::string& kind, Program& program) {
  Line line{.name = kind, .value = {}, .details = Json::array()};
  const std::int64_t last = s.tried > 0 ? s.tried : s.task.longest + s.task.longest / 2;
  for (std::int64_t run = 0; run < s.seeds; ++run) {
    LengthTraining training = s.training;
    training.seed += static_cast<std::uint64_t>(run);
    const ProgressSink bar = program.console.progress();
    const RnnTranslator model =
        train_on_lengths(network(s, kind), s.task, training, [&](const Progress& p) {
          Progress named = p;
          named.detail = fmt::format("{} (seed {})  {}", kind, training.seed, p.detail);
          bar(named);
        });
    program.console.clear();
    const std::vector<LengthScore> scores =
        score_lengths(model, s.task, s.task.shortest, last, s.every, s.sequences, training.seed);
    Json points = Json::array();
    for (const LengthScore& p : scores) {
      line.value[p.length] += 100 * p.exact / static_cast<double>(s.seeds);
      points.push_back({{"length", p.length},
                        {"exact", p.exact},
                        {"symbols", p.symbols},
                        {"distance", p.distance}});
    }
    line.details.push_back({{"seed", training.seed},
                            {"parameters", parameter_count(model)},
                            {"lengths", std::move(points)}});
  }
  return line;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  LineReader reader(path);
  for (std::string line; reader.next(line);) lines.push_back(line);
  return lines;
}

std::int64_t words_in(const std::string& line) {
  std::istringstream words(line);
  std::int64_t count = 0;
  for (std::string word; words >> word;) ++count;
  return count;
}

/// BLEU of a model's translations, sentences of like length together.
Line scored(const Settings& s, const std::string& directory, Program& program) {
  const std::vector<std::string> source = lines_of(s.source), reference = lines_of(s.reference);
  if (source.size() != reference.size() || source.empty()) {
    fail("{} has {} lines, {} has {}; they must be as many, and some", s.source, source.size(),
         s.reference, reference.size());
  }
  const TranslationModel model = load_translation_model(directory);
  BatchTranslatorOptions options;
  options.search.beam = s.beam;
  set_special_tokens(model, options.search);
  const auto decoder = decoder_of(model, {.source_eos = model.source.eos()});
  std::vector<Tokens> tokens;
  tokens.reserve(source.size());
  for (const std::string& text : source) tokens.push_back(model.source.encode(text));
  const auto found =
      BatchTranslator(*decoder, options).translate(tokens, program.console.progress());
  program.console.clear();
  std::map<std::int64_t, std::pair<std::vector<std::string>, std::vector<std::string>>> buckets;
  for (std::size_t i = 0; i < source.size(); ++i) {
    auto& [ours, theirs] = buckets[(words_in(source[i]) + s.bucket - 1) / s.bucket];
    ours.push_back(model.target.decode(found[i].best.front().tokens));
    theirs.push_back(reference[i]);
  }
  Line line{.name = directory, .value = {}, .details = Json::array()};
  for (const auto& [index, pair] : buckets) {
    const double bleu = corpus_bleu(pair.first, pair.second,
                                    {.tokeniser = bleu_tokeniser(s.tokeniser), .lower = s.lower})
                            .score;
    line.value[index * s.bucket] = bleu;
    line.details.push_back(
        {{"to_length", index * s.bucket}, {"sentences", pair.first.size()}, {"bleu", bleu}});
  }
  return line;
}

void print_table(const std::vector<Line>& lines, const char* head) {
  const auto width = [](const Line& line) { return std::max<std::size_t>(12, line.name.size()); };
  print_output("{:>8}", head);
  for (const Line& line : lines) print_output("  {:>{}}", line.name, width(line));
  print_output("\n");
  for (const auto& [length, unused] : lines.front().value) {
    print_output("{:>8}", length);
    for (const Line& line : lines) print_output("  {:>{}.1f}", line.value.at(length), width(line));
    print_output("\n");
  }
}

void print_distances(const Settings& s, const std::vector<Line>& lines) {
  for (const Line& line : lines) {
    double sum = 0;
    int points = 0;
    for (const Json& run : line.details) {
      for (const Json& p : run["lengths"]) {
        const double distance = p["distance"].get<double>();
        if (std::isnan(distance) || p["length"].get<std::int64_t>() > s.task.longest) continue;
        sum += distance;
        ++points;
      }
    }
    if (points == 0) continue;
    print_output("{}: the attention lies {:.2f} symbols from the {}diagonal on average\n",
                 line.name, sum / points, s.task.copy ? "" : "anti-");
  }
}

void lengths(const Settings& s, Program& program) {
  apply_threads(program);
  const bool text = !s.models.empty();
  if (text != (!s.source.empty() && !s.reference.empty())) {
    fail("lengths: --models, --source and --reference go together");
  }
  if (s.seeds < 1 || s.bucket < 1 || s.beam < 1) {
    fail("lengths: --seeds, --bucket and --beam must be positive");
  }
  for (const std::string& name : text ? s.models : s.kinds) {
    if (std::ranges::count(text ? s.models : s.kinds, name) > 1) fail("lengths: {} twice", name);
  }
  s.task.check();
  for (const std::string& kind : s.kinds) (void)network(s, kind);
  std::filesystem::create_directories(s.directory);
  std::vector<Line> lines;
  for (const std::string& name : text ? s.models : s.kinds) {
    lines.push_back(text ? scored(s, name, program) : tried(s, name, program));
  }
  if (!program.json) {
    print_table(lines, text ? "words to" : "length");
    if (!text) print_distances(s, lines);
  }

  CurveOptions picture;
  picture.title =
      text ? "BLEU by the length of the source"
           : fmt::format("{} of {} to {} symbols learnt: sequences that are right",
                         s.task.copy ? "Copies" : "Reversals", s.task.shortest, s.task.longest);
  picture.x_label = text ? "words of the source, at most" : "symbols";
  picture.y_label = text ? "BLEU" : "%";
  std::vector<Series> series;
  Json json = Json::object();
  for (const Line& line : lines) {
    Series one{.name = line.name, .points = {}};
    for (const auto& [length, value] : line.value) {
      one.points.push_back({static_cast<double>(length), value});
    }
    series.push_back(std::move(one));
    json[line.name] = line.details;
  }
  const std::filesystem::path directory = s.directory;
  write_file(directory / "lengths.svg", curve_svg(series, picture));
  write_json(directory / "lengths.json", json);
  if (program.json) print_output("{}\n", json.dump());
  program.console.line(
      fmt::format("wrote {} and lengths.json", (directory / "lengths.svg").string()));
}

}  // namespace

void add_lengths(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand(
      "lengths", "How translators do at each length, with and without attention");
  c->footer(
      "Without --models: trains small recurrent models to write sequences backwards and tries "
      "them\n"
      "beyond the lengths they saw (about half a minute of one core). With them: BLEU by the "
      "length of the "
      "source.");
  c->add_option("--output", s->directory, "Where lengths.svg and lengths.json go")
      ->capture_default_str();
  const char* made = "Made-up sequences";
  c->add_option("--attention", s->kinds, "Of none, bahdanau, luong, predictive (Luong's local-p)")
      ->capture_default_str()
      ->group(made);
  c->add_flag("--copy", s->task.copy, "Copy instead of reversing")->group(made);
  c->add_option("--symbols", s->task.symbols, "Different ones")->capture_default_str()->group(made);
  c->add_option("--shortest", s->task.shortest, "Of the training sequences")
      ->capture_default_str()
      ->group(made);
  c->add_option("--longest", s->task.longest, "The same")->capture_default_str()->group(made);
  c->add_option("--try-to", s->tried, "Longest that is tried (0: half as long again)")->group(made);
  c->add_option("--every", s->every, "Try every so many lengths")
      ->capture_default_str()
      ->group(made);
  c->add_option("--sequences", s->sequences, "Tried at each length")
      ->capture_default_str()
      ->group(made);
  c->add_option("--embedding", s->embedding, "Width of the embeddings")
      ->capture_default_str()
      ->group(made);
  c->add_option("--width", s->width, "Width of the cells")->capture_default_str()->group(made);
  c->add_option("--window", s->window, "How far predictive windows reach to both sides")
      ->capture_default_str()
      ->group(made);
  c->add_option("--steps", s->training.steps, "Updates of each model")
      ->capture_default_str()
      ->group(made);
  c->add_option("--batch", s->training.batch, "Sequences an update")
      ->capture_default_str()
      ->group(made);
  c->add_option("--rate", s->training.rate, "Learning rate")->capture_default_str()->group(made);
  c->add_option("--seed", s->training.seed, "Of weights and sequences")
      ->capture_default_str()
      ->group(made);
  c->add_option("--seeds", s->seeds, "Runs of each kind, this seed and the next ones")
      ->capture_default_str()
      ->group(made);
  const char* text = "Given translators";
  c->add_option("--models", s->models, "Model directories")->group(text);
  c->add_option("--source", s->source, "Text to translate")->group(text);
  c->add_option("--reference", s->reference, "Its translation")->group(text);
  c->add_option("--bucket", s->bucket, "Words that sentences of one bucket may differ by")
      ->capture_default_str()
      ->group(text);
  c->add_option("--beam", s->beam, "Width of the beam")->capture_default_str()->group(text);
  c->add_option("--bleu-tokeniser", s->tokeniser, "13a, zh, char or none")
      ->capture_default_str()
      ->group(text);
  c->add_flag("--lower", s->lower, "BLEU without regard to case, for models of lower-cased text")
      ->group(text);
  c->add_flag("--json", program.json, "Print JSON instead of the table");
  add_threads(*c, program);
  c->callback([s, &program] { lengths(*s, program); });
}

}  // namespace qkv::app
