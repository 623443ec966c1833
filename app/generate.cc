// qkv generate: a language model goes on from a prompt, token by token to stdout.
#include <chrono>

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/data/lines.h"
#include "qkv/decode/sample.h"
#include "qkv/systems/language_model.h"
#include "qkv/text/streaming.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

struct Settings {
  std::string model, prompt;
  bool prompt_given = false;
  GenerateOptions options;
  std::int64_t samples = 1, context = 0;
  bool greedy = false, line = false, echo = false;
};

/// Text appears as it is drawn.
void write_text(const std::string& text) {
  write_output(text);
  flush_output();
}

/// Standard input without its last line end; nothing from a terminal.
std::string prompt_from_stdin() {
  if (::isatty(STDIN_FILENO)) return "";
  std::string prompt;
  bool first = true;
  for (const std::string& line : read_lines("-")) {
    prompt += (first ? "" : "\n") + line;
    first = false;
  }
  return prompt;
}

/// Tokens that no text of the model holds.
std::vector<std::int32_t> never_drawn(const LanguageModel& model) {
  const Tokeniser& t = model.tokeniser;
  std::vector<std::int32_t> ids = {t.pad(), t.unk(), t.bos()};
  if (model.format().line_end != t.eos()) ids.push_back(t.eos());
  return ids;
}

void generate_one(const LanguageModel& model, const std::vector<std::int32_t>& prompt,
                  const GenerateOptions& options, std::int64_t number, const Settings& s,
                  bool json) {
  const std::unique_ptr<StepModel> decoder = model.decoder({.context = s.context});
  StreamingText streaming(model.tokeniser, model.format().line_end);
  // The pieces of the prompt are told already; of what follows each token adds its own.
  std::string before;
  for (std::size_t i = 1; i < prompt.size(); ++i) before += streaming.add(prompt[i]);
  std::string text;
  if (!json && s.echo) write_text(before);
  const Clock::time_point began = Clock::now();
  const std::vector<std::int32_t> ids = generate(*decoder, prompt, options, [&](std::int32_t id) {
    const std::string piece = streaming.add(id);
    text += piece;
    if (!json && !piece.empty()) write_text(piece);
    return true;
  });
  const std::string rest = streaming.finish();
  text += rest;
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  if (json) {
    nlohmann::json pieces = nlohmann::json::array();
    for (const std::int32_t id : ids) pieces.push_back(model.tokeniser.piece(id));
    const nlohmann::json object = {{"sample", number},   {"seed", options.sample.seed},
                                   {"prompt", s.prompt}, {"text", text},
                                   {"tokens", pieces},   {"seconds", seconds}};
    write_text(object.dump() + "\n");
    return;
  }
  write_text(rest + (text.ends_with('\n') ? "" : "\n"));
}

void generate_text(Settings& s, Program& program) {
  apply_threads(program);
  GenerateOptions options = s.options;
  if (s.greedy) options.sample.temperature = 0;
  options.sample.check();
  if (options.max_tokens < 0) fail("--tokens must be 0 or positive");
  const LanguageModel model = load_language_model(s.model);
  if (!s.prompt_given) s.prompt = prompt_from_stdin();
  const std::vector<std::int32_t> prompt = model.prompt(s.prompt);
  options.sample.suppressed = never_drawn(model);
  if (model.by_line || s.line) options.stop = model.format().line_end;
  const std::uint64_t seed = options.sample.seed;
  for (std::int64_t n = 0; n < s.samples; ++n) {
    options.sample.seed = seed + static_cast<std::uint64_t>(n);
    if (n > 0 && !program.json) write_text("\n");
    generate_one(model, prompt, options, n, s, program.json);
  }
}

}  // namespace

void add_generate(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand("generate", "Go on from a prompt with a language model");
  c->footer(
      "Text appears token by token. The same model, prompt, options and seed give the same text on "
      "any\nnumber of threads. Recurrent and linear-attention models take the same time for every "
      "token;\nthe others too with --context.");
  SampleOptions& sample = s->options.sample;
  c->add_option("--model", s->model, "Model directory")->required();
  CLI::Option* prompt = c->add_option("prompt", s->prompt, "What to go on from; default: stdin");
  c->add_option("--tokens", s->options.max_tokens, "Most tokens to write")->capture_default_str();
  c->add_option("--temperature", sample.temperature,
                "Below 1 likelier tokens gain, above 1 they lose; 0: always the likeliest")
      ->capture_default_str();
  c->add_flag("--greedy", s->greedy, "Always the likeliest token");
  c->add_option("--top-k", sample.top_k, "Draw from the k likeliest tokens (0: from all)");
  c->add_option("--top-p", sample.top_p, "Draw from the likeliest tokens that reach this mass")
      ->capture_default_str();
  c->add_option("--repetition-penalty", sample.repetition_penalty,
                "Above 1: tokens that occurred lose")
      ->capture_default_str();
  c->add_option("--repetition-window", sample.repetition_window,
                "How many tokens back that counts (0: all)");
  c->add_option("--seed", sample.seed, "Of the draws")->capture_default_str();
  c->add_option("--samples", s->samples, "Texts to write; text n is drawn with seed + n")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--context", s->context,
                "How many tokens back softmax attention looks, at most (0: all that fits)")
      ->check(CLI::NonNegativeNumber);
  c->add_flag("--line", s->line, "Stop at the end of the line");
  c->add_flag("--echo", s->echo, "Write the prompt first");
  c->add_flag("--json", program.json, "One JSON object a text");
  add_threads(*c, program);
  c->callback([s, prompt, &program] {
    s->prompt_given = prompt->count() > 0;
    generate_text(*s, program);
  });
}

}  // namespace qkv::app
