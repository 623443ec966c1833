// qkv similar: the words whose vectors are nearest to a word's, or to a sum and difference of some.
#include <optional>

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"
#include "qkv/io/json.h"
#include "qkv/systems/vectors.h"

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

/// Nothing where no answer could be given.
using Answer = std::optional<std::vector<Neighbour>>;

void print(const std::vector<std::string>& words, const Answer& found, bool json) {
  std::string text;
  if (json) {
    Json object = {{"query", words}, {"nearest", nullptr}};
    if (found) object["nearest"] = Json::array();
    for (const auto& [word, cosine] : found.value_or(std::vector<Neighbour>{})) {
      object["nearest"].push_back({{"word", word}, {"cosine", cosine}});
    }
    text = object.dump() + "\n";
  } else {
    for (const auto& [word, cosine] : found.value_or(std::vector<Neighbour>{})) {
      text += fmt::format("{}\t{:.4f}\n", word, cosine);
    }
  }
  write_output(text);
  flush_output();
}

void similar(const Settings& s, Program& program) {
  const WordVectors vectors = WordVectors::load(s.model);
  if (!s.words.empty()) return print(s.words, vectors.similar(s.words, s.top), program.json);
  LineReader reader("-");
  for (std::string line; reader.next(line);) {
    const auto parts = split_columns(line);
    const std::vector<std::string> words(parts.begin(), parts.end());
    Answer found;
    try {
      found = vectors.similar(words, s.top);
    } catch (const Error& e) {
      if (!words.empty()) {
        notice(fmt::format("{}:{}: {}", reader.name(), reader.line_number(), e.what()));
      }
    }
    print(words, found, program.json);
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
