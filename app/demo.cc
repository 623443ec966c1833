// qkv demo: trains on the built-in corpus, scores what it never saw, translates, shows its
// attention.
#include <chrono>
#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include "app/picture.h"
#include "app/train/noun.h"
#include "demo/story.h"

namespace qkv::app {
namespace {

void demo(const DemoOptions& options, Program& program) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  Console& console = program.console;
  const DemoCorpus corpus = demo_corpus(options.seed);
  console.line(demo_opening(corpus));
  // The demo's own directory holds nothing but its last run.
  const bool own = options.model == DemoOptions{}.model;
  TrainingRun run({.model = options.model, .overwrite = options.overwrite || own});
  watched(program,
          [&](const TrainWatch& watch) { return train_demo(options, corpus, run, watch); });

  const Translator translator = Translator::load(options.model);
  print_output("\n{}\n", demo_score(translator, corpus));
  write_output(demo_translations(translator));
  const std::vector<DemoPair> shown = demo_sentences();
  const AttentionMaps maps = translator.attention(shown[0].source);
  print_output("\n{}\n", terminal_picture(maps, {}));
  const std::filesystem::path page = std::filesystem::path(options.model) / "attention.html";
  write_picture(maps, {}, page);
  print_output("all layers and heads: {}\n", page.string());
  print_output("the model:            {}   (try: echo \"{}\" | qkv translate --model {})\n",
               options.model, shown[1].source, options.model);
  console.line("demo finished in " +
               duration_text(std::chrono::duration<double>(Clock::now() - began).count()));
}

}  // namespace

void add_demo(Program& program) {
  auto options = std::make_shared<DemoOptions>();
  Command& c = program.command(
      "demo", "Train on the built-in corpus, translate, show the attention (about three minutes)");
  c.options(*options);
  program.add_threads(c);
  c.action([options, &program] { demo(*options, program); });
}

}  // namespace qkv::app
