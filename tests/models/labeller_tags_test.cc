// What binds the tags of a labeller: priors from counts, rules, and the scores they get.
#include <algorithm>
#include <cmath>

#include "models/helpers.h"
#include "models/small_labeller.h"

#include "qkv/models/labeller.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

using namespace small_labeller;

TEST(Labeller, ThePriorComesFromCounts) {
  const std::vector<std::int64_t> counts{0, 1, 3, 0, 0, 0};
  const Tensor p = tag_prior(counts, 2, 3, {.smoothing = 1, .floor = 0.1});
  const std::vector<double> wanted{0.1, 0.55, 0.775, 1, 1, 1};  // the second class was never seen
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(static_cast<double>(p.values()[i]), wanted[i], 1e-6);
  }
  const Tensor hard = tag_prior(counts, 2, 3, {.least = 2});
  EXPECT_EQ(std::vector<float>(hard.values().begin(), hard.values().end()),
            (std::vector<float>{0, 0, 1, 1, 1, 1}));
  EXPECT_THROW((void)tag_prior(counts, 2, 2), ShapeError);
  EXPECT_THROW((void)tag_prior(counts, 2, 3, {.smoothing = 0}), Error);
}

TEST(Labeller, TheSoftPriorWeighsEmissionsByTheClassProbabilities) {
  // Without a CRF the score of the tags is a sum of log-softmaxes that one can form by hand.
  Labeller::Config c = small(LabelEncoder::rnn);
  c.crf = false;
  LabelBatch batch = random_batch({4, 2}, 6);
  const Labeller plain = made(c);
  c.prior = PriorMask::soft;
  const Labeller weighed = made(c);
  const Labeller::States s = plain.encode(batch);
  const Tensor logits = plain.tag_output(s.words);
  const Tensor p = softmax(plain.class_output(s.pooled));
  double wanted = 0;
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t t = batch.segments.begin(b); t < batch.segments.end(b); ++t) {
      std::vector<double> row;
      double sum = 0;
      for (std::int64_t j = 0; j < kTags; ++j) {
        double mix = 1e-6;
        for (std::int64_t k = 0; k < kClasses; ++k) {
          mix += static_cast<double>(p.data()[b * kClasses + k]) *
                 static_cast<double>(weighed.prior.data()[k * kTags + j]);
        }
        row.push_back(static_cast<double>(logits.data()[t * kTags + j]) + std::log(mix));
        sum += std::exp(row.back());
      }
      wanted -=
          row[static_cast<std::size_t>(batch.tags[static_cast<std::size_t>(t)])] - std::log(sum);
    }
  }
  EXPECT_NEAR(weighed.loss(batch).tag_sum, wanted, 1e-4);
  EXPECT_GT(std::abs(plain.loss(batch).tag_sum - wanted), 0.1);
}

TEST(Labeller, TheHardPriorForbids) {
  for (const bool crf : {false, true}) {
    Labeller::Config c = joint(LabelEncoder::rnn, PriorMask::hard);
    c.crf = crf;
    Labeller m = made(c);
    c.prior = PriorMask::none;
    Labeller free = made(c);
    for (Labeller* model : {&m, &free}) {  // they want what is forbidden
      model->class_output.bias.data()[0] += 2;
      model->tag_output.bias.data()[1] += 2;
    }
    const LabelBatch batch = random_batch({6, 3, 0, 8, 5}, 12);
    const auto violations = [&](const LabelPrediction& r) {
      std::int64_t count = 0;
      for (std::int64_t b = 0; b < batch.segments.count(); ++b) {
        const std::int32_t k = r.classes[static_cast<std::size_t>(b)];
        for (std::int64_t t = batch.segments.begin(b); t < batch.segments.end(b); ++t) {
          count += m.prior.data()[k * kTags + r.tags[static_cast<std::size_t>(t)]] == 0.0F;
        }
      }
      return count;
    };
    EXPECT_EQ(violations(m.predict(batch)), 0);
    EXPECT_GT(violations(free.predict(batch)), 0);
    // The loss knows nothing of it.
    EXPECT_EQ(m.loss(batch).tag_sum, free.loss(batch).tag_sum);
  }
}

TEST(Labeller, TagsDecideTheClassWhereThePriorSaysSo) {
  Labeller::Config c = small(LabelEncoder::rnn, kTags, 2);
  c.crf = false;
  c.prior = PriorMask::hard;
  c.prior_way = PriorWay::to_class;
  Labeller m = Labeller::make(4, c);
  m.class_output.bias.data()[0] = 3;  // by itself always class 0
  m.tag_output.bias.data()[2] = 20;   // always tag 2
  m.set_prior(Tensor::of(std::vector<float>{1, 1, 0, 1, 1, 1, 1, 1, 1, 1}, {2, kTags}));
  const LabelBatch batch = random_batch({4}, 1);
  LabelPrediction r = m.predict(batch);
  EXPECT_EQ(r.tags, (std::vector<std::int32_t>{2, 2, 2, 2}));
  EXPECT_EQ(r.classes[0], 1);
  EXPECT_EQ(r.class_log_probabilities.data()[1], 0.0F);
  // When the tags leave no class, they say nothing.
  m.set_prior(Tensor::of(std::vector<float>{1, 1, 0, 1, 1, 1, 1, 0, 1, 1}, {2, kTags}));
  EXPECT_EQ(m.predict(batch).classes[0], 0);

  c.prior = PriorMask::soft;
  Labeller soft = Labeller::make(4, c);
  soft.tag_output.bias.data()[2] = 20;
  soft.set_prior(Tensor::of(std::vector<float>{1, 1, 0.25F, 1, 1, 1, 1, 0.75F, 1, 1}, {2, kTags}));
  c.prior = PriorMask::none;
  Labeller plain = Labeller::make(4, c);
  const Tensor before = plain.predict(batch).class_log_probabilities;
  r = soft.predict(batch);
  const auto odds = [](const Tensor& x) { return static_cast<double>(x.data()[0] - x.data()[1]); };
  EXPECT_NEAR(odds(r.class_log_probabilities), odds(before) - std::log(3.0), 1e-4);
}

TEST(Labeller, RulesBindPredictions) {
  for (const bool crf : {false, true}) {
    Labeller::Config c = small(LabelEncoder::cnn, kTags, 0);
    c.crf = crf;
    Labeller m = made(c);
    TagRules rules;
    rules.transition.assign(kTags * kTags, 1);
    rules.start.assign(kTags, 1);
    rules.start[2] = 0;
    for (std::int64_t i = 0; i < kTags; ++i) {
      rules.transition[static_cast<std::size_t>(i * kTags + 2)] = i == 1;  // 2 only after 1
    }
    m.tag_output.bias.data()[2] += 3;  // and 2 is what it wants
    const auto broken = [](const std::vector<std::int32_t>& tags) {
      std::int64_t count = 0;
      for (std::size_t t = 0; t < tags.size(); ++t) {
        count += tags[t] == 2 && (t == 0 || tags[t - 1] != 1);
      }
      return count;
    };
    const LabelBatch batch = random_batch({9}, 2);
    EXPECT_GT(broken(m.predict(batch).tags), 0);
    m.set_rules(rules);
    const LabelPrediction r = m.predict(batch);
    EXPECT_EQ(broken(r.tags), 0);
    EXPECT_LE(r.tag_scores[0], 0.0);
    EXPECT_THROW(m.set_rules({.start = {1, 1}}), ShapeError);
  }
}

TEST(Labeller, TagScoresAreLogProbabilities) {
  for (const bool crf : {false, true}) {
    Labeller::Config c = small(LabelEncoder::attention, kTags, 0);
    c.crf = crf;
    const Labeller m = made(c);
    LabelBatch batch = random_batch({5}, 8);
    const LabelPrediction r = m.predict(batch);
    batch.tags = r.tags;
    EXPECT_NEAR(r.tag_scores[0], -m.loss(batch).tag_sum, 1e-4);
  }
}

}  // namespace
}  // namespace qkv
