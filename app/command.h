// What sub-commands share. Each lives in a file of its own and adds itself to the program; none
// holds mathematics.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/console.h"
#include "app/options.h"

namespace qkv::app {

/// Ended by Ctrl-C or SIGTERM with everything saved: exit code 130.
struct Interrupted {};

/// Whoever read our output went away (qkv translate | head): the work ends quietly.
struct ClosedPipe {};

struct Program {
  Program();
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::unique_ptr<CLI::App> cli;
  Console console;
  bool json = false;
  int threads = 0;
  std::vector<std::unique_ptr<Command>> commands;

  /// A new sub-command: "translate", "train lm". What a command groups ("train") is made with its
  /// first member, or before with group() to say what it is about.
  Command& command(const std::string& path, const std::string& about);
  CLI::App& group(const std::string& name, const std::string& about = "");
  /// --threads: what the command computes with, set before its action runs.
  void add_threads(Command& command);
  /// --json.
  void add_json(Command& command, const char* help);
};

void add_demo(Program& program);
void add_train(Program& program);
void add_translate(Program& program);
void add_transcribe(Program& program);
void add_label(Program& program);  // tag, classify, intent
void add_action(Program& program);
void add_generate(Program& program);
void add_perplexity(Program& program);
void add_fill(Program& program);
void add_embed(Program& program);
void add_look(Program& program);
void add_score(Program& program);
void add_info(Program& program);
void add_import(Program& program);
void add_export(Program& program);
void add_bench(Program& program);
void add_explain(Program& program);
void add_lengths(Program& program);
void add_compare(Program& program);
void add_regress(Program& program);
void add_similar(Program& program);
void add_tokenise(Program& program);
void add_twins(Program& program);
void add_score_samples(Program& program);
void add_upscale(Program& program);

/// The nouns of `qkv train`.
void add_train_translate(Program& program);
void add_train_labels(Program& program);  // tag, classify, intent
void add_train_lm(Program& program);
void add_train_mlm(Program& program);
void add_train_embed(Program& program);
void add_train_vectors(Program& program);
void add_train_action(Program& program);
void add_train_graph(Program& program);
void add_train_gan(Program& program);
void add_train_upscale(Program& program);
void add_train_picture(Program& program);
void add_train_sound(Program& program);

}  // namespace qkv::app
