// qkv perplexity: how well a language model predicts a text.

#include "app/command.h"
#include "app/output.h"
#include <nlohmann/json.hpp>

#include "qkv/train/language.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model;
  std::vector<std::string> files = {"-"};
  ScoreOptions options;
  bool tokens = false;
};

void print_total(const TextScore& score, bool json) {
  if (json) {
    const nlohmann::json object = {{"tokens", score.tokens},
                                   {"nll", score.nll},
                                   {"loss", score.loss()},
                                   {"perplexity", score.perplexity()},
                                   {"bits_per_character", score.bits_per_character()},
                                   {"characters", score.characters},
                                   {"words", score.words},
                                   {"word_perplexity", score.word_perplexity()}};
    print_output("{}\n", object.dump());
    return;
  }
  print_output(
      "tokens {}  loss {:.4f}  perplexity {:.3f}  bits a character {:.4f}  word perplexity "
      "{:.2f}\n",
      score.tokens, score.loss(), score.perplexity(), score.bits_per_character(),
      score.word_perplexity());
}

void perplexity(const Settings& s, Program& program) {
  apply_threads(program);
  const LanguageModel model = load_language_model(s.model);
  const std::vector<std::string> lines = read_text(s.files);
  const TextStream stream = make_stream(lines, model.encoder(), model.format());
  program.console.line(stream.summary());
  if (!s.tokens) return print_total(score_text(model, stream, s.options), program.json);
  const TextScore total =
      score_tokens(model, stream, s.options, [&](std::int64_t at, float log_probability) {
        const std::int32_t id = stream.ids[static_cast<std::size_t>(at)];
        const std::string& piece = model.tokeniser.piece(id);
        if (program.json) {
          const nlohmann::json object = {{"token", piece}, {"log_probability", log_probability}};
          print_output("{}\n", object.dump());
        } else {
          print_output("{}\t{:.6f}\n", piece == "\n" ? "\\n" : piece, log_probability);
        }
      });
  print_total(total, program.json);
}

}  // namespace

void add_perplexity(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c =
      program.cli.add_subcommand("perplexity", "Say how well a language model predicts a text");
  c->footer(
      "Every token counts, ends of lines too. The text is read in windows; a token sees what "
      "stands "
      "before\nit in its window, so a stride below the context gives every token more of it.");
  c->add_option("--model", s->model, "Model directory")->required();
  c->add_option("file", s->files, "Text, plain or gzipped; default: stdin");
  c->add_option("--context", s->options.context, "Tokens of a window (0: as in training)")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--stride", s->options.stride, "Tokens between windows (0: as the window is long)")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--batch-tokens", s->options.batch_tokens, "Tokens of a batch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--tokens", s->tokens, "First a line for each token: token TAB log p");
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([s, &program] { perplexity(*s, program); });
}

}  // namespace qkv::app
