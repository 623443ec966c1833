// The nearest texts by each similarity, against all of them compared one by one.
#include "qkv/systems/nearest_texts.h"

#include <algorithm>
#include <cmath>

#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/systems/pair_scores.h"

namespace qkv {
namespace {

const std::vector<std::string> kTexts = {"the red boat", "a dog waits",  "red red red .",
                                         "to the dog",   "the red boat", "boat",
                                         "a a a a"};

double compared(const std::vector<float>& a, const std::vector<float>& b, Similarity how) {
  double dot = 0, aa = 0, bb = 0, squares = 0, absolute = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    dot += x * y;
    aa += x * x;
    bb += y * y;
    squares += (x - y) * (x - y);
    absolute += std::abs(x - y);
  }
  switch (how) {
    case Similarity::cosine:
      return dot / std::sqrt(aa * bb);
    case Similarity::dot:
      return dot;
    case Similarity::euclidean:
      return -std::sqrt(squares);
    case Similarity::manhattan:
      return -absolute;
  }
  return 0;
}

TEST(NearestTexts, IsEveryComparisonSorted) {
  const Encoder encoder(tiny::bert());
  const std::vector<std::string> queries = {"the boat waits", "a dog"};
  for (const Similarity how :
       {Similarity::cosine, Similarity::dot, Similarity::euclidean, Similarity::manhattan}) {
    const NearestTexts index(encoder, kTexts, {.top = 4, .similarity = how});
    const auto found = index.nearest(queries);
    ASSERT_EQ(found.size(), 2U);
    for (std::size_t q = 0; q < 2; ++q) {
      const std::vector<float> query = encoder.embed(queries[q]);
      std::vector<std::pair<double, std::int64_t>> all;
      for (std::size_t i = 0; i < kTexts.size(); ++i) {
        // Equal texts have equal scores: the earlier one is nearer.
        all.emplace_back(-compared(query, encoder.embed(kTexts[i]), how), i);
      }
      std::sort(all.begin(), all.end());
      ASSERT_EQ(found[q].size(), 4U);
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(found[q][i].index, all[i].second) << name_of(how) << " " << i;
        EXPECT_NEAR(found[q][i].score, -all[i].first, 1e-5) << name_of(how);
      }
      const auto alone = index.nearest(std::span(&queries[q], 1)).front();
      for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(alone[i].score, found[q][i].score);
    }
  }
}

TEST(NearestTexts, TheDirectorySaysHow) {
  BertModel model = tiny::bert();
  EXPECT_EQ(Encoder(model).similarity(), Similarity::cosine);
  model.sentence.similarity = Similarity::euclidean;
  const Temporary folder;
  save_bert_model(model, folder / "m");
  const Encoder encoder = Encoder::load(folder / "m");
  const NearestTexts index(encoder, kTexts);
  EXPECT_EQ(index.similarity(), Similarity::euclidean);
  const auto found = index.nearest(std::vector<std::string>{"boat"}).front();
  EXPECT_EQ(found.size(), kTexts.size()) << "fewer texts than --top";
  EXPECT_EQ(index.text(found.front().index), "boat");
  EXPECT_NEAR(found.front().score, 0, 1e-6);
  EXPECT_THROW(NearestTexts(encoder, {}), Error);
  EXPECT_TRUE(index.nearest({}).empty());
}

TEST(NearestTexts, AForeignDirectorySaysHow) {
  const Temporary folder;
  tiny::make_foreign(folder / "m");
  write_json(folder / "m" / "config_sentence_transformers.json", {{"similarity_fn_name", "dot"}});
  EXPECT_EQ(Encoder::load(folder / "m").similarity(), Similarity::dot);
  write_json(folder / "m" / "config_sentence_transformers.json", {{"similarity_fn_name", "new"}});
  EXPECT_THROW(Encoder::load(folder / "m"), DataError);
}

TEST(PairScores, PartnersAreFoundAmongAllSeconds) {
  const BertModel model = tiny::bert();
  // Each text is its own partner; the repeated one is no rival of itself.
  const SentencePairs same{.first = kTexts, .second = kTexts};
  const PairScores found = score_pairs(model, same);
  EXPECT_EQ(found.ranks->first, 7);
  EXPECT_DOUBLE_EQ(found.score(), 100);
  const std::vector<std::int64_t> index = {0, 4, 5};
  EXPECT_EQ(repeated_texts(same, index), (std::vector<std::uint8_t>{0, 1, 0, 1, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(repeated_texts(same, std::vector<std::int64_t>{0, 1}).empty());
  // A negative that is the query itself is left out, any other counts.
  const SentencePairs pairs{
      .first = {"boat", "dog"}, .second = {"a dog", "to"}, .negative = {"dog", "dog"}};
  const PairScores both = score_pairs(model, pairs);
  EXPECT_EQ(both.ranks->longest, 4);
  EXPECT_EQ(repeated_texts(pairs, std::vector<std::int64_t>{0, 1}),
            (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 1, 1}));
  const SentencePairs scored{
      .first = {"boat", "dog", "red"}, .second = {"boat", "to", "the"}, .scores = {5, 1, 2}};
  const PairScores s = score_pairs(model, scored);
  ASSERT_TRUE(s.scores && !s.ranks);
  EXPECT_GT(s.scores->spearman, 0.4) << "the same text is nearest";
}

}  // namespace
}  // namespace qkv
