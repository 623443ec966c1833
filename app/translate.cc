// qkv translate: text in, text out, line by line and in order, or a whole document.
#include "app/command.h"
#include "app/lines.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/systems/document.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model, input = "-", force;
  std::vector<std::string> then;
  bool scores = false, alignment = false, attention = false, coverage = false;
  bool document = false;
  int n_best = 1;

  bool looks() const { return alignment || attention || coverage; }

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory, or .argosmodel", .required = true}, s.model);
    visit({.name = "then",
           .help = "Another model that goes on with the translation; again for more",
           .repeat = true},
          s.then);
    visit({"scores", "Append the score"}, s.scores);
    visit({"alignment", "Append the alignment of tokens as Pharaoh pairs source-target"},
          s.alignment);
    visit({"attention", "With --json: the attention of every token"}, s.attention);
    visit({"coverage", "Append how much each source token (and its end) was looked at in all"},
          s.coverage);
    visit({"force", "Score the targets in this file instead of searching"}, s.force);
    visit(
        {"document",
         "The input is one text: sentences may go over line ends, white space between them stays"},
        s.document);
  }
};

nlohmann::json json_of(const Settings& s, std::int64_t index, const TranslationCandidate& c) {
  nlohmann::json j = {{"line", index + 1},
                      {"text", c.text},
                      {"score", c.score},
                      {"log_probability", c.log_probability},
                      {"token_scores", c.token_scores},
                      {"tokens", c.tokens}};
  if (s.alignment) j["alignment"] = c.alignment();
  if (s.coverage) j["coverage"] = c.coverage();
  if (s.attention) {
    auto& rows = j["attention"] = nlohmann::json::array();
    for (std::size_t t = 0; t <= c.tokens.size() && c.sources > 0; ++t) {
      const auto row = c.attention.begin() + static_cast<std::ptrdiff_t>(t) * c.sources;
      rows.push_back(std::vector<float>(row, row + c.sources));
    }
  }
  return j;
}

void write(const Settings& s, bool json, std::int64_t index, const TranslationCandidate& c) {
  if (json) return write_output(json_of(s, index, c).dump() + "\n");
  const bool many = s.n_best > 1;
  std::string line = many ? fmt::format("{} ||| {}", index, c.text) : c.text;
  if (s.alignment) line += " ||| " + c.alignment();
  if (s.coverage) line += fmt::format(" ||| {:.4f}", fmt::join(c.coverage(), " "));
  if (s.scores || many) line += fmt::format(" ||| {:.6f}", c.score);
  write_output(line + "\n");
}

void force(const Settings& s, const Translator& translator, const TranslateOptions& options,
           LineReader& reader, Program& program) {
  LineReader other(s.force);
  std::vector<std::string> sources, targets;
  for (std::string line; reader.next(line);) sources.push_back(line);
  for (std::string line; other.next(line);) targets.push_back(line);
  if (sources.size() != targets.size()) {
    fail("{} and {} have different numbers of lines, {} and {}", reader.name(), other.name(),
         sources.size(), targets.size());
  }
  const auto scored = translator.score(sources, targets, options, program.console.progress());
  for (std::size_t i = 0; i < scored.size(); ++i) {
    write(s, program.json, static_cast<std::int64_t>(i), scored[i]);
  }
}

using Options = std::vector<TranslateOptions>;

void document(const Settings& s, const TranslatorChain& chain, const Options& options,
              LineReader& reader, Program& program) {
  if (program.json || s.scores || s.looks() || s.n_best > 1) {
    throw UsageError(
        "--document writes text alone: leave out --json, --scores, --alignment, --attention, "
        "--coverage and --n-best");
  }
  std::string text;
  bool first = true;
  for (std::string line; reader.next(line); first = false) text += (first ? "" : "\n") + line;
  DocumentReport report;
  write_output(translate_document(chain, text, options, program.console.progress(), &report) +
               (first ? "" : "\n"));
  if (report.cut == 0) return;
  program.console.line(
      fmt::format("qkv: {}: the ends of {} of {} sentences were not translated: the model holds {} "
                  "tokens",
                  reader.name(), report.cut, report.sentences, chain.steps().front().max_source()));
}

TranslatorChain load(const Settings& s) {
  std::vector<std::filesystem::path> models = {s.model};
  models.insert(models.end(), s.then.begin(), s.then.end());
  return TranslatorChain::load(models);
}

/// What each model says, and what was asked for. A language is that of the text at one of the ends.
Options options_of(const Settings& s, const TranslatorChain& chain, Command& command) {
  Options options = chain.defaults();
  for (std::size_t i = 0; i < options.size(); ++i) {
    TranslateOptions& o = options[i];
    const std::string source = o.source_language, target = o.target_language;
    command.lay_over(o);
    if (i > 0) o.source_language = source;
    if (i + 1 < options.size()) o.target_language = target;
    o.attention = s.looks();
  }
  return options;
}

void translate(Settings& s, Command& command, Program& program) {
  TranslateOptions asked;
  command.lay_over(asked);  // what is wrong in itself, before the model is read
  if (!s.force.empty() && (!s.then.empty() || (command.given("sentences") && asked.sentences))) {
    throw UsageError(
        "--force scores lines as they are, by one model: leave out --then, --sentences");
  }
  const TranslatorChain chain = load(s);
  for (const Translator& step : chain.steps()) {
    for (const std::string& note : step.info().notes) program.console.line("qkv: " + note);
  }
  const Options options = options_of(s, chain, command);
  const Translator& translator = chain.steps().front();
  s.n_best = options.back().n_best;
  LineReader reader(s.input);
  if (!s.force.empty()) return force(s, translator, options.front(), reader, program);
  if (s.document) return document(s, chain, options, reader, program);
  const auto sink = [&](std::int64_t index, const Translation& t) {
    if (t.cut > 0) {
      program.console.line(
          fmt::format("qkv: {}:{}: {} tokens beyond the model's {} were not translated",
                      reader.name(), index + 1, t.cut, translator.max_source()));
    }
    for (const TranslationCandidate& c : t.best) write(s, program.json, index, c);
    flush_output();
  };
  chain.translate(source_of(reader), options, sink, program.console.progress());
}

}  // namespace

void add_translate(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("translate", "Translate text line by line, stdin to stdout");
  c.footer(
      "Results come in the order of the input; a line does not depend on its neighbours, not even "
      "in the\nlast bit of its score. Several fields of a line are separated by \" ||| \".");
  c.options(*s);
  c.preset_options<TranslateOptions>(
      "Translating (defaults: those of the model's directory, or these)");
  c.positional("file", s->input, "Text to translate; default: stdin");
  program.add_json(c, "One JSON object a translation");
  program.add_threads(c);
  c.action([s, &c, &program] { translate(*s, c, program); });
}

}  // namespace qkv::app
