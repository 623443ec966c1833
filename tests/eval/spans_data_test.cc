// conlleval's own output for CoNLL-2000 chunks, line by line.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "qkv/data/labelled.h"
#include "qkv/eval/spans.h"

namespace qkv {
namespace {

const std::string kVectors = std::string(QKV_DATA_DIR) + "/metric-vectors/seqeval/";

TEST(SpansData, PrintsWhatConllevalPrints) {
  if (!std::filesystem::exists(kVectors)) GTEST_SKIP() << "no " << kVectors;
  const std::string vectors = kVectors + "ground_truth.txt";
  const SpanReport report =
      score_spans(read_columns(vectors, {.tags = 3}).tags, read_columns(vectors, {.tags = 4}).tags);
  std::ifstream file(kVectors + "expected-conlleval.txt");
  std::ostringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(report.text().rfind(expected.str(), 0), 0U) << report.text();
}

}  // namespace
}  // namespace qkv
