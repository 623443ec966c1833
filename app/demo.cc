// qkv demo: trains on the built-in corpus, scores what it never saw, translates, shows its
// attention.
#include <chrono>
#include <filesystem>

#include "app/command.h"
#include "app/look.h"
#include "app/output.h"
#include "app/train/translate.h"
#include "demo/corpus.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/eval/bleu.h"
#include "qkv/systems/translation_model.h"
#include "qkv/train/translation.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string directory = "qkv-demo";
  std::uint64_t seed = 1;
  std::int64_t steps = 1500;
  bool overwrite = false;
};

TextPairs pairs(std::vector<std::string> source, std::vector<std::string> target) {
  TextPairs p{.source = std::move(source), .target = std::move(target)};
  p.report.read = p.report.kept = static_cast<std::int64_t>(p.source.size());
  return p;
}

void demo(const Settings& settings, Program& program) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  apply_threads(program);
  Console& console = program.console;
  DemoCorpus corpus = demo_corpus(settings.seed);
  console.line(
      fmt::format("a small English-Chinese corpus from a grammar of our own: {} pairs to learn "
                  "from, {} to test on whose words never met before",
                  grouped(static_cast<std::int64_t>(corpus.train_source.size())),
                  grouped(static_cast<std::int64_t>(corpus.test_source.size()))));
  TrainTranslate s;
  s.directory = settings.directory;
  // The demo's own directory holds nothing but its last run.
  s.overwrite = settings.overwrite || settings.directory == Settings{}.directory;
  s.seed = settings.seed;
  s.tokeniser = "word";
  s.target_tokeniser = "character";
  s.bleu_tokeniser = "zh";
  s.layers = 2;
  s.dropout = 0.1;
  s.batch_tokens = 2048;
  s.accumulate = 1;
  s.steps = settings.steps;
  s.schedule = "cosine";
  s.rate = 4e-3;
  s.warm_up = 200;
  s.average = 0;
  s.patience = 0;
  s.validate_every = std::max<std::int64_t>(1, settings.steps / 5);
  s.valid_bleu = 200;
  train_on_texts(s, with_settings(s),
                 {.train = pairs(std::move(corpus.train_source), std::move(corpus.train_target)),
                  .valid = pairs(std::move(corpus.valid_source), std::move(corpus.valid_target))},
                 console);

  const TranslationModel model = load_translation_model(settings.directory);
  std::vector<Tokens> sources;
  for (const std::string& line : corpus.test_source) sources.push_back(model.source.encode(line));
  const std::vector<std::string> output = translate_tokens(model, sources, {.search = {.beam = 4}});
  const BleuReport bleu = corpus_bleu(output, corpus.test_target, {.tokeniser = BleuTokeniser::zh});
  std::size_t exact = 0;
  for (std::size_t i = 0; i < output.size(); ++i)
    exact += output[i] == corpus.test_target[i] ? 1 : 0;
  print_output("\nunseen combinations: {}\n", bleu.text());
  print_output("{} of {} sentences exactly as the grammar has them\n\n", exact, output.size());

  sources.clear();
  const std::vector<DemoPair> shown = demo_sentences();
  for (const DemoPair& pair : shown) sources.push_back(model.source.encode(pair.source));
  const std::vector<std::string> translations =
      translate_tokens(model, sources, {.search = {.beam = 4}});
  for (std::size_t i = 0; i < shown.size(); ++i) {
    print_output(
        "  {}\n    {}{}\n", shown[i].source, translations[i],
        translations[i] == shown[i].target ? "" : "   (the grammar says " + shown[i].target + ")");
  }

  const LookSettings look{.source = shown[0].source};
  const AttentionMaps maps = attention_of(model, look);
  print_output("\n{}\n", terminal_picture(maps, look));
  const std::filesystem::path page = std::filesystem::path(settings.directory) / "attention.html";
  write_picture(maps, look, page);
  print_output("all layers and heads: {}\n", page.string());
  print_output("the model:            {}   (try: echo \"{}\" | qkv translate --model {})\n",
               settings.directory, shown[1].source, settings.directory);
  console.line(
      fmt::format("demo finished in {}",
                  duration_text(std::chrono::duration<double>(Clock::now() - began).count())));
}

}  // namespace

void add_demo(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand(
      "demo", "Train on the built-in corpus, translate, show the attention (about three minutes)");
  c->add_option("--model", s->directory, "Where the model goes")->capture_default_str();
  c->add_flag("--overwrite", s->overwrite, "Also where a model or a run is already");
  c->add_option("--seed", s->seed, "Of corpus, weights and order")->capture_default_str();
  c->add_option("--steps", s->steps, "Updates")->check(CLI::PositiveNumber)->capture_default_str();
  add_threads(*c, program);
  c->callback([s, &program] { demo(*s, program); });
}

}  // namespace qkv::app
