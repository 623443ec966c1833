// Golden values are from sacreBLEU 2.6.0: CHRF(…).corpus_score(hyps, refs), "%.10f" % score.score.
#include "qkv/eval/chrf.h"

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Text = std::vector<std::string>;

const Text kMan = {"The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."};
const std::vector<Text> kManReferences = {
    {"The dog bit the man.", "It was not unexpected.", "The man bit him first."},
    {"The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."}};
const Text kOdd = {"Ein 3-4 Jahre altes Haus, (U.S.) &quot;gut&quot; &amp; 1,000.5 EUR.", "",
                   "\u3000 «Ça va?»  —  oui… 50% ₤5 ", "ΟΔΟΣ ΣΑΣ İSTANBUL"};
const Text kOddReference = {"Ein 3- bis 4-jähriges Haus (U.S.), \"gut\" & 1,000.5 EUR.", "nothing",
                            "«Ça va ?» — Oui… 50 % ₤5", "οδος σας i̇stanbul"};
const Text kChinese = {"那只狗正跑过草地。", "你明天有空吗？",
                       "他 买了3.5公斤苹果, “真便宜” → OK!"};
const Text kChineseReference = {"那只狗正在草地上跑。", "你明天有空吗？",
                                "他买了 3.5 公斤的苹果，“很便宜” → OK!"};

TEST(Chrf, EveryOption) {
  struct Row {
    ChrfOptions options;
    double man, odd, chinese;
  };
  const Row rows[] = {
      {{}, 59.7275178268, 39.0106236179, 55.5143344750},
      {{.word_order = 2}, 59.1531044440, 36.6398826769, 52.6042992961},
      {{.whitespace = true}, 65.8764867358, 37.6521412269, 45.6652717554},
      {{.lower = true}, 60.0230272546, 61.1986473993, 55.5143344750},
      {{.eps_smoothing = true}, 59.7273469379, 39.0061296993, 55.5131908152},
      {{.word_order = 2, .eps_smoothing = true}, 59.1346386577, 36.6167526629, 52.5401463947},
      {{.char_order = 3, .beta = 1}, 69.3842942926, 49.4524455382, 72.6143029290}};
  for (const Row& row : rows) {
    SCOPED_TRACE(corpus_chrf(kMan, kManReferences, row.options).text());
    EXPECT_NEAR(corpus_chrf(kMan, kManReferences, row.options).score, row.man, 1e-9);
    EXPECT_NEAR(corpus_chrf(kOdd, kOddReference, row.options).score, row.odd, 1e-9);
    EXPECT_NEAR(corpus_chrf(kChinese, kChineseReference, row.options).score, row.chinese, 1e-9);
  }
}

TEST(Chrf, Sentences) {
  const auto score = [](const char* hypothesis, const char* reference) {
    return sentence_chrf(hypothesis, Text{reference}).score;
  };
  EXPECT_EQ(score("", "abc"), 0.0);
  EXPECT_EQ(score("abc", ""), 0.0);
  EXPECT_EQ(score("xyz", "abc"), 0.0);
  EXPECT_NEAR(score("ab", "abcdefg"), 26.76056338028169, 1e-12);
  EXPECT_NEAR(score("a b", "ab"), 100.0, 1e-12);
}

TEST(Chrf, ByHand) {
  // "abc" against "abd", orders 1 and 2: matches 2 of 3 and 1 of 2, precision = recall = 7/12.
  const ChrfReport r = corpus_chrf(Text{"abc"}, Text{"abd"}, {.char_order = 2});
  EXPECT_EQ(r.counts[0].matches, 2);
  EXPECT_EQ(r.counts[1].hypothesis, 2);
  EXPECT_NEAR(r.score, 100.0 * 7 / 12, 1e-12);
}

TEST(Chrf, PrintsAsSacreBleu) {
  const ChrfReport r = corpus_chrf(kMan, kManReferences, {.word_order = 2});
  EXPECT_EQ(r.text(),
            "chrF2++|nrefs:2|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0 = 59.15");
  // sacrebleu ref -i hyp -m chrf
  EXPECT_EQ(
      corpus_chrf(Text{"the cat sat", "hello"}, Text{"the cat sat down", "hello there"}).json(1),
      "{\n"
      " \"name\": \"chrF2\",\n"
      " \"score\": 53.6,\n"
      " \"signature\": \"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0\",\n"
      " \"nrefs\": \"1\",\n"
      " \"case\": \"mixed\",\n"
      " \"eff\": \"yes\",\n"
      " \"nc\": \"6\",\n"
      " \"nw\": \"0\",\n"
      " \"space\": \"no\",\n"
      " \"version\": \"2.6.0\"\n"
      "}");
}

TEST(Chrf, RefusesWhatDoesNotFit) {
  EXPECT_THROW((void)corpus_chrf(Text{"a"}, Text{"a", "b"}), Error);
  EXPECT_THROW((void)corpus_chrf(Text{}, Text{}), Error);
  EXPECT_THROW((void)corpus_chrf(Text{"a"}, Text{"a"}, {.char_order = 0}), Error);
}

}  // namespace
}  // namespace qkv
