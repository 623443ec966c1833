// qkv train graph: nodes and edges in, a model directory out.
#include "app/command.h"
#include "app/output.h"
#include "app/train/noun.h"

#include "qkv/systems/node_classifier.h"
#include "qkv/train/nodes.h"

namespace qkv::app {
namespace {

/// What the recipe begins with.
struct Kind {
  NodeKind kind = NodeKind::gat;

  template <class Self, class Visit>
  static void each(Self& k, Visit&& visit) {
    visit({"kind", "gat, gatv2 (attention), gcn (fixed weights) or mlp (no graph)"}, k.kind);
  }
};

struct Settings {
  RunOptions run;
  NodeFiles files;
};

void train_graph(Command& command, const Settings& s, Program& program) {
  TrainingRun run(s.run);
  Recipes recipes(command, run);
  Kind kind;
  recipes.set(kind);
  NodeRecipe r = node_recipe(kind.kind);
  recipes.set(r.network);
  recipes.set(r);
  recipes.set_loop(r.train);
  recipes.finish(run, "is no option of models of nodes");
  r.check();
  const NodeGraph graph = read_nodes(s.files);
  watched(program, [&](const TrainWatch& watch) { return qkv::train_nodes(r, graph, run, watch); });
  if (graph.labelled(NodePart::test).empty()) return;
  const auto best = NodeClassifier::load(run.directory());
  const ClassReport report = best.score(graph, NodePart::test);
  write_output(program.json ? report.json() + "\n" : report.text());
}

}  // namespace

void add_train_graph(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("train graph", "Train a model of the nodes of a graph");
  add_run(
      c, s->run,
      "Files may be gzipped. Nodes of part train teach, those of valid judge every epoch, those "
      "of test\nscore the best model in the end.");
  c.options(s->files, "Data");
  c.preset_options<Kind>("Model");
  c.preset_options<NodeNetwork::Config>("Model");
  c.preset_options<NodeRecipe>("Training");
  program.add_json(c, "Print the scores as JSON");
  program.add_threads(c);
  c.action([s, &c, &program] { train_graph(c, *s, program); });
}

}  // namespace qkv::app
