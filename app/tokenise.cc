// qkv tokenise: lines to the tokens of a model, whose directory may be another program's.
#include <charconv>
#include <filesystem>
#include <optional>
#include <span>

#include "app/command.h"
#include "app/lines.h"
#include "app/output.h"
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/base/utf8.h"
#include "qkv/io/json.h"
#include "qkv/systems/import/packaged_translator.h"
#include "qkv/text/token_pipeline.h"
#include "qkv/text/tokeniser.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model;
  bool ids = false, pieces = false, offsets = false, decode = false;
  bool bare = false, target = false, quoted = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model",
           .help = "Directory with the tokeniser of a model, or an .argosmodel",
           .required = true},
          s.model);
    visit({"ids", "Numbers of the tokens; the default"}, s.ids);
    visit({"pieces", "Their texts"}, s.pieces);
    visit({"offsets", "The bytes of the line that each stands for, first-end"}, s.offsets);
    visit({"decode", "Lines are numbers, and become text"}, s.decode);
    visit(
        {"bare", "Without the tokens that are put around a text; with --decode, keep special ones"},
        s.bare);
    visit(
        {"quoted", "Lines are JSON: a text as a string, or a list of two, which are cut as a pair"},
        s.quoted);
    visit({"target", "Of a translator with a tokeniser for each side: the target's"}, s.target);
  }
};

/// Numbers with spaces between.
std::string plain(std::span<const std::int32_t> ids) {
  std::string line;
  for (const std::int32_t id : ids) {
    if (!line.empty()) line += ' ';
    line += fmt::format_int(id).c_str();
  }
  return line;
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
    line += (i > 0 ? " " : "") + word;
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

/// The stem of our own tokeniser in the directory; empty when there is none.
std::string own_stem(const Settings& s) {
  std::vector<std::string> stems;
  constexpr std::string_view kEnd = ".tokeniser.json";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(s.model, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(kEnd)) stems.push_back(name.substr(0, name.size() - kEnd.size()));
  }
  if (stems.size() < 2) return stems.empty() ? "" : stems[0];
  return s.target ? "target" : "source";
}

void tokenise_own(const Settings& s, const std::string& stem, Program& program) {
  if (s.offsets) throw UsageError("--offsets: the tokenisers of qkv train do not keep them");
  if (s.quoted) throw UsageError("--quoted: the tokenisers of qkv train read plain lines");
  const Tokeniser tokeniser = Tokeniser::load(s.model, stem);
  LineReader reader("-");
  by_lines(reader, 64, [&](const std::vector<std::string>& lines, std::int64_t number) {
    for (const std::string& line : lines) {
      std::string answer;
      if (s.decode) {
        const std::string text = tokeniser.decode(ids_of(line, reader, number++));
        answer = program.json ? Json{{"text", text}}.dump() : text;
      } else {
        TokenEncoding e = {.ids = tokeniser.encode(line), .pieces = tokeniser.pieces(line)};
        e.spans.resize(e.ids.size());
        answer = program.json ? Json{{"ids", e.ids}, {"pieces", e.pieces}}.dump() : plain(e, s);
      }
      write_output(answer + "\n");
    }
  });
}

/// A line of --quoted: a text or a pair.
TokenEncoding encode_quoted(const TokenPipeline& pipeline, const std::string& line, bool special,
                            const LineReader& reader, std::int64_t number) {
  const Json json = parse_json(line, reader.name(), number);
  if (json.is_string()) return pipeline.encode(json.get_ref<const std::string&>(), special);
  if (!json.is_array() || json.size() != 2 || !json[0].is_string() || !json[1].is_string()) {
    throw DataError(reader.name(), number, "is neither a text in quotes nor a list of two");
  }
  return pipeline.encode(json[0].get_ref<const std::string&>(),
                         json[1].get_ref<const std::string&>(), special);
}

void decode_lines(const TokenPipeline& pipeline, const Settings& s, Program& program) {
  LineReader reader("-");
  by_lines(reader, 4096, [&](const std::vector<std::string>& lines, std::int64_t number) {
    for (const std::string& line : lines) {
      const std::string text = pipeline.decode(ids_of(line, reader, number++), !s.bare);
      write_output((program.json ? Json{{"text", text}}.dump() : text) + "\n");
    }
  });
}

void tokenise(const Settings& s, Program& program) {
  if (s.decode && (s.ids || s.pieces || s.offsets || s.quoted)) {
    throw UsageError("--decode: goes without --ids, --pieces, --offsets and --quoted");
  }
  if (const std::string stem = own_stem(s); !stem.empty()) return tokenise_own(s, stem, program);
  const TextSide side = s.target ? TextSide::target : TextSide::source;
  const auto packaged = read_packaged_tokeniser(ModelFiles(s.model), side);
  const TokenPipeline pipeline = packaged ? *packaged : read_token_pipeline(s.model, side);
  if (s.decode) return decode_lines(pipeline, s, program);
  const bool only_ids = !program.json && !s.pieces && !s.offsets && !s.quoted;
  LineReader reader("-");
  const auto answer = [&](const std::string& line, std::int64_t number) {
    if (only_ids) return plain(pipeline.ids(line, !s.bare));
    const TokenEncoding e = s.quoted ? encode_quoted(pipeline, line, !s.bare, reader, number)
                                     : pipeline.encode(line, !s.bare);
    return program.json ? as_json(e) : plain(e, s);
  };
  constexpr std::int64_t kLines = 8192, kGrain = 64;
  std::vector<std::string> answers;
  by_lines(reader, kLines, [&](const std::vector<std::string>& lines, std::int64_t number) {
    answers.resize(lines.size());
    const auto count = static_cast<std::int64_t>(lines.size());
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<std::size_t>(i);
        answers[at] = answer(lines[at], number + i) + "\n";
      }
    });
    for (const std::string& line : answers) write_output(line);
  });
}

}  // namespace

void add_tokenise(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c =
      program.command("tokenise", "Text to the tokens of a model, another program's too, and back");
  c.footer(
      "Reads lines from stdin and answers each with a line. The directory holds a tokenizer.json, "
      "or\n"
      "vocab.txt (BERT), vocab.json and merges.txt (GPT-2, RoBERTa), sentencepiece.bpe.model\n"
      "(XLM-R), tokenizer.model (Llama) or source.spm, target.spm and vocab.json (Marian); or it "
      "is one\n"
      "of qkv train, whose tokens have no offsets; or a translator of Argos (an .argosmodel, "
      "too),\n"
      "CTranslate2 or Marian, whose texts are what its network is given but for ends and "
      "languages.");
  c.options(*s);
  program.add_json(c, "One JSON object a line");
  program.add_threads(c);
  c.action([s, &program] { tokenise(*s, program); });
}

}  // namespace qkv::app
