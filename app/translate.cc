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
  bool scores = false, alignment = false, attention = false, coverage = false;
  bool sentences = false, document = false;
  TranslateOptions options;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory", .required = true}, s.model);
    visit({"scores", "Append the score"}, s.scores);
    visit({"alignment", "Append the alignment of tokens as Pharaoh pairs source-target"},
          s.alignment);
    visit({"attention", "With --json: the attention of every token"}, s.attention);
    visit({"coverage", "Append how much each source token (and its end) was looked at in all"},
          s.coverage);
    visit({"force", "Score the targets in this file instead of searching"}, s.force);
    visit({"sentences", "Lines hold several sentences: each is translated by itself"}, s.sentences);
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
  const bool many = s.options.n_best > 1;
  std::string line = many ? fmt::format("{} ||| {}", index, c.text) : c.text;
  if (s.alignment) line += " ||| " + c.alignment();
  if (s.coverage) line += fmt::format(" ||| {:.4f}", fmt::join(c.coverage(), " "));
  if (s.scores || many) line += fmt::format(" ||| {:.6f}", c.score);
  write_output(line + "\n");
}

void force(const Settings& s, const Translator& translator, LineReader& reader, Program& program) {
  LineReader other(s.force);
  std::vector<std::string> sources, targets;
  for (std::string line; reader.next(line);) sources.push_back(line);
  for (std::string line; other.next(line);) targets.push_back(line);
  if (sources.size() != targets.size()) {
    fail("{} and {} have different numbers of lines, {} and {}", reader.name(), other.name(),
         sources.size(), targets.size());
  }
  const auto scored = translator.score(sources, targets, s.options, program.console.progress());
  for (std::size_t i = 0; i < scored.size(); ++i) {
    write(s, program.json, static_cast<std::int64_t>(i), scored[i]);
  }
}

void translate_text(const Settings& s, const Translator& translator, LineReader& reader,
                    Program& program) {
  if (program.json || s.scores || s.alignment || s.coverage || s.options.n_best > 1) {
    throw UsageError(
        "--sentences and --document write text alone: leave out --json, --scores, --alignment, "
        "--coverage and --n-best");
  }
  DocumentReport report;
  const auto say_cut = [&] {
    if (report.cut == 0) return;
    program.console.line(
        fmt::format("qkv: {}: the ends of {} of {} sentences were not translated: "
                    "the model holds {} tokens",
                    reader.name(), report.cut, report.sentences, translator.max_source()));
  };
  if (s.document) {
    std::string text;
    bool first = true;
    for (std::string line; reader.next(line); first = false) text += (first ? "" : "\n") + line;
    write_output(
        translate_document(translator, text, s.options, program.console.progress(), &report) +
        (first ? "" : "\n"));
    return say_cut();
  }
  by_lines(reader, 2048, [&](const std::vector<std::string>& lines, std::int64_t) {
    for (const std::string& line :
         translate_lines(translator, lines, s.options, program.console.progress(), &report)) {
      write_output(line + "\n");
    }
  });
  say_cut();
}

void translate(Settings& s, Command& command, Program& program) {
  command.lay_over(s.options);  // what is wrong in itself, before the model is read
  const Translator translator = Translator::load(s.model);
  for (const std::string& note : translator.info().notes) program.console.line("qkv: " + note);
  s.options = translator.defaults();
  command.lay_over(s.options);
  s.options.attention = s.alignment || s.attention || s.coverage;
  LineReader reader(s.input);
  if (!s.force.empty()) return force(s, translator, reader, program);
  if (s.sentences || s.document) return translate_text(s, translator, reader, program);
  const auto sink = [&](std::int64_t index, const Translation& t) {
    if (t.cut > 0) {
      program.console.line(
          fmt::format("qkv: {}:{}: {} tokens beyond the model's {} were not translated",
                      reader.name(), index + 1, t.cut, translator.max_source()));
    }
    for (const TranslationCandidate& c : t.best) write(s, program.json, index, c);
    flush_output();
  };
  translator.translate(source_of(reader), s.options, sink, program.console.progress());
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
