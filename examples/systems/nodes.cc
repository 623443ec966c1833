// nodes MODEL NODES.tsv EDGES.tsv: a class for each node of a graph.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 4) return std::puts("usage: nodes MODEL NODES EDGES"), 2;
  const auto model = qkv::NodeClassifier::load(argv[1]);
  const auto graph = qkv::read_nodes({.nodes = argv[2], .edges = argv[3], .graphs = {}});
  const auto answers = model.classify(graph);
  for (std::size_t n = 0; n < answers.size(); ++n) {
    std::printf("%s\t%s\t%.4f\n", graph.ids[n].c_str(), answers[n].label.c_str(),
                answers[n].probability);
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
