#include "text/temporary.h"
#include "text/tiny_pipeline.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/random.h"
#include "qkv/base/utf8.h"
#include "qkv/text/tokeniser.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Ids = std::vector<std::int32_t>;

constexpr std::int32_t kEnd = 261;

Tokeniser byte_level() {
  const TokenPipeline pipeline = TokenPipeline::from_json(byte_level_json(), "tokenizer.json");
  return Tokeniser(pipeline.with_roles({.bos = kEnd, .eos = kEnd}));
}

Tokeniser word_piece() {
  return Tokeniser(TokenPipeline::from_json(R"({"version": "1.0",
      "added_tokens": [{"id": 0, "content": "[UNK]", "special": true}],
      "pre_tokenizer": {"type": "BertPreTokenizer"},
      "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
      "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {"[UNK]": 0, "run": 1, "##ning": 2, "dog": 3, "!": 4}}})",
                                            "tokenizer.json")
                       .with_roles({.unk = 0}));
}

TEST(PipelineTokeniser, IsTheOneItHolds) {
  const Tokeniser t = byte_level();
  EXPECT_EQ(t.kind(), Tokeniser::Kind::pipeline);
  EXPECT_EQ(name_of(t.kind()), "pipeline");
  EXPECT_EQ(kind_of("pipeline"), Tokeniser::Kind::pipeline);
  EXPECT_EQ(t.size(), kEnd + 1);
  EXPECT_THAT((Ids{t.pad(), t.unk(), t.bos(), t.eos()}), ElementsAre(-1, -1, kEnd, kEnd));
  EXPECT_THAT(t.encode("the dog the"), ElementsAre(257, ' ', 260, 258));
  EXPECT_THAT(t.pieces("dog the"), ElementsAre("dog", "\u0120the"));
  EXPECT_THAT(t.encode("a<|endoftext|>"), ElementsAre('a', kEnd));
  EXPECT_EQ(t.decode(Ids{kEnd, 260, 258, kEnd}), "dog the");
  EXPECT_EQ(t.piece(258), "\u0120the");
  EXPECT_THROW(t.piece(kEnd + 1), Error);
  EXPECT_EQ(byte_level().pipeline()->json(), byte_level_json());
  EXPECT_EQ(Tokeniser().pipeline(), nullptr);
}

TEST(PipelineTokeniser, JoinsPiecesIntoWords) {
  const Tokeniser t = byte_level();
  const Ids ids = t.encode("dogs, the \u00E9t\u00E9\u72D7\u72D7!");
  EXPECT_THAT(t.word_texts(ids), ElementsAre("dogs", ",", "the", "\u00E9t\u00E9\u72D7\u72D7", "!"));
  EXPECT_THAT(t.words(Ids{260, 's', kEnd, 'a'}), ElementsAre(0, 0, 1, 2));
  EXPECT_THAT(t.word_texts(Ids{260, kEnd}), ElementsAre("dog", "<|endoftext|>"));
  const Tokeniser w = word_piece();
  EXPECT_THAT(w.words(w.encode("running dog run!")), ElementsAre(0, 0, 1, 2, 3));
  EXPECT_THAT(w.word_texts(w.encode("running dog!")), ElementsAre("running", "dog", "!"));
  const std::vector<std::string> text = {"dog cat", "run"};
  EXPECT_EQ(w.unknown_report(text).unknown, 1);
}

TEST(PipelineTokeniser, TakesAnyBytes) {
  const Tokeniser t = byte_level();
  Philox random(11);
  for (int round = 0; round < 100; ++round) {
    std::string bytes(random.below(60), ' ');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    const Ids ids = t.encode(bytes);
    EXPECT_EQ(t.words(ids).size(), ids.size());
    EXPECT_FALSE(first_bad_byte(t.decode(ids)));
  }
}

TEST(PipelineTokeniser, SurvivesTheDisk) {
  const Temporary folder;
  byte_level().save(folder.path(), "text");
  EXPECT_EQ(read_file(folder / "text.tokenizer.json"), byte_level_json());
  const Tokeniser back = Tokeniser::load(folder.path(), "text");
  EXPECT_EQ(back.kind(), Tokeniser::Kind::pipeline);
  EXPECT_EQ(back.pipeline()->roles(), byte_level().pipeline()->roles());
  EXPECT_EQ(back.encode("the dogs"), byte_level().encode("the dogs"));
}

TEST(PipelineTokeniser, RefusesDamagedFiles) {
  const Temporary folder;
  word_piece().save(folder.path(), "t");
  for (const char* end : {".tokeniser.json", ".tokenizer.json"}) {
    const std::filesystem::path path = folder / (std::string("t") + end);
    const std::string whole = read_file(path);
    for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
      write_file(path, std::string_view(whole).substr(0, size));
      EXPECT_THROW(Tokeniser::load(folder.path(), "t"), DataError) << end << " " << size;
    }
    write_file(path, whole);
  }
  const std::filesystem::path path = folder / "t.tokeniser.json";
  const std::string whole = read_file(path);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    text.replace(text.find(from), from.size(), to);
    write_file(path, text);
    return [&] { Tokeniser::load(folder.path(), "t"); };
  };
  EXPECT_THAT(changed("\"unk\": 0", "\"unk\": 99"),
              ThrowsMessage<DataError>(HasSubstr("unk is 99, a number without a token")));
  EXPECT_THAT(changed("\"unk\": 0", "\"unk\": -7"), ThrowsMessage<DataError>(HasSubstr("-7")));
  EXPECT_THAT(changed("\"unk\": 0,", ""), ThrowsMessage<DataError>(HasSubstr("has no unk")));
  EXPECT_THAT(changed("\"pipeline\"", "\"word\""),
              ThrowsMessage<DataError>(HasSubstr("belong to a pipeline")));
}

TEST(PipelineTokeniser, IsNotTrained) {
  EXPECT_THAT(
      [] {
        const std::vector<std::string> text = {"a"};
        Tokeniser::train({.kind = Tokeniser::Kind::pipeline}, text);
      },
      ThrowsMessage<Error>(HasSubstr("cannot be trained")));
}

}  // namespace
}  // namespace qkv
