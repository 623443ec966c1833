// qkv similar: the words whose vectors are nearest to a word's, or to a sum and difference of some.

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/data/labelled.h"
#include "qkv/data/lines.h"
#include "qkv/io/json.h"
#include "qkv/train/vectors.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model;
  std::vector<std::string> words;
  std::int64_t top = 10;
};

/// Σ ± unit vectors, as "king - man + woman" says; which words stand in it goes to `rows`.
std::vector<double> query_of(const VectorModel& model, const std::vector<std::string>& parts,
                             std::vector<std::int32_t>& rows) {
  std::vector<double> query(static_cast<std::size_t>(model.vectors.config.width));
  double sign = 1;
  for (const std::string& part : parts) {
    if (part == "-" || part == "+") {
      sign = part == "-" ? -1 : 1;
      continue;
    }
    const std::int32_t row = model.row(part);
    if (row < 0) {
      fail("'{}' has no vector: it does not occur in the training text, or too rarely", part);
    }
    const std::vector<double> unit = unit_row(model.vectors.input, row);
    for (std::size_t i = 0; i < query.size(); ++i) query[i] += sign * unit[i];
    rows.push_back(row);
    sign = 1;
  }
  if (rows.empty()) fail("no word to look for; give some, e.g. king - man + woman");
  return query;
}

void answer(const Settings& s, const VectorModel& model, const std::vector<std::string>& parts,
            bool json) {
  std::vector<std::int32_t> rows;
  const std::vector<double> query = query_of(model, parts, rows);
  std::string text;
  Json object = {{"query", parts}, {"nearest", Json::array()}};
  for (const auto& [row, cosine] : nearest_rows(model.vectors.input, query, s.top, rows)) {
    text += fmt::format("{}\t{:.4f}\n", model.word(row), cosine);
    object["nearest"].push_back({{"word", model.word(row)}, {"cosine", cosine}});
  }
  if (json) text = object.dump() + "\n";
  write_output(text);
  flush_output();
}

void similar(const Settings& s, Program& program) {
  const VectorModel model = load_vector_model(s.model);
  if (!s.words.empty()) return answer(s, model, s.words, program.json);
  LineReader reader("-");
  for (std::string line; reader.next(line);) {
    const std::vector<std::string> parts = split_columns(line);
    if (!parts.empty()) answer(s, model, parts, program.json);
    if (!program.json) write_output("\n");
  }
}

}  // namespace

void add_similar(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand(
      "similar", "Words near to a word, or to king - man + woman, by cosine of their vectors");
  c->footer("A word a line with its cosine; the words asked about are left out.");
  c->add_option("--model", s->model, "Model directory of qkv train vectors")->required();
  c->add_option("words", s->words,
                "A word, or words with + and - between; default: lines of stdin");
  c->add_option("--top", s->top, "Words to show")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "One JSON object a query");
  c->callback([s, &program] { similar(*s, program); });
}

}  // namespace qkv::app
