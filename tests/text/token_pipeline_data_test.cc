// The tokens of published tokenisers, as the data's own source computed them.
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/file.h"
#include "qkv/data/lines.h"
#include "qkv/text/token_pipeline.h"

namespace qkv {
namespace {

const std::filesystem::path kVectors = std::filesystem::path(QKV_DATA_DIR) / "tokenizer-vectors";

TEST(TokenPipelineData, Bert) {
  const std::filesystem::path folder = kVectors / "bert-base-uncased";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const TokenPipeline t = read_token_pipeline(folder);
  ASSERT_EQ(t.size(), 30522);
  EXPECT_EQ(t.roles().cls, 101);
  LineReader reader((folder / "squad-dev-questions.tsv.gz").string());
  std::vector<std::string> texts, expected;
  for (std::string line; reader.next(line);) {
    texts.push_back(line.substr(0, line.find('\t')));
    expected.push_back(line.substr(line.rfind('\t') + 1));
  }
  ASSERT_EQ(texts.size(), 10570U);
  const std::vector<std::vector<std::int32_t>> ids = t.ids(texts, false);
  int differ = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::string line;
    for (const std::int32_t id : ids[i]) line += (line.empty() ? "" : " ") + std::to_string(id);
    differ += line != expected[i];
  }
  EXPECT_EQ(differ, 0);
}

TEST(TokenPipelineData, Gpt2) {
  const std::filesystem::path folder = kVectors / "gpt2";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const TokenPipeline t = read_token_pipeline(folder);
  ASSERT_EQ(t.size(), 50257);
  const auto sample = nlohmann::json::parse(read_file(folder / "encoded_sample.json"));
  const std::string text = sample["text"];
  const TokenEncoding e = t.encode(text);
  EXPECT_EQ(nlohmann::json(e.ids), sample["token_ids"]);
  EXPECT_EQ(nlohmann::json(e.pieces), sample["bpe_tokens"]);
  EXPECT_EQ(t.decode(e.ids), text);
  EXPECT_EQ(e.spans.back().end, text.size());
}

}  // namespace
}  // namespace qkv
