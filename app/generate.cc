// qkv generate: a language model goes on from prompts, token by token to stdout; or pictures
// (generate_pictures.h).
#include <chrono>

#include "app/command.h"
#include "app/generate_pictures.h"
#include "app/lines.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/systems/generator.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model;
  std::optional<std::string> prompt;
  std::int64_t samples = 1;
  bool echo = false, prompts = false;
  GeneratorOptions options;
  PictureWishes pictures;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory", .required = true}, s.model);
    visit({"samples", "Texts to write a prompt; text n is drawn with seed + n", between(1, 1e6)},
          s.samples);
    visit({"echo", "Write the prompt first"}, s.echo);
    visit({"prompts", "Every line of stdin is a prompt of its own; all go on at once"}, s.prompts);
    PictureWishes::each(s.pictures, visit);
  }
};

/// Text appears as it is drawn.
void write_text(std::string_view text) {
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

std::string json_of(const Settings& s, std::int64_t number, const std::string& prompt,
                    const GeneratedText& t, double seconds) {
  return nlohmann::json{
             {"sample", number},   {"seed", s.options.seed + static_cast<std::uint64_t>(number)},
             {"prompt", prompt},   {"text", t.text},
             {"tokens", t.tokens}, {"seconds", seconds}}
             .dump() +
         "\n";
}

std::string whole_line(const std::string& text) {
  return text.ends_with('\n') ? text : text + "\n";
}

/// One text after the other, each as it is drawn.
void stream(const Settings& s, const Generator& generator, const std::string& prompt) {
  for (std::int64_t n = 0; n < s.samples; ++n) {
    GeneratorOptions options = s.options;
    options.seed += static_cast<std::uint64_t>(n);
    if (n > 0) write_text("\n");
    if (s.echo) write_text(prompt);
    const GeneratedText t = std::move(generator
                                          .generate(std::span(&prompt, 1), options,
                                                    [](std::int64_t, std::string_view piece) {
                                                      if (!piece.empty()) write_text(piece);
                                                      return true;
                                                    })
                                          .front());
    if (!t.text.ends_with('\n')) write_text("\n");
  }
}

/// All at once: the faster way for many.
void together(const Settings& s, const Generator& generator,
              const std::vector<std::string>& prompts, Program& program) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::string> all;
  for (const std::string& prompt : prompts) {
    all.insert(all.end(), static_cast<std::size_t>(s.samples), prompt);
  }
  const Clock::time_point began = Clock::now();
  const std::vector<GeneratedText> texts = generator.generate(all, s.options);
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i);
    write_output(program.json ? json_of(s, number, all[i], texts[i], seconds)
                              : (i > 0 ? "\n" : "") +
                                    whole_line((s.echo ? all[i] : std::string()) + texts[i].text));
  }
}

/// What the directory wants; but a beam and draws exclude each other, and who asks for one of them
/// does not get the directory's other.
GeneratorOptions wishes(const GeneratorOptions& directory, const Command& command) {
  GeneratorOptions o = directory;
  const GeneratorOptions plain;
  bool draws = false;
  for (const char* flag : {"temperature", "greedy", "top-k", "top-p", "repetition-penalty"}) {
    draws = draws || command.given(flag);
  }
  if (command.given("beam")) {
    o.temperature = plain.temperature;
    o.top_k = plain.top_k;
    o.top_p = plain.top_p;
    o.repetition_penalty = plain.repetition_penalty;
  } else if (draws) {
    o.beam = plain.beam;
    o.length_penalty = plain.length_penalty;
  }
  return o;
}

void generate_text(Settings& s, Command& command, Program& program) {
  for (const char* flag : {"class", "output"}) {
    if (command.given(flag)) throw UsageError(std::string("--") + flag + " is for --pictures");
  }
  command.lay_over(s.options);  // what is wrong in itself, before the model is read
  const Generator generator = Generator::load(s.model);
  for (const std::string& note : generator.info().notes) program.console.line("qkv: " + note);
  s.options = wishes(generator.defaults(), command);
  command.lay_over(s.options);
  if (s.prompts) {
    if (s.prompt) throw UsageError("--prompts reads stdin: leave out the prompt");
    return together(s, generator, read_lines("-"), program);
  }
  const std::string prompt = s.prompt ? *s.prompt : prompt_from_stdin();
  if (program.json || s.options.beam > 0) return together(s, generator, {prompt}, program);
  stream(s, generator, prompt);
}

/// Of all options of texts the seed alone has a use beside --pictures.
void make_pictures(Settings& s, Command& command, Program& program) {
  command.lay_over(s.options);
  for (const char* flag : {"samples", "echo", "prompts"}) {
    if (command.given(flag)) throw UsageError(std::string("--") + flag + " is for text");
  }
  for (const OptionField& f : fields_of(s.options)) {
    if (f.flag != "seed" && command.given(f.flag)) throw UsageError("--" + f.flag + " is for text");
  }
  if (s.prompt) throw UsageError("'" + *s.prompt + "': a prompt is for text, not for --pictures");
  if (program.json) throw UsageError("--json is for text");
  generate_pictures(s.pictures, s.model, s.options.seed, program);
}

}  // namespace

void add_generate(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c =
      program.command("generate", "Go on from a prompt with a language model, or make pictures");
  c.footer(
      "Text appears token by token. The same model, prompt, options and seed give the same text on "
      "any\nnumber of threads. Recurrent and linear-attention models take the same time for every "
      "token;\nthe others too with --context.");
  c.options(*s);
  c.preset_options<GeneratorOptions>(
      "Generating (defaults: those of the model's directory, or these)");
  c.positional("prompt", s->prompt, "What to go on from; default: stdin");
  program.add_json(c, "One JSON object a text");
  program.add_threads(c);
  c.action([s, &c, &program] {
    s->pictures.pictures ? make_pictures(*s, c, program) : generate_text(*s, c, program);
  });
}

}  // namespace qkv::app
