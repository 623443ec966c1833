// Published systems of newstest2017 English-German with their BLEU (mteval-v13a, two decimals) and
// chrF (epsilon smoothing), and sacreBLEU's own small cases.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "qkv/eval/bleu.h"
#include "qkv/eval/chrf.h"

namespace qkv {
namespace {

using Text = std::vector<std::string>;

const std::string kVectors = std::string(QKV_DATA_DIR) + "/metric-vectors/";

// Not read_lines: it takes away a byte order mark, and one of these systems is scored with it.
Text read_gzip(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot read " + path);
  std::string bytes;
  char buffer[1 << 16];
  for (int n = 0; (n = gzread(file, buffer, sizeof buffer)) > 0;) {
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
  gzclose(file);
  Text lines;
  std::istringstream stream(bytes);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(MetricVectors, Newstest2017) {
  const std::string folder = kVectors + "wmt17-en-de/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const Text reference = read_gzip(folder + "reference.de.txt.gz");
  ASSERT_EQ(reference.size(), 3004u);
  std::ifstream table(folder + "expected.tsv");
  std::string row;
  std::getline(table, row);
  int systems = 0;
  for (; std::getline(table, row); ++systems) {
    std::istringstream cells(row);
    std::string name, bleu, chrf, chrf2;
    for (std::string* cell : {&name, &bleu, &chrf, &chrf2}) std::getline(cells, *cell, '\t');
    SCOPED_TRACE(name);
    const Text hypotheses = read_gzip(folder + name + ".txt.gz");
    // Printed as published: to two decimals, which leaves half a unit of the last.
    EXPECT_NEAR(corpus_bleu(hypotheses, reference).score, std::stod(bleu), 0.005 + 1e-9);
    if (!chrf.empty()) {
      EXPECT_NEAR(corpus_chrf(hypotheses, reference, {.eps_smoothing = true}).score,
                  std::stod(chrf), 5e-5 + 1e-9);
      EXPECT_NEAR(
          corpus_chrf(hypotheses, reference, {.word_order = 2, .eps_smoothing = true}).score,
          std::stod(chrf2), 5e-5 + 1e-9);
    }
  }
  EXPECT_EQ(systems, 16);
}

TEST(MetricVectors, SmallCases) {
  std::ifstream file(kVectors + "sacrebleu-cases.json");
  if (!file) GTEST_SKIP() << "no sacrebleu-cases.json";
  const nlohmann::json cases = nlohmann::json::parse(file);
  EXPECT_EQ(cases.size(), 13u);
  for (const auto& c : cases) {
    SCOPED_TRACE(c.dump());
    const auto hypotheses = c.at("hyps").get<Text>();
    const auto references = c.at("refs").get<std::vector<Text>>();
    double score = 0.0;
    if (c.at("metric") == "bleu") {
      score = corpus_bleu(hypotheses, references,
                          {.tokeniser = bleu_tokeniser(c.at("tokenize").get<std::string>()),
                           .smoothing = bleu_smoothing(c.at("smooth").get<std::string>()),
                           .max_order = c.at("max_order").get<int>()})
                  .score;
    } else {
      ASSERT_EQ(c.at("metric"), "chrf-sentence");
      score = sentence_chrf(hypotheses[0], references[0],
                            {.char_order = c.at("char_order").get<int>(),
                             .word_order = c.at("word_order").get<int>(),
                             .beta = c.at("beta").get<int>(),
                             .eps_smoothing = true})  // as the published cases have it
                  .score;
    }
    EXPECT_NEAR(score, c.at("score").get<double>(), c.at("tolerance").get<double>());
  }
}

}  // namespace
}  // namespace qkv
