// qkv bench: speed as a share of the FMA peak measured in the same run.
#include "app/command.h"
#include "app/output.h"
#include "bench/run/action.h"
#include "bench/run/additive.h"
#include "bench/run/attention.h"
#include "bench/run/decode.h"
#include "bench/run/generate.h"
#include "bench/run/graph.h"
#include "bench/run/label.h"
#include "bench/run/linear.h"
#include "bench/run/nodes.h"
#include "bench/run/picture.h"
#include "bench/run/rnn.h"
#include "bench/run/tokenise.h"
#include "bench/run/train.h"

namespace qkv::app {
namespace {

template <class Options>
struct Added {
  Command& command;
  std::shared_ptr<Options> options;
};

template <class Options>
Added<Options> add(Program& program, const std::string& name, const char* about,
                   bench::Report (*run)(const Options&, const bench::Say&)) {
  auto options = std::make_shared<Options>();
  Command& command = program.command("bench " + name, about);
  command.options(*options);
  program.add_json(command, "Print JSON");
  program.add_threads(command);
  command.action([options, run, &program] {
    const bench::Report report =
        run(*options, [&](const std::string& line) { program.console.line(line); });
    write_output(program.json ? report.json.dump() + "\n" : report.text);
  });
  return {command, options};
}

}  // namespace

void add_bench(Program& program) {
  program.group("bench", "Measure speed on this machine");
  add(program, "train", "A training step of a translator on random sentences", bench::train);
  add(program, "action", "The time of one clip, from features to action", bench::action);
  add(program, "additive", "Additive attention, projections and gradients", bench::additive);
  add(program, "rnn", "A training step of a GRU translator with attention", bench::rnn);
  auto decode =
      add(program, "decode", "Translating; loading and tokenising are not timed", bench::decode);
  decode.command.positional("file", decode.options->file, "Source sentences for --model");
  add(program, "graph", "A layer of graph attention as its graph grows", bench::graph);
  add(program, "generate", "Many prompts at once against one after the other", bench::generate);
  auto label =
      add(program, "label", "Tagging and classifying; loading and cutting into words are not timed",
          bench::label);
  label.command.positional("file", label.options->file, "Text, a sentence a line", true);
  add(program, "nodes", "A training step on the nodes of a graph like Cora", bench::nodes);
  add(program, "picture", "ViT, Mixer and SwinIR at published sizes, forward and a step",
      bench::picture);
  auto tokenise =
      add(program, "tokenise", "Text to the tokens of a model; loading and reading are not timed",
          bench::tokenise);
  tokenise.command.positional("file", tokenise.options->file, "Text, a text a line", true);
  add(program, "linear", "Linear attention beside softmax as sequences grow", bench::linear);
  add(program, "attention", "The attention kernels, forward and backward", bench::attention);
}

}  // namespace qkv::app
