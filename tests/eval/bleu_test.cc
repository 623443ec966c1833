// Golden values are from sacreBLEU 2.6.0:
//   BLEU(tokenize=…, lowercase=…, smooth_method=…, smooth_value=…).corpus_score(hyps, [refs])
//   BLEU(effective_order=True, smooth_method=…).sentence_score(hyp, refs)
// with "%.10f" % score.score, and score.format(signature=str(metric.get_signature())) for lines.
#include "qkv/eval/bleu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Text = std::vector<std::string>;
using ::testing::HasSubstr;

const Text kMan = {"The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."};
const Text kMan1 = {"The dog bit the man.", "It was not unexpected.", "The man bit him first."};
const Text kMan2 = {"The dog had bit the man.", "No one was surprised.",
                    "The man had bitten the dog."};
const Text kOdd = {"Ein 3-4 Jahre altes Haus, (U.S.) &quot;gut&quot; &amp; 1,000.5 EUR.", "",
                   "\u3000 «Ça va?»  —  oui… 50% ₤5 ", "ΟΔΟΣ ΣΑΣ İSTANBUL"};
const Text kOddReference = {"Ein 3- bis 4-jähriges Haus (U.S.), \"gut\" & 1,000.5 EUR.", "nothing",
                            "«Ça va ?» — Oui… 50 % ₤5", "οδος σας i̇stanbul"};
const Text kChinese = {"那只狗正跑过草地。", "你明天有空吗？",
                       "他 买了3.5公斤苹果, “真便宜” → OK!"};
const Text kChineseReference = {"那只狗正在草地上跑。", "你明天有空吗？",
                                "他买了 3.5 公斤的苹果，“很便宜” → OK!"};

TEST(Bleu, EveryTokeniserInBothCases) {
  struct Row {
    BleuTokeniser tokeniser;
    double mixed, lower;
  };
  const Row rows[] = {{BleuTokeniser::v13a, 53.0271821876, 67.2129440959},
                      {BleuTokeniser::zh, 38.5546374786, 50.6205716297},
                      {BleuTokeniser::character, 43.0464265972, 62.8857019094},
                      {BleuTokeniser::intl, 39.6102172628, 51.6900228319},
                      {BleuTokeniser::none, 5.6362243118, 12.8079744337}};
  for (const Row& row : rows) {
    SCOPED_TRACE(name_of(row.tokeniser));
    EXPECT_NEAR(corpus_bleu(kOdd, kOddReference, {.tokeniser = row.tokeniser}).score, row.mixed,
                1e-9);
    EXPECT_NEAR(corpus_bleu(kOdd, kOddReference, {.tokeniser = row.tokeniser, .lower = true}).score,
                row.lower, 1e-9);
  }
}

TEST(Bleu, Chinese) {
  const auto score = [](BleuTokeniser t) {
    return corpus_bleu(kChinese, kChineseReference, {.tokeniser = t}).score;
  };
  EXPECT_NEAR(score(BleuTokeniser::zh), 59.7148981092, 1e-9);
  EXPECT_NEAR(score(BleuTokeniser::character), 63.8379003513, 1e-9);
  EXPECT_NEAR(score(BleuTokeniser::v13a), 24.6694268164, 1e-9);
}

TEST(Bleu, Smoothing) {
  const Text hypotheses(kMan.begin() + 1, kMan.end()), references(kMan1.begin() + 1, kMan1.end());
  const auto score = [&](BleuSmoothing s, std::optional<double> value = {}) {
    return corpus_bleu(hypotheses, references,
                       {.tokeniser = BleuTokeniser::none, .smoothing = s, .smooth_value = value})
        .score;
  };
  EXPECT_EQ(score(BleuSmoothing::none), 0.0);
  EXPECT_NEAR(score(BleuSmoothing::floor), 7.5062385375, 1e-9);
  EXPECT_NEAR(score(BleuSmoothing::floor, 0.5), 16.7844596252, 1e-9);
  EXPECT_NEAR(score(BleuSmoothing::add_k), 24.2745885854, 1e-9);
  EXPECT_NEAR(score(BleuSmoothing::add_k, 2.0), 33.5689192504, 1e-9);
  EXPECT_NEAR(score(BleuSmoothing::exp), 14.1139919308, 1e-9);
}

TEST(Bleu, Sentences) {
  const auto score = [](std::size_t i, BleuSmoothing s) {
    return sentence_bleu(kMan[i], Text{kMan1[i], kMan2[i]},
                         {.smoothing = s, .effective_order = true})
        .score;
  };
  EXPECT_NEAR(score(0, BleuSmoothing::exp), 100.0, 1e-9);
  EXPECT_NEAR(score(1, BleuSmoothing::exp), 14.7940156748, 1e-9);
  EXPECT_NEAR(score(1, BleuSmoothing::floor), 7.4409959475, 1e-9);
  EXPECT_NEAR(score(1, BleuSmoothing::add_k), 29.5880313496, 1e-9);
  EXPECT_EQ(score(1, BleuSmoothing::none), 0.0);
  EXPECT_NEAR(score(2, BleuSmoothing::exp), 29.0715368484, 1e-9);
  EXPECT_NEAR(score(2, BleuSmoothing::add_k), 39.5590898893, 1e-9);
  // Only orders 1 and 2 exist; without effective order the score is 0.
  EXPECT_NEAR(sentence_bleu("the cat", Text{"the cat sat"}).score, 60.6530659713, 1e-9);
  EXPECT_EQ(sentence_bleu("the cat", Text{"the cat sat"}, {}).score, 0.0);
}

TEST(Bleu, ByHand) {
  // 4 words; 3, 1, 0 matches of 4, 3, 2, 1 n-grams; longer than the reference.
  const BleuReport r = corpus_bleu(Text{"a b c d"}, Text{"a b d"},
                                   {.tokeniser = BleuTokeniser::none, .max_order = 2});
  EXPECT_EQ(r.matches, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(r.totals, (std::vector<std::int64_t>{4, 3}));
  EXPECT_NEAR(r.score, 50.0, 1e-12);  // sqrt(3/4 * 1/3)
  EXPECT_EQ(r.length, 4);
  EXPECT_EQ(r.reference_length, 3);
  EXPECT_EQ(r.brevity_penalty, 1.0);
  // A word counts no more often than in the reference that has most of it.
  EXPECT_EQ(
      corpus_bleu(Text{"the the the"}, std::vector<Text>{{"the cat"}, {"the the dog"}}).matches[0],
      2);
}

TEST(Bleu, PrintsAsSacreBleu) {
  const BleuReport r = corpus_bleu(kOdd, kOddReference, {.lower = true});
  EXPECT_EQ(r.text(),
            "BLEU|nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:2.6.0 = 67.21 "
            "93.9/76.7/66.7/54.2 (BP = 0.941 ratio = 0.943 hyp_len = 33 ref_len = 35)");
  EXPECT_EQ(sentence_bleu(kMan[1], Text{kMan1[1], kMan2[1]},
                          {.smoothing = BleuSmoothing::floor, .effective_order = true})
                .text(),
            "BLEU|nrefs:2|case:mixed|eff:yes|tok:13a|smooth:floor[0.10]|version:2.6.0 = 7.44 "
            "50.0/3.3/5.0/10.0 (BP = 0.779 ratio = 0.800 hyp_len = 4 ref_len = 5)");
  // sacrebleu ref -i hyp -m bleu
  EXPECT_EQ(
      corpus_bleu(Text{"the cat sat", "hello"}, Text{"the cat sat down", "hello there"}).json(1),
      "{\n"
      " \"name\": \"BLEU\",\n"
      " \"score\": 0.0,\n"
      " \"signature\": \"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0\",\n"
      " \"verbose_score\": \"100.0/100.0/100.0/0.0 (BP = 0.607 ratio = 0.667 hyp_len = 4 "
      "ref_len = 6)\",\n"
      " \"nrefs\": \"1\",\n"
      " \"case\": \"mixed\",\n"
      " \"eff\": \"no\",\n"
      " \"tok\": \"13a\",\n"
      " \"smooth\": \"exp\",\n"
      " \"version\": \"2.6.0\"\n"
      "}");
}

TEST(Bleu, EmptyLines) {
  EXPECT_EQ(corpus_bleu(Text{"", ""}, Text{"a", "b"}).verbose(),
            "0.0/0.0/0.0/0.0 (BP = 0.000 ratio = 0.000 hyp_len = 0 ref_len = 2)");
  EXPECT_EQ(corpus_bleu(Text{"x"}, Text{""}).verbose(),
            "0.0/0.0/0.0/0.0 (BP = 1.000 ratio = 0.000 hyp_len = 1 ref_len = 0)");
}

std::string message_of(const auto& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Bleu, RefusesWhatDoesNotFit) {
  const Text two = {"a", "b"}, three = {"a", "b", "c"}, none;
  EXPECT_THAT(message_of([&] { (void)corpus_bleu(two, three); }),
              HasSubstr("2 hypotheses but 3 references"));
  EXPECT_THAT(message_of([&] {
                (void)corpus_bleu(two, std::vector<Text>{two, three});
              }),
              HasSubstr("3 references in set 2"));
  EXPECT_THAT(message_of([&] { (void)corpus_bleu(none, none); }), HasSubstr("no lines"));
  EXPECT_THAT(message_of([&] { (void)corpus_bleu(two, std::vector<Text>{}); }),
              HasSubstr("no references"));
  EXPECT_THAT(message_of([&] { (void)corpus_bleu(two, two, {.max_order = 0}); }),
              HasSubstr("max_order"));
}

TEST(Bleu, NamesReadAndWrite) {
  for (const char* name : {"13a", "zh", "char", "intl", "none"}) {
    EXPECT_EQ(name_of(bleu_tokeniser(name)), name);
  }
  EXPECT_EQ(bleu_smoothing("add-k"), BleuSmoothing::add_k);
  EXPECT_THAT(message_of([] { (void)bleu_tokeniser("ja-mecab"); }), HasSubstr("there are 13a"));
  EXPECT_THAT(message_of([] { (void)bleu_smoothing("laplace"); }), HasSubstr("there are none"));
}

}  // namespace
}  // namespace qkv
