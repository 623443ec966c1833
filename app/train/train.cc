// qkv train: its nouns.
#include "app/command.h"

namespace qkv::app {

void add_train(Program& program) {
  program.group("train", "Train a model");
  add_train_translate(program);
  add_train_labels(program);
  add_train_lm(program);
  add_train_vectors(program);
  add_train_action(program);
  add_train_graph(program);
  add_train_gan(program);
  add_train_upscale(program);
  add_train_picture(program);
  add_train_sound(program);
  add_train_mlm(program);
  add_train_embed(program);
}

}  // namespace qkv::app
