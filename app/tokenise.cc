// qkv tokenise: lines to the tokens of a model, whose directory may be another program's.
#include <charconv>
#include <filesystem>
#include <optional>

#include "app/command.h"
#include "app/lines.h"
#include "app/output.h"
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"
#include "qkv/io/json.h"
#include "qkv/text/token_pipeline.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model;
  bool ids = false, pieces = false, offsets = false, decode = false;
  bool bare = false, target = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Directory with the tokeniser of a model", .required = true},
          s.model);
    visit({"ids", "Numbers of the tokens; the default"}, s.ids);
    visit({"pieces", "Their texts"}, s.pieces);
    visit({"offsets", "The bytes of the line that each stands for, first-end"}, s.offsets);
    visit({"decode", "Lines are numbers, and become text"}, s.decode);
    visit(
        {"bare", "Without the tokens that are put around a text; with --decode, keep special ones"},
        s.bare);
    visit({"target", "Of a translator with a tokeniser for each side: the target's"}, s.target);
  }
};

void append(std::string& line, std::string_view word) {
  if (!line.empty()) line += ' ';
  line += word;
}

std::string plain(const TokenEncoding& e, const Settings& s) {
  std::string line;
  for (std::size_t i = 0; i < e.ids.size(); ++i) {
    std::string word;
    if (s.ids || (!s.pieces && !s.offsets)) word += fmt::format("{}", e.ids[i]);
    if (s.pieces) word += (word.empty() ? "" : "/") + e.pieces[i];
    if (s.offsets) {
      word += fmt::format("{}{}-{}", word.empty() ? "" : "/", e.spans[i].begin, e.spans[i].end);
    }
    append(line, word);
  }
  return line;
}

std::string as_json(const TokenEncoding& e) {
  Json offsets = Json::array();
  for (const TextSpan& span : e.spans) offsets.push_back({span.begin, span.end});
  return Json{{"ids", e.ids},
              {"pieces", e.pieces},
              {"offsets", offsets},
              {"types", e.types},
              {"special", e.special}}
      .dump();
}

std::vector<std::int32_t> ids_of(const std::string& line, const LineReader& reader,
                                 std::int64_t number) {
  std::vector<std::int32_t> ids;
  for (const std::string_view word : split_blanks(line)) {
    std::int32_t id = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, id);
    if (error != std::errc() || stop != end) {
      throw DataError(reader.name(), number, fmt::format("'{}' is no number of a token", word));
    }
    ids.push_back(id);
  }
  return ids;
}

void tokenise(const Settings& s, Program& program) {
  if (s.decode && (s.ids || s.pieces || s.offsets)) {
    throw UsageError("--decode: goes without --ids, --pieces and --offsets");
  }
  const TokenPipeline pipeline =
      read_token_pipeline(s.model, s.target ? TextSide::target : TextSide::source);
  const bool only_ids = !program.json && !s.pieces && !s.offsets && !s.decode;
  LineReader reader("-");
  by_lines(reader, 4096, [&](const std::vector<std::string>& lines, std::int64_t number) {
    if (only_ids) {
      for (const std::vector<std::int32_t>& ids : pipeline.ids(lines, !s.bare)) {
        write_output(fmt::format("{}\n", fmt::join(ids, " ")));
      }
      return;
    }
    for (const std::string& line : lines) {
      std::string answer;
      if (s.decode) {
        const std::string text = pipeline.decode(ids_of(line, reader, number), !s.bare);
        answer = program.json ? Json{{"text", text}}.dump() : text;
      } else {
        const TokenEncoding e = pipeline.encode(line, !s.bare);
        answer = program.json ? as_json(e) : plain(e, s);
      }
      write_output(answer + "\n");
      ++number;
    }
  });
}

}  // namespace

void add_tokenise(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c =
      program.command("tokenise", "Text to the tokens of another program's model, and back");
  c.footer(
      "Reads lines from stdin and answers each with a line. The directory holds a tokenizer.json, "
      "or\n"
      "vocab.txt (BERT), vocab.json and merges.txt (GPT-2, RoBERTa), sentencepiece.bpe.model\n"
      "(XLM-R), tokenizer.model (Llama) or source.spm, target.spm and vocab.json (Marian).");
  c.options(*s);
  program.add_json(c, "One JSON object a line");
  program.add_threads(c);
  c.action([s, &program] { tokenise(*s, program); });
}

}  // namespace qkv::app
