// qkv demo: trains on the built-in corpus, scores what it never saw, translates, shows its
// attention.
#include <chrono>
#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include "app/picture.h"
#include "app/train/noun.h"
#include "demo/corpus.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/eval/bleu.h"
#include "qkv/systems/translator.h"
#include "qkv/train/translation.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string directory = "qkv-demo";
  std::uint64_t seed = 1;
  std::int64_t steps = 1500;
  bool overwrite = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"model", "Where the model goes"}, s.directory);
    visit({"overwrite", "Also where a model or a run is already"}, s.overwrite);
    visit({"seed", "Of corpus, weights and order"}, s.seed);
    visit({"steps", "Updates", at_least(1)}, s.steps);
  }
};

TextPairs pairs(std::vector<std::string> source, std::vector<std::string> target) {
  TextPairs p{.source = std::move(source), .target = std::move(target)};
  p.report.read = p.report.kept = static_cast<std::int64_t>(p.source.size());
  return p;
}

/// Small enough for a minute, and the words as people read them.
TranslationRecipe recipe_of(const Settings& settings) {
  TranslationRecipe r = translation_recipe("tiny");
  auto& m = std::get<Transformer::Config>(r.network);
  m.encoder_layers = m.decoder_layers = 2;
  m.dropout = 0.1;
  r.tokeniser = TokeniserOptions::Kind::word;
  r.target_tokeniser = TokeniserOptions::Kind::character;
  r.bleu_tokeniser = "zh";
  r.batch_tokens = 2048;
  r.valid_bleu = 200;
  TrainOptions& t = r.train;
  t.seed = settings.seed;
  t.accumulate = 1;
  t.steps = settings.steps;
  t.schedule = {.kind = Schedule::Kind::cosine, .rate = 4e-3, .warm_up = 200};
  t.schedule.steps = t.steps;
  t.average_last = 0;
  t.patience = 0;
  t.validate_every = std::max<std::int64_t>(1, settings.steps / 5);
  return r;
}

void demo(const Settings& settings, Program& program) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  Console& console = program.console;
  DemoCorpus corpus = demo_corpus(settings.seed);
  console.line(
      fmt::format("a small English-Chinese corpus from a grammar of our own: {} pairs to learn "
                  "from, {} to test on whose words never met before",
                  grouped(static_cast<std::int64_t>(corpus.train_source.size())),
                  grouped(static_cast<std::int64_t>(corpus.test_source.size()))));
  TrainingRun run({.model = settings.directory, .overwrite = settings.overwrite});
  watched(program, [&](const TrainWatch& watch) {
    return train_translator(
        recipe_of(settings),
        {.train = pairs(std::move(corpus.train_source), std::move(corpus.train_target)),
         .valid = pairs(std::move(corpus.valid_source), std::move(corpus.valid_target))},
        run, watch);
  });

  const Translator translator = Translator::load(settings.directory);
  const std::vector<Translation> output = translator.translate(corpus.test_source);
  std::vector<std::string> lines;
  for (const Translation& t : output) lines.push_back(t.text);
  const BleuReport bleu = corpus_bleu(lines, corpus.test_target, {.tokeniser = BleuTokeniser::zh});
  std::size_t exact = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) exact += lines[i] == corpus.test_target[i] ? 1 : 0;
  print_output("\nunseen combinations: {}\n", bleu.text());
  print_output("{} of {} sentences exactly as the grammar has them\n\n", exact, lines.size());

  const std::vector<DemoPair> shown = demo_sentences();
  for (const DemoPair& pair : shown) {
    const std::string text = translator.translate(pair.source).text;
    print_output("  {}\n    {}{}\n", pair.source, text,
                 text == pair.target ? "" : "   (the grammar says " + pair.target + ")");
  }

  const AttentionMaps maps = translator.attention(shown[0].source);
  print_output("\n{}\n", terminal_picture(maps, {}));
  const std::filesystem::path page = std::filesystem::path(settings.directory) / "attention.html";
  write_picture(maps, {}, page);
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
  Command& c = program.command(
      "demo", "Train on the built-in corpus, translate, show the attention (about three minutes)");
  c.options(*s);
  program.add_threads(c);
  c.action([s, &program] { demo(*s, program); });
}

}  // namespace qkv::app
