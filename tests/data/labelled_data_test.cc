// The labelled sets as they lie on disk: the official counts.
#include <filesystem>

#include <gtest/gtest.h>

#include "qkv/data/labelled.h"
#include "qkv/data/tag_scheme.h"

namespace qkv {
namespace {

const std::filesystem::path kData = QKV_DATA_DIR;

TEST(LabelledData, Conll2003) {
  if (!std::filesystem::exists(kData / "conll2003")) GTEST_SKIP() << "no data";
  const LabelledText text = read_columns((kData / "conll2003/eng.train.gz").string());
  EXPECT_EQ(text.report.read, 14041);
  EXPECT_EQ(text.report.tokens, 203621);
  const auto scheme = detect_scheme(text.tags);
  ASSERT_TRUE(scheme.has_value());
  EXPECT_EQ(scheme->scheme, TagScheme::iob1);
  EXPECT_EQ(scheme->irregular, 0);
  std::size_t spans = 0;
  for (const Tags& tags : text.tags) {
    const std::vector<TagSpan> found = spans_of(tags);
    spans += found.size();
    ASSERT_EQ(spans_of(convert_tags(tags, TagScheme::iobes)), found);
    ASSERT_EQ(convert_tags(convert_tags(tags, TagScheme::iobes), TagScheme::iob1), tags);
  }
  EXPECT_EQ(spans, 23499u);
}

TEST(LabelledData, EnglishWebTreebank) {
  if (!std::filesystem::exists(kData / "ud-english-ewt")) GTEST_SKIP() << "no data";
  const LabelledText text =
      read_conllu((kData / "ud-english-ewt/en_ewt-ud-train.conllu.gz").string());
  EXPECT_EQ(text.report.read, 12544);
  EXPECT_EQ(text.report.tokens, 204577);
}

TEST(LabelledData, Slots) {
  if (!std::filesystem::exists(kData / "atis")) GTEST_SKIP() << "no data";
  const LabelledText atis = read_slots((kData / "atis/test").string());
  EXPECT_EQ(atis.size(), 893);
  EXPECT_EQ(atis.report.tokens, 9164);
  EXPECT_EQ(read_slots((kData / "snips/test").string()).report.tokens, 6354);
}

TEST(LabelledData, Tables) {
  if (!std::filesystem::exists(kData / "trec")) GTEST_SKIP() << "no data";
  EXPECT_EQ(read_label_table((kData / "trec/train.coarse.tsv.gz").string()).size(), 5452);
  EXPECT_EQ(read_label_table((kData / "sst2/test.tsv.gz").string()).size(), 1821);
  EXPECT_EQ(read_label_table((kData / "chnsenticorp-hotel/train.tsv.gz").string()).size(), 6000);
}

}  // namespace
}  // namespace qkv
