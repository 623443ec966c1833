#include "qkv/text/streaming.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

const std::vector<std::string> kText = {"The cat, it's said, sat on the mat.",
                                        "It didn't move \u2014 not once!", "caf\u00E9 \u732B"};

TEST(StreamingText, PiecesJoinedAreTheDecodedText) {
  for (const char* kind : {"character", "space", "word", "bpe", "unigram"}) {
    TokeniserOptions options{.kind = kind_of(kind)};
    if (options.kind == Tokeniser::Kind::bpe || options.kind == Tokeniser::Kind::unigram) {
      options.vocabulary_size = 330;
      options.byte_fallback = true;
    }
    const Tokeniser t = Tokeniser::train(options, kText);
    // Unseen characters become byte pieces where there are some; the line is long enough to forget.
    std::string line = "The cat sat \u72AC once, it's";
    for (int i = 0; i < 8; ++i) line += " on the mat, not once!";
    const std::vector<std::int32_t> ids = t.encode(line);
    ASSERT_GT(ids.size(), 33U);
    StreamingText streaming(t, t.eos());
    std::string text;
    for (int lines = 0; lines < 2; ++lines) {
      for (const std::int32_t id : ids) text += streaming.add(id);
      text += streaming.add(t.eos());
    }
    EXPECT_EQ(text, t.decode(ids) + "\n" + t.decode(ids) + "\n") << kind;
  }
}

TEST(StreamingText, HalfACharacterWaitsForTheOther) {
  const Tokeniser t = Tokeniser::train(
      {.kind = Tokeniser::Kind::bpe, .vocabulary_size = 330, .byte_fallback = true}, kText);
  const std::vector<std::int32_t> ids = t.encode("a\u72AC");
  StreamingText streaming(t);
  std::string text;
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) text += streaming.add(ids[i]);
  EXPECT_EQ(text, "a");
  EXPECT_EQ(streaming.add(ids.back()), "\u72AC");
  StreamingText torn(t);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) (void)torn.add(ids[i]);
  EXPECT_FALSE(torn.finish().empty()) << "what is there is told at the end";
  EXPECT_EQ(torn.finish(), "");
}

}  // namespace
}  // namespace qkv
