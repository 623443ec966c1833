// qkv fill and qkv embed: what a BERT makes of text, line by line and in order.

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/data/lines.h"
#include "qkv/systems/bert_model.h"

namespace qkv::app {
namespace {

using Json = nlohmann::json;

struct Settings {
  std::string model, input = "-", pooling;
  int top = 5;
  bool normalise = false, no_normalise = false;
  std::int64_t batch_sentences = 64;
};

/// f(lines, number of the first) for the input's lines, as many at once as are there.
template <class F>
void by_lines(const Settings& s, F&& f) {
  LineReader reader(s.input);
  std::int64_t number = 1;
  for (bool more = true; more;) {
    std::vector<std::string> lines;
    std::string line;
    while (static_cast<std::int64_t>(lines.size()) < s.batch_sentences &&
           (lines.empty() || reader.ready())) {
      more = reader.next(line);
      if (!more) break;
      lines.push_back(line);
    }
    if (lines.empty()) break;
    f(lines, number);
    number += static_cast<std::int64_t>(lines.size());
    flush_output();
  }
}

/// The line with each [MASK] replaced by its likeliest piece.
std::string filled_text(const BertModel& model, const BertRows& rows,
                        const std::vector<std::vector<BertCandidate>>& masks) {
  std::vector<std::int32_t> ids = rows.ids;
  std::size_t n = 0;
  for (std::int32_t& id : ids) {
    if (id == model.pieces.mask()) id = masks[n++].front().id;
  }
  return model.pieces.decode(ids);
}

/// The model, and on stderr what its directory holds that was passed over.
BertModel load(const Settings& s, Console& console) {
  BertModel model = load_bert_model(s.model);
  for (const std::string& note : model.notes) console.line("qkv: " + note);
  return model;
}

void fill(const Settings& s, Program& program) {
  apply_threads(program);
  const BertModel model = load(s, program.console);
  by_lines(s, [&](const std::vector<std::string>& lines, std::int64_t number) {
    for (const std::string& line : lines) {
      const BertRows rows = rows_of(model, std::span(&line, 1), true);
      const auto masks = fill_masks(model, rows, s.top);
      const std::string text = masks.empty() ? line : filled_text(model, rows, masks);
      if (masks.empty() && !line.empty()) {
        program.console.line(fmt::format("qkv: line {}: no [MASK] within the model's {} tokens",
                                         number, model.room()));
      }
      Json json = {{"line", number++}, {"text", text}, {"masks", Json::array()}};
      std::string table = text + "\n";
      for (const auto& candidates : masks) {
        Json list = Json::array();
        for (const BertCandidate& c : candidates) {
          const std::string& piece = model.pieces.piece(c.id);
          list.push_back({{"piece", piece}, {"id", c.id}, {"probability", c.probability}});
          table += fmt::format("  {:.4f}  {}\n", c.probability, piece);
        }
        if (&candidates != &masks.back()) table += "\n";
        json["masks"].push_back(std::move(list));
      }
      write_output(program.json ? json.dump() + "\n" : table);
    }
  });
}

void embed(const Settings& s, Program& program) {
  apply_threads(program);
  EmbedOptions options;
  if (s.pooling == "mean") options.pooling = TextVector::mean;
  if (s.pooling == "cls") options.pooling = TextVector::cls;
  if (s.pooling == "pooled") options.pooling = TextVector::pooled;
  if (s.normalise || s.no_normalise) options.normalise = s.normalise;
  const BertModel model = load(s, program.console);
  by_lines(s, [&](const std::vector<std::string>& lines, std::int64_t number) {
    const Tensor vectors = embed_texts(model, lines, options);
    const std::int64_t width = vectors.dim(1);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const float* row = vectors.data() + static_cast<std::int64_t>(i) * width;
      Json list = Json::array();
      std::string text;
      for (std::int64_t c = 0; c < width; ++c) {
        if (program.json) {
          list.push_back(row[c]);
        } else {
          text += fmt::format("{}{:.7g}", c > 0 ? "\t" : "", row[c]);
        }
      }
      const auto line = number + static_cast<std::int64_t>(i);
      write_output(program.json ? Json{{"line", line}, {"vector", std::move(list)}}.dump() + "\n"
                                : text + "\n");
    }
  });
}

void add_common(CLI::App& c, Settings& s, Program& program) {
  c.add_option("--model", s.model, "Model directory, ours or Hugging Face's")->required();
  c.add_option("file", s.input, "Text, a line each; default: stdin");
  c.add_flag("--json", program.json, "One JSON object a line");
  add_threads(c, program);
}

}  // namespace

void add_fill(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand("fill", "Find the words behind [MASK] with a BERT");
  c->footer(
      "  echo 'the cat sat on the [MASK] .' | qkv fill --model M\n"
      "Each line comes back with the likeliest pieces, below it the candidates of each [MASK]. A\n"
      "line does not depend on its neighbours.");
  c->add_option("--top", s->top, "Candidates of each [MASK]")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_common(*c, *s, program);
  c->callback([s, &program] { fill(*s, program); });
}

void add_embed(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand("embed", "Turn lines of text into vectors with a BERT");
  c->footer("A vector a line, numbers between tabs. A line does not depend on its neighbours.");
  c->add_option("--pooling", s->pooling,
                "mean (of all states), cls (the state of [CLS]) or pooled (through the pooler); "
                "default: as the model's directory says, else mean")
      ->check(CLI::IsMember({"mean", "cls", "pooled"}));
  CLI::Option* normalise = c->add_flag(
      "--normalise", s->normalise,
      "Vectors of length 1: products are cosines; default: as the model's directory says");
  c->add_flag("--no-normalise", s->no_normalise, "Vectors as they are")->excludes(normalise);
  c->add_option("--batch-sentences", s->batch_sentences, "Lines a batch, at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_common(*c, *s, program);
  c->callback([s, &program] { embed(*s, program); });
}

}  // namespace qkv::app
