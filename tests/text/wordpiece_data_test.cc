// The pieces of 10,570 questions, equal to those of the published tokeniser.
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "qkv/data/lines.h"
#include "qkv/text/wordpiece.h"

namespace qkv {
namespace {

std::vector<std::string> words_of(const std::string& field) {
  std::istringstream in(field);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

TEST(WordPieceData, EveryQuestionAsPublished) {
  const std::filesystem::path folder =
      std::filesystem::path(QKV_DATA_DIR) / "tokenizer-vectors/bert-base-uncased";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const WordPiece t = WordPiece::load(folder / "vocab.txt", true);
  ASSERT_EQ(t.size(), 30522);
  LineReader reader((folder / "squad-dev-questions.tsv.gz").string());
  std::string line;
  int lines = 0;
  while (reader.next(line)) {
    std::vector<std::string> fields;
    for (std::size_t begin = 0;;) {
      const std::size_t end = line.find('\t', begin);
      fields.push_back(line.substr(begin, end - begin));
      if (end == std::string::npos) break;
      begin = end + 1;
    }
    ASSERT_EQ(fields.size(), 4U) << lines;
    ASSERT_EQ(basic_tokens(fields[0]), words_of(fields[1])) << fields[0];
    ASSERT_EQ(t.pieces(fields[0]), words_of(fields[2])) << fields[0];
    std::string ids;
    for (const std::int32_t id : t.encode(fields[0])) {
      ids += (ids.empty() ? "" : " ") + std::to_string(id);
    }
    ASSERT_EQ(ids, fields[3]) << fields[0];
    ++lines;
  }
  EXPECT_EQ(lines, 10570);
}

}  // namespace
}  // namespace qkv
