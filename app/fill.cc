// qkv fill and qkv embed: what a BERT makes of text, line by line and in order.
#include <optional>
#include <utility>

#include "app/command.h"
#include "app/lines.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/systems/encoder.h"
#include "qkv/systems/nearest_texts.h"
#include "qkv/systems/pair_scores.h"

namespace qkv::app {
namespace {

using Json = nlohmann::json;

struct Fill {
  std::string model, input = "-";
  int top = 5;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory, ours or Hugging Face's", .required = true},
          s.model);
    visit({"top", "Candidates of each [MASK]", between(1, 1e6)}, s.top);
  }
};

struct Embed {
  std::string model, input = "-", similar, evaluate;
  std::int64_t top = 10;
  std::optional<Similarity> by;
  EmbedOptions options;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory, ours or Hugging Face's", .required = true},
          s.model);
    EmbedOptions::each(s.options, visit);
    visit({"similar", "In place of vectors the nearest lines of this file"}, s.similar);
    visit({"top", "With --similar: lines to show", between(1, 1e9)}, s.top);
    visit({"by", "With --similar: what is compared; default: as the directory says, else cosine"},
          s.by);
    visit({"evaluate",
           "Pairs (text TAB text, perhaps TAB a negative or a score): print how well vectors tell "
           "which belong together"},
          s.evaluate);
  }
};

/// What the directory holds that was passed over, on stderr.
template <class System>
System loaded(const std::string& directory, Program& program) {
  System system = System::load(directory);
  for (const std::string& note : system.info().notes) program.console.line("qkv: " + note);
  return system;
}

template <class System>
void say_cut(const System& system, const LineReader& reader, std::int64_t line,
             const std::string& text, Program& program) {
  const std::int64_t cut = system.cut(text);
  if (cut > 0) {
    program.console.line(cut_note(reader, line, cut, "pieces", system.max_pieces()));
  }
}

void fill(const Fill& s, Program& program) {
  const auto model = loaded<MaskedModel>(s.model, program);
  LineReader reader(s.input);
  by_lines(reader, 64, [&](const std::vector<std::string>& lines, std::int64_t number) {
    for (const std::string& line : lines) {
      const FilledText filled = model.fill(line, s.top);
      say_cut(model, reader, number, line, program);
      if (filled.masks.empty() && !line.empty()) {
        program.console.line(fmt::format("qkv: {}:{}: no [MASK] within the model's {} pieces",
                                         reader.name(), number, model.max_pieces()));
      }
      Json json = {{"line", number++}, {"text", filled.text}, {"masks", Json::array()}};
      std::string table = filled.text + "\n";
      for (const auto& candidates : filled.masks) {
        Json list = Json::array();
        for (const MaskCandidate& c : candidates) {
          list.push_back({{"piece", c.piece}, {"id", c.id}, {"probability", c.probability}});
          table += fmt::format("  {:.4f}  {}\n", c.probability, c.piece);
        }
        if (&candidates != &filled.masks.back()) table += "\n";
        json["masks"].push_back(std::move(list));
      }
      write_output(program.json ? json.dump() + "\n" : table);
    }
  });
}

/// The nearest lines of a file for each line.
void similar(const Embed& s, const Encoder& encoder, Program& program) {
  std::vector<std::string> lines;
  LineReader collection(s.similar);
  for (std::string line; collection.next(line);) {
    say_cut(encoder, collection, collection.line_number(), line, program);
    lines.push_back(line);
  }
  if (lines.empty()) throw DataError(s.similar, 0, "holds no line to compare with");
  const NearestTexts index(encoder, std::move(lines),
                           {.top = s.top, .embed = s.options, .similarity = s.by});
  LineReader reader(s.input);
  by_lines(reader, s.options.batch_sentences,
           [&](const std::vector<std::string>& queries, std::int64_t number) {
             const auto found = index.nearest(queries);
             for (std::size_t i = 0; i < queries.size(); ++i, ++number) {
               say_cut(encoder, reader, number, queries[i], program);
               Json json = {{"line", number}, {"query", queries[i]}, {"nearest", Json::array()}};
               std::string table;
               for (const NearText& near : found[i]) {
                 const std::string& text = index.text(near.index);
                 json["nearest"].push_back(
                     {{"line", near.index + 1}, {"score", near.score}, {"text", text}});
                 table += fmt::format("{:.6f}\t{}\t{}\n", near.score, near.index + 1, text);
               }
               write_output(program.json ? json.dump() + "\n" : table + "\n");
             }
           });
}

void embed(const Embed& s, Program& program) {
  const auto encoder = loaded<Encoder>(s.model, program);
  if (!s.evaluate.empty()) {
    const PairScores scores =
        score_pairs(encoder.model(), read_sentence_pairs(s.evaluate), s.options);
    return write_output(program.json ? scores.json() + "\n" : scores.text());
  }
  if (!s.similar.empty()) return similar(s, encoder, program);
  LineReader reader(s.input);
  by_lines(reader, s.options.batch_sentences,
           [&](const std::vector<std::string>& lines, std::int64_t number) {
             const Tensor vectors = encoder.embed(lines, s.options);
             for (std::size_t i = 0; i < lines.size(); ++i) {
               say_cut(encoder, reader, number + static_cast<std::int64_t>(i), lines[i], program);
             }
             for (std::int64_t i = 0; i < vectors.dim(0); ++i, ++number) {
               const Tensor row = vectors.rows(i, i + 1);
               const auto numbers = row.values();
               write_output(
                   program.json
                       ? Json{{"line", number},
                              {"vector", std::vector<float>(numbers.begin(), numbers.end())}}
                                 .dump() +
                             "\n"
                       : fmt::format("{:.7g}\n", fmt::join(numbers.begin(), numbers.end(), "\t")));
             }
           });
}

}  // namespace

void add_fill(Program& program) {
  auto s = std::make_shared<Fill>();
  Command& c = program.command("fill", "Find the words behind [MASK] with a BERT");
  c.footer(
      "  echo 'the cat sat on the [MASK] .' | qkv fill --model M\n"
      "Each line comes back with the likeliest pieces, below it the candidates of each [MASK]. A\n"
      "line does not depend on its neighbours.");
  c.options(*s);
  c.positional("file", s->input, "Text, a line each; default: stdin");
  program.add_json(c, "One JSON object a line");
  program.add_threads(c);
  c.action([s, &program] { fill(*s, program); });
}

void add_embed(Program& program) {
  auto s = std::make_shared<Embed>();
  Command& c = program.command("embed", "Turn lines of text into vectors with a BERT");
  c.footer(
      "A vector a line, numbers between tabs. A line does not depend on its neighbours.\n"
      "  qkv embed --model M --similar collection.txt --top 5 questions.txt\n"
      "Score TAB line TAB text of the nearest lines, a blank line behind each answer.");
  c.options(*s);
  c.positional("file", s->input, "Text, a line each; default: stdin");
  program.add_json(c, "One JSON object a line");
  program.add_threads(c);
  c.action([s, &c, &program] {
    for (const char* flag : {"top", "by"}) {
      if (!s->similar.empty() || !c.given(flag)) continue;
      throw UsageError(std::string("--") + flag + " is for --similar");
    }
    if (!s->similar.empty() && !s->evaluate.empty()) {
      throw UsageError("--similar and --evaluate: give one of them");
    }
    embed(*s, program);
  });
}

}  // namespace qkv::app
