// qkv train vectors: text in, word vectors out.
#include "qkv/train/vectors.h"

#include "app/command.h"

namespace qkv::app {
namespace {

struct Settings {
  VectorFiles files;
  VectorRecipe recipe;
};

}  // namespace

void add_train_vectors(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train vectors", "Train word vectors: CBOW or skip-gram (word2vec)");
  c.footer(
      "One thread, one word after the other, so that a seed gives the same numbers everywhere.\n"
      "qkv similar shows neighbours and analogies.");
  c.options(s->files, "Data");
  c.options(s->recipe, "Data");
  c.options(s->recipe.network, "Model");
  c.options(s->recipe.train, "Training");
  c.action([s, &program] {
    Console& console = program.console;
    train_vectors(s->recipe, s->files,
                  {.progress = console.progress(),
                   .line = [&console](const std::string& text) { console.line(text); }});
  });
}

}  // namespace qkv::app
