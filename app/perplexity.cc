// qkv perplexity: how well a language model predicts a text.
#include "app/command.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/data/text_stream.h"
#include "qkv/systems/generator.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model;
  std::vector<std::string> files = {"-"};
  ScoreOptions options;
  bool tokens = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory", .required = true}, s.model);
    ScoreOptions::each(s.options, visit);
    visit({"tokens", "First a line for each token: token TAB log p"}, s.tokens);
  }
};

std::string total(const TextScore& score, bool json) {
  if (json) {
    return nlohmann::json{{"tokens", score.tokens},
                          {"nll", score.nll},
                          {"loss", score.loss()},
                          {"perplexity", score.perplexity()},
                          {"bits_per_character", score.bits_per_character()},
                          {"characters", score.characters},
                          {"words", score.words},
                          {"word_perplexity", score.word_perplexity()}}
               .dump() +
           "\n";
  }
  return fmt::format(
      "tokens {}  loss {:.4f}  perplexity {:.3f}  bits a character {:.4f}  word perplexity "
      "{:.2f}\n",
      score.tokens, score.loss(), score.perplexity(), score.bits_per_character(),
      score.word_perplexity());
}

void perplexity(const Settings& s, Program& program) {
  const Generator generator = Generator::load(s.model);
  Generator::TokenSink sink;
  if (s.tokens) {
    sink = [&](std::string_view token, float log_probability) {
      if (program.json) {
        write_output(nlohmann::json{{"token", token}, {"log_probability", log_probability}}.dump() +
                     "\n");
      } else {
        print_output("{}\t{:.6f}\n", token == "\n" ? "\\n" : token, log_probability);
      }
    };
  }
  std::string about;
  const TextScore score = generator.score(read_text(s.files), s.options, sink, &about);
  program.console.line(about);
  write_output(total(score, program.json));
}

}  // namespace

void add_perplexity(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("perplexity", "Say how well a language model predicts a text");
  c.footer(
      "Every token counts, ends of lines too. The text is read in windows; a token sees what "
      "stands "
      "before\nit in its window, so a stride below the context gives every token more of it.");
  c.options(*s);
  c.positional("file", s->files, "Text, plain or gzipped; default: stdin");
  program.add_json(c, "Print JSON");
  program.add_threads(c);
  c.action([s, &program] { perplexity(*s, program); });
}

}  // namespace qkv::app
