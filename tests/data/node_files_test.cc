#include "qkv/data/node_files.h"

#include <fstream>

#include "data/notices.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

class NodeFilesTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  NodeGraph read(const std::string& nodes, const std::string& edges, const std::string& graphs = "",
                 FeatureForm features = FeatureForm::ones, bool directed = false) {
    NodeFiles files{.nodes = write("nodes.tsv", nodes),
                    .edges = write("edges.tsv", edges),
                    .graphs = {},
                    .features = features,
                    .directed = directed};
    if (!graphs.empty()) files.graphs = write("graphs.tsv", graphs);
    return read_nodes(files);
  }
  /// What reading these says is wrong.
  std::string complaint(const std::string& nodes, const std::string& edges,
                        const std::string& graphs = "", FeatureForm features = FeatureForm::ones) {
    try {
      read(nodes, edges, graphs, features);
    } catch (const DataError& e) {
      return e.what();
    }
    return "";
  }
  static bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  Temporary folder_;
};

using Lists = std::vector<std::vector<std::int64_t>>;
const std::string kNodes = "a\tx\ttrain\t2 0\nb\ty\tvalid\t1\nc\t-\t-\t\nd\tx\ttest\n";

TEST_F(NodeFilesTest, GiveAGraph) {
  const NodeGraph g = read(kNodes, "# citations\na\tb\n\nc\tb\n");
  EXPECT_EQ(g.ids, (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(g.classes, (std::vector<std::string>{"x", "y", "", "x"}));
  EXPECT_EQ(g.parts, (std::vector<NodePart>{NodePart::train, NodePart::valid, NodePart::none,
                                            NodePart::test}));
  EXPECT_EQ(g.neighbours, (Lists{{0, 1}, {0, 1, 2}, {1, 2}, {3}}));  // d is alone, and passes
  EXPECT_TRUE(g.weights.empty());
  EXPECT_EQ(g.edges(), 4);
  EXPECT_EQ(g.features->columns, 3);
  EXPECT_EQ(g.features->offsets, (std::vector<std::int64_t>{0, 2, 3, 3, 3}));
  EXPECT_EQ(g.features->column, (std::vector<std::int32_t>{0, 2, 1}));
  EXPECT_EQ(g.labelled(NodePart::train), (std::vector<std::int64_t>{0}));
  EXPECT_TRUE(g.labelled(NodePart::none).empty());  // its class is unknown
}

TEST_F(NodeFilesTest, CountAnEdgeOnceAndPassOverLoops) {
  const Notices notices;
  const NodeGraph g = read(kNodes, "a\tb\nb\ta\na\tb\nc\tc\n");
  EXPECT_EQ(g.neighbours, (Lists{{0, 1}, {0, 1}, {2}, {3}}));
  ASSERT_EQ(notices.lines.size(), 1U);
  EXPECT_TRUE(holds(notices.lines[0], "1 loops passed over, 2 edges")) << notices.lines[0];
}

TEST_F(NodeFilesTest, ADirectedEdgeIsSeenByItsEnd) {
  EXPECT_EQ(read(kNodes, "a\tb\n", "", FeatureForm::ones, true).neighbours,
            (Lists{{0}, {0, 1}, {2}, {3}}));
}

TEST_F(NodeFilesTest, TakeWeights) {
  const NodeGraph g = read(kNodes, "a\tb\t0.5\nb\tc\n");
  EXPECT_EQ(g.weights, (std::vector<std::vector<float>>{{1, .5f}, {.5f, 1, 1}, {1, 1}, {1}}));
  EXPECT_TRUE(holds(complaint(kNodes, "a\tb\t1\nb\ta\t2\n"), "edges.tsv:2"));
  for (const char* weight : {"0", "-1", "nan", "inf", "x", ""}) {
    EXPECT_TRUE(holds(complaint(kNodes, std::string("a\tb\t") + weight + "\n"), "weight"))
        << weight;
  }
}

TEST_F(NodeFilesTest, OfSeveralGraphsStandOneAfterTheOther) {
  const NodeGraph g = read(kNodes, "a\tc\n", "b\tsecond\na\tfirst\nd\tsecond\nc\tfirst\n");
  EXPECT_EQ(g.ids, (std::vector<std::string>{"b", "d", "a", "c"}));
  EXPECT_EQ(g.graphs, (std::vector<std::string>{"second", "first"}));
  EXPECT_EQ(g.segments.length(0), 2);
  EXPECT_EQ(g.neighbours, (Lists{{0}, {1}, {2, 3}, {2, 3}}));
  EXPECT_EQ(g.in_file_order(), (std::vector<std::int64_t>{2, 0, 3, 1}));
  EXPECT_TRUE(holds(complaint(kNodes, "a\tb\n", "a\tf\nb\ts\nc\tf\nd\tf\n"), "different graphs"));
  EXPECT_TRUE(holds(complaint(kNodes, "", "a\tf\nb\ts\nc\tf\n"), "'d' of line 4"));
  EXPECT_TRUE(holds(complaint(kNodes, "", "a\tf\na\ts\n"), "graphs.tsv:2"));
}

TEST_F(NodeFilesTest, FeaturesComeInThreeForms) {
  const NodeGraph sparse = read("a\tx\ttrain\t7:-2 0:1.5 3:0\n", "", "", FeatureForm::sparse);
  EXPECT_EQ(sparse.features->columns, 8);
  EXPECT_EQ(sparse.features->value, (std::vector<float>{1.5f, -2}));
  const NodeGraph dense =
      read("a\tx\ttrain\t1 0,2\nb\ty\ttest\t0\t0\t3\n", "", "", FeatureForm::dense);
  EXPECT_EQ(dense.features->columns, 3);
  EXPECT_EQ(dense.features->column, (std::vector<std::int32_t>{0, 2, 2}));
  EXPECT_EQ(dense.features->value, (std::vector<float>{1, 2, 3}));
  EXPECT_TRUE(holds(complaint("a\tx\ttrain\t1 2\nb\tx\ttest\t1\n", "", "", FeatureForm::dense),
                    "nodes.tsv:2"));
  EXPECT_TRUE(holds(complaint("a\tx\ttrain\t1:2\n", ""), "--features"));
  EXPECT_TRUE(holds(complaint("a\tx\ttrain\t12\n", "", "", FeatureForm::sparse), "--features"));
  EXPECT_TRUE(holds(complaint("a\tx\ttrain\t999999999\n", ""), "no number of a feature"));
  EXPECT_TRUE(holds(complaint("a\tx\ttrain\t5 5\n", ""), "twice"));
  EXPECT_TRUE(holds(complaint("a\tx\ttrain\t1:inf\n", "", "", FeatureForm::sparse), "no value"));
}

TEST_F(NodeFilesTest, SayWhereTheyAreWrong) {
  EXPECT_TRUE(holds(complaint("", ""), "holds no node"));
  EXPECT_TRUE(holds(complaint("a\tx\n", ""), "nodes.tsv:1"));
  EXPECT_TRUE(holds(complaint("a\tx\tlearn\t1\n", ""), "'learn'"));
  EXPECT_TRUE(holds(complaint("a\t\ttrain\t1\n", ""), "write -"));
  EXPECT_TRUE(holds(complaint("\tx\ttrain\t1\n", ""), "no id"));
  EXPECT_TRUE(holds(complaint("a\tx\ttrain\t1\na\tx\ttrain\t1\n", ""), "line 1 already"));
  EXPECT_TRUE(holds(complaint(kNodes, "a\tz\n"), "edges.tsv:1"));
  EXPECT_TRUE(holds(complaint(kNodes, "a b\n"), "between tabs"));
  EXPECT_THROW(read_nodes({}), UsageError);
}

}  // namespace
}  // namespace qkv
