// qkv similar: the words whose vectors are nearest to a word's, or to a sum and difference of some.
#include <algorithm>

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"
#include "qkv/io/json.h"
#include "qkv/train/vectors.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model;
  std::vector<std::string> words;
  std::int64_t top = 10;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory of qkv train vectors", .required = true},
          s.model);
    visit({"top", "Words to show", at_least(1)}, s.top);
  }
};

struct Part {
  std::string word;
  double sign = 1;
};

/// A sign counts as one where a word stands behind it and no sign before it; else it is a word:
/// "-", "king - -".
std::vector<Part> parts_of(const std::vector<std::string>& words) {
  std::vector<Part> parts;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool sign = (words[i] == "-" || words[i] == "+") && i + 1 < words.size();
    if (sign) ++i;
    parts.push_back({words[i], sign && words[i - 1] == "-" ? -1.0 : 1.0});
  }
  return parts;
}

/// What was asked and the nearest words, or why there are none.
struct Answer {
  std::vector<std::pair<std::int32_t, double>> nearest;  // row and cosine
  std::string reason;
};

Answer answer(const Settings& s, const VectorModel& model, const std::vector<std::string>& words) {
  std::vector<double> query(static_cast<std::size_t>(model.vectors.config.width));
  std::vector<std::int32_t> rows;
  for (const Part& part : parts_of(words)) {
    const std::int32_t row = model.row(part.word);
    if (row < 0) {
      return {{},
              fmt::format("'{}' has no vector: it does not occur in the training text, or too "
                          "rarely",
                          part.word)};
    }
    const std::vector<double> unit = unit_row(model.vectors.input, row);
    for (std::size_t i = 0; i < query.size(); ++i) query[i] += part.sign * unit[i];
    rows.push_back(row);
  }
  if (rows.empty()) return {{}, "no word to look for; give some, e.g. king - man + woman"};
  if (std::all_of(query.begin(), query.end(), [](double x) { return x == 0; })) {
    return {{}, "the words cancel each other out: nothing is near to nothing"};
  }
  return {nearest_rows(model.vectors.input, query, s.top, rows), ""};
}

void print(const VectorModel& model, const std::vector<std::string>& words, const Answer& found,
           bool json) {
  std::string text;
  if (json) {
    Json object = {{"query", words}, {"nearest", Json::array()}};
    for (const auto& [row, cosine] : found.nearest) {
      object["nearest"].push_back({{"word", model.word(row)}, {"cosine", cosine}});
    }
    if (!found.reason.empty()) object["nearest"] = nullptr;
    text = object.dump() + "\n";
  } else {
    for (const auto& [row, cosine] : found.nearest) {
      text += fmt::format("{}\t{:.4f}\n", model.word(row), cosine);
    }
  }
  write_output(text);
  flush_output();
}

void similar(const Settings& s, Program& program) {
  const VectorModel model = load_vector_model(s.model);
  if (!s.words.empty()) {
    const Answer found = answer(s, model, s.words);
    if (!found.reason.empty()) fail("{}", found.reason);
    return print(model, s.words, found, program.json);
  }
  LineReader reader("-");
  for (std::string line; reader.next(line);) {
    const auto parts = split_columns(line);
    const std::vector<std::string> words(parts.begin(), parts.end());
    const Answer found = answer(s, model, words);
    if (!found.reason.empty() && !words.empty()) {
      notice(fmt::format("{}:{}: {}", reader.name(), reader.line_number(), found.reason));
    }
    print(model, words, found, program.json);
    if (!program.json) write_output("\n");  // what ends an answer, an empty one too
    flush_output();
  }
}

}  // namespace

void add_similar(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command(
      "similar", "Words near to a word, or to king - man + woman, by cosine of their vectors");
  c.footer(
      "A word a line with its cosine; the words asked about are left out. From stdin an answer "
      "for\n"
      "each line, with a blank line behind it; a word without a vector gives an empty one (null "
      "in\n"
      "JSON).");
  c.options(*s);
  c.positional("words", s->words, "A word, or words with + and - between; default: lines of stdin");
  program.add_json(c, "One JSON object a query");
  c.action([s, &program] { similar(*s, program); });
}

}  // namespace qkv::app
