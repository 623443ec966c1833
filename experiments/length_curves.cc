#include "experiments/length_curves.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/lines.h"
#include "qkv/decode/batch_translator.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/eval/bleu.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/train/translation.h"
#include "qkv/view/curve.h"

namespace qkv {
namespace {

RnnTranslator::Config network(const LengthTrials& t, LengthAttention kind) {
  RnnTranslator::Config c{
      .embedding = t.embedding, .width = t.width, .layers = 1, .bidirectional = true};
  c.dropout = 0.0;
  switch (kind) {
    case LengthAttention::none:
      c.context = RnnContext::fixed;
      break;
    case LengthAttention::bahdanau:
      c.context = RnnContext::before;
      break;
    case LengthAttention::predictive:
      c.local = RnnLocal::predictive;
      c.local_width = t.window;
      [[fallthrough]];
    case LengthAttention::luong:
      c.context = RnnContext::after;
      c.score = RnnScore::general;
  }
  return c;
}

/// Trains and tries one kind with every seed; the line is the mean.
LengthReport::Line tried(const LengthTrials& t, LengthAttention kind, const TrainWatch& watch) {
  const std::string name(name_of(kind));
  LengthReport::Line line{.name = name, .value = {}, .details = Json::array()};
  const std::int64_t last = t.tried > 0 ? t.tried : t.task.longest + t.task.longest / 2;
  for (std::int64_t run = 0; run < t.seeds; ++run) {
    LengthTraining training = t.training;
    training.seed += static_cast<std::uint64_t>(run);
    const RnnTranslator model =
        train_on_lengths(network(t, kind), t.task, training, [&](const Progress& p) {
          Progress named = p;
          named.detail = fmt::format("{} (seed {})  {}", name, training.seed, p.detail);
          if (watch.progress) watch.progress(named);
        });
    const std::vector<LengthScore> scores =
        score_lengths(model, t.task, t.task.shortest, last, t.every, t.sequences, training.seed);
    Json points = Json::array();
    for (const LengthScore& p : scores) {
      line.value[p.length] += 100 * p.exact / static_cast<double>(t.seeds);
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

std::int64_t words_in(const std::string& line) {
  std::istringstream words(line);
  std::int64_t count = 0;
  for (std::string word; words >> word;) ++count;
  return count;
}

/// BLEU of a model's translations, sentences of like length together.
LengthReport::Line scored(const LengthModels& s, const std::string& directory,
                          const TrainWatch& watch) {
  const std::vector<std::string> source = read_lines(s.source), reference = read_lines(s.reference);
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
  const auto found = BatchTranslator(*decoder, options).translate(tokens, watch.progress);
  std::map<std::int64_t, std::pair<std::vector<std::string>, std::vector<std::string>>> buckets;
  for (std::size_t i = 0; i < source.size(); ++i) {
    auto& [ours, theirs] = buckets[(words_in(source[i]) + s.bucket - 1) / s.bucket];
    ours.push_back(model.target.decode(found[i].best.front().tokens));
    theirs.push_back(reference[i]);
  }
  LengthReport::Line line{.name = directory, .value = {}, .details = Json::array()};
  for (const auto& [index, pair] : buckets) {
    const double bleu =
        corpus_bleu(pair.first, pair.second, {.tokeniser = s.tokeniser, .lower = s.lower}).score;
    line.value[index * s.bucket] = bleu;
    line.details.push_back(
        {{"to_length", index * s.bucket}, {"sentences", pair.first.size()}, {"bleu", bleu}});
  }
  return line;
}

std::string table_of(const std::vector<LengthReport::Line>& lines, const char* head) {
  const auto width = [](const LengthReport::Line& line) {
    return std::max<std::size_t>(12, line.name.size());
  };
  std::string text = fmt::format("{:>8}", head);
  for (const auto& line : lines) text += fmt::format("  {:>{}}", line.name, width(line));
  text += "\n";
  for (const auto& [length, unused] : lines.front().value) {
    text += fmt::format("{:>8}", length);
    for (const auto& line : lines) {
      text += fmt::format("  {:>{}.1f}", line.value.at(length), width(line));
    }
    text += "\n";
  }
  return text;
}

/// Mean distance of the attention from its diagonal at the lengths that were learnt; NaN: none.
double distance_of(const LengthReport::Line& line, std::int64_t longest) {
  double sum = 0;
  int points = 0;
  for (const Json& run : line.details) {
    for (const Json& p : run["lengths"]) {
      const double distance = p["distance"].get<double>();
      if (std::isnan(distance) || p["length"].get<std::int64_t>() > longest) continue;
      sum += distance;
      ++points;
    }
  }
  return sum / points;
}

std::string picture_of(const LengthReport& report) {
  CurveOptions picture;
  picture.title = report.of_text
                      ? "BLEU by the length of the source"
                      : fmt::format("{} of {} to {} symbols learnt: sequences that are right",
                                    report.task.copy ? "Copies" : "Reversals", report.task.shortest,
                                    report.task.longest);
  picture.x_label = report.of_text ? "words of the source, at most" : "symbols";
  picture.y_label = report.of_text ? "BLEU" : "%";
  std::vector<Series> series;
  for (const auto& line : report.lines) {
    Series one{.name = line.name, .points = {}};
    for (const auto& [length, value] : line.value) {
      one.points.push_back({static_cast<double>(length), value});
    }
    series.push_back(std::move(one));
  }
  return curve_svg(series, picture);
}

/// Throws when one of them stands twice.
template <class T, class Name>
void check_distinct(const std::vector<T>& all, const Name& name) {
  for (const T& one : all) {
    if (std::ranges::count(all, one) > 1) fail("lengths: {} twice", name(one));
  }
}

}  // namespace

std::string LengthReport::text() const {
  std::string out = table_of(lines, of_text ? "words to" : "length");
  for (const Line& line : lines) {
    if (of_text) break;
    const double distance = distance_of(line, task.longest);
    if (std::isnan(distance)) continue;
    out += fmt::format("{}: the attention lies {:.2f} symbols from the {}diagonal on average\n",
                       line.name, distance, task.copy ? "" : "anti-");
  }
  return out;
}

Json LengthReport::json() const {
  Json all = Json::object();
  for (const Line& line : lines) all[line.name] = line.details;
  return all;
}

LengthReport length_curves(const LengthOptions& o, const TrainWatch& watch) {
  const LengthModels& given = o.given;
  LengthReport report{.lines = {}, .of_text = !given.models.empty(), .task = o.trials.task};
  if (report.of_text != (!given.source.empty() && !given.reference.empty())) {
    fail("lengths: --models, --source and --reference go together");
  }
  o.trials.task.check();
  check_distinct(given.models, [](const std::string& directory) { return directory; });
  check_distinct(o.trials.kinds, [](LengthAttention kind) { return name_of(kind); });
  const std::filesystem::path directory = o.directory;
  std::filesystem::create_directories(directory);
  if (report.of_text) {
    for (const auto& model : given.models) report.lines.push_back(scored(given, model, watch));
  } else {
    for (const auto kind : o.trials.kinds) report.lines.push_back(tried(o.trials, kind, watch));
  }
  write_file(directory / "lengths.svg", picture_of(report));
  write_json(directory / "lengths.json", report.json());
  return report;
}

}  // namespace qkv
