// Golden lines are from sacreBLEU 2.6.0: Tokenizer13a()(line), TokenizerZh()(line),
// TokenizerV14International()(line), each line right-stripped first.
#include "qkv/eval/tokenise.h"

#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/eval/strings.h"

namespace qkv {
namespace {

std::string tokens(std::string_view text, BleuTokeniser tokeniser) {
  std::string line;
  for (const std::string& token : tokenise(text, tokeniser)) {
    line += (line.empty() ? "" : " ") + token;
  }
  return line;
}

TEST(Tokenise, AsTheDefinition) {
  struct Row {
    const char *text, *v13a, *zh, *intl;
  };
  const Row rows[] = {
      {"Ein 3-4 Jahre altes Haus, (U.S.) &quot;gut&quot; &amp; 1,000.5 EUR.",
       "Ein 3 - 4 Jahre altes Haus , ( U . S . ) \" gut \" & 1,000.5 EUR .",
       "Ein 3 - 4 Jahre altes Haus , ( U . S . ) & quot ; gut & quot ; & amp ; 1,000.5 EUR .",
       "Ein 3-4 Jahre altes Haus , ( U . S . ) & quot ; gut & quot ; & amp ; 1,000.5 EUR ."},
      {"\u3000 «Ça va?»  —  oui… 50% ₤5 ", "«Ça va ? » — oui… 50 % ₤5",
       "«Ça va ? » — oui … 50 % ₤ 5", "« Ça va ? » — oui … 50 % ₤ 5"},
      {"那只狗正跑过草地。", "那只狗正跑过草地。", "那 只 狗 正 跑 过 草 地 。",
       "那只狗正跑过草地 。"},
      {"他 买了3.5公斤苹果, “真便宜” → OK!", "他 买了3.5公斤苹果 , “真便宜” → OK !",
       "他 买 了 3.5 公 斤 苹 果 , “ 真 便 宜 ” → OK !", "他 买了3.5公斤苹果 , “ 真便宜 ” → OK !"},
      {"a..b,,c 1.2.3, 4-5 6- -7 x.1 1.x <skipped>&lt;b&gt; A&B's don't 「好」2.5€—…¿?",
       "a . . b , , c 1.2.3 , 4 - 5 6 - -7 x . 1 1 . x < b > A & B's don't 「好」2.5€—…¿ ?",
       "a . . b , , c 1.2.3 , 4 - 5 6 - -7 x . 1 1 . x < skipped > & lt ; b & gt ; A & B's don't "
       "「 好 」 2.5 € — … ¿ ?",
       "a . . b , , c 1.2.3 , 4-5 6 - - 7 x . 1 1 . x < skipped > & lt ; b & gt ; A & B ' s don ' "
       "t 「 好 」 2.5 € — … ¿ ?"},
      {"", "", "", ""},
      {" \t\u00A0\u2028", "", "", ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(tokens(row.text, BleuTokeniser::v13a), row.v13a);
    EXPECT_EQ(tokens(row.text, BleuTokeniser::zh), row.zh);
    EXPECT_EQ(tokens(row.text, BleuTokeniser::intl), row.intl);
  }
}

TEST(Tokenise, CharactersAndNone) {
  EXPECT_EQ(tokens("你 好a b!", BleuTokeniser::character), "你 好 a b !");
  EXPECT_EQ(tokens(" a,b  c. ", BleuTokeniser::none), "a,b c.");
}

TEST(Tokenise, TakesAnyBytes) {
  std::string all;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  for (const char* name : {"13a", "zh", "char", "intl", "none"}) {
    EXPECT_FALSE(tokenise(all, bleu_tokeniser(name)).empty()) << name;
  }
}

TEST(Strings, LowerCase) {
  EXPECT_EQ(lower_case("ΟΔΟΣ ΣΑΣ İSTANBUL ÄÇ"), "οδος σας i̇stanbul äç");
  EXPECT_EQ(lower_case("ΑΣ' Σ ΑΣΑ"), "ας' σ ασα");  // 'ΑΣ\' Σ ΑΣΑ'.lower()
}

TEST(Strings, White) {
  EXPECT_EQ(trim("\u3000 a b \u0085\x1f"), "a b");
  EXPECT_EQ(trim_right(" \u2003"), "");
  EXPECT_EQ(split_white("\u200b x\u2028y").size(), 3u);  // U+200B is not white
}

}  // namespace
}  // namespace qkv
