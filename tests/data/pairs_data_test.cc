#include <filesystem>

#include <gtest/gtest.h>

#include "qkv/data/lines.h"
#include "qkv/data/pairs.h"

namespace qkv {
namespace {

const std::filesystem::path kData = QKV_DATA_DIR;

TEST(PairsData, Multi30k) {
  if (!std::filesystem::exists(kData / "multi30k")) GTEST_SKIP() << "no data";
  const TextPairs pairs = read_pairs((kData / "multi30k/train.en.gz").string(),
                                     (kData / "multi30k/train.de.gz").string());
  EXPECT_EQ(pairs.report.read, 29000);
  EXPECT_EQ(pairs.report.kept, 29000);
  EXPECT_EQ(pairs.source[0], "Two young, White males are outside near many bushes.");
}

TEST(PairsData, TatoebaTable) {
  if (!std::filesystem::exists(kData / "tatoeba-en-zh")) GTEST_SKIP() << "no data";
  const TextPairs pairs = read_pairs((kData / "tatoeba-en-zh/cmn.txt.gz").string());
  EXPECT_EQ(pairs.report.kept, 29155);
  EXPECT_EQ(pairs.report.dropped_empty, 1);  // the stray last line
  EXPECT_EQ(pairs.source[0], "Hi.");
}

TEST(LinesData, ByteOrderMarkAndWindowsEnds) {
  const std::filesystem::path path = kData / "tokenizer-vectors/sentencepiece/botchan.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no data";
  const std::vector<std::string> lines = read_lines(path.string());
  EXPECT_TRUE(lines[0].starts_with("Project Gutenberg")) << lines[0];
  for (const std::string& line : lines) ASSERT_EQ(line.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace qkv
