// qkv train: its nouns.
#include "app/command.h"
#include "app/train/labels.h"

namespace qkv::app {

void add_train(Program& program) {
  CLI::App& train = program.group("train", "Train a model");
  add_train_translate(program);
  add_train_labels(train, program);
  add_train_lm(train, program);
  add_train_vectors(train, program);
  add_train_action(train, program);
  add_train_mlm(train, program);
}

}  // namespace qkv::app
