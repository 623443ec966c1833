#include "qkv/models/word_vectors.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "models/helpers.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/attention/attend.h"
#include "qkv/base/error.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using testing::random_tensor;

TEST(Huffman, FrequentWordsHaveShortPaths) {
  const std::vector<std::int64_t> counts = {8, 4, 2, 1, 1};
  const std::vector<HuffmanPath> paths = huffman_paths(counts);
  const std::size_t lengths[] = {1, 2, 3, 4, 4};
  double kraft = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(paths[i].nodes.size(), lengths[i]);
    EXPECT_EQ(paths[i].branches.size(), lengths[i]);
    EXPECT_EQ(paths[i].nodes.front(), 3);  // the root, last of V − 1 = 4 inner nodes
    kraft += std::pow(2.0, -static_cast<double>(lengths[i]));
  }
  EXPECT_EQ(kraft, 1.0);
  for (std::size_t i = 0; i < 5; ++i) {  // no two ways are the same
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(paths[i].branches, paths[j].branches);
  }
  EXPECT_TRUE(huffman_paths(std::vector<std::int64_t>{7})[0].nodes.empty());
  EXPECT_THROW((void)huffman_paths({}), Error);
}

TEST(AliasTable, DrawsByWeight) {
  const std::vector<double> weights = {1, 0, 2, 5, 0.5};
  const AliasTable table(weights);
  LinearCongruence random;
  std::vector<double> seen(5);
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    seen[static_cast<std::size_t>(table.draw((random.bits() << 32) | random.bits()))] += 1;
  }
  EXPECT_EQ(seen[1], 0);
  for (std::size_t i = 0; i < 5; ++i) {
    const double p = weights[i] / 8.5;
    EXPECT_NEAR(seen[i] / kDraws, p, 5 * std::sqrt(p / kDraws) + 1e-12) << i;
  }
  EXPECT_THROW(AliasTable(std::vector<double>{0, 0}), Error);
  EXPECT_THROW(AliasTable(std::vector<double>{1, -1}), Error);
}

VectorNetwork some_vectors(ContextSum context, VectorLoss loss, std::int64_t words = 9) {
  VectorNetwork m =
      VectorNetwork::make(1, {.words = words, .width = 6, .context = context, .loss = loss});
  for (Tensor* t : {&m.input, &m.output}) {
    const Tensor x = random_tensor(t->shape(), t == &m.input ? 5 : 6);
    std::copy_n(x.data(), x.count(), t->data());
  }
  return m;
}

struct Example {
  std::vector<std::int32_t> context, rows;
  std::vector<double> labels;
};

/// −Σ log σ(±h·row) in double.
double loss_of(const Tensor& input, const Tensor& output, const Example& e, bool mean) {
  double loss = 0;
  const std::int64_t dim = input.dim(1);
  for (std::size_t k = 0; k < e.rows.size(); ++k) {
    double f = 0;
    for (std::int64_t i = 0; i < dim; ++i) {
      double h = 0;
      for (const std::int32_t c : e.context) h += input.data<double>()[c * dim + i];
      if (mean) h /= static_cast<double>(e.context.size());
      f += h * output.data<double>()[e.rows[k] * dim + i];
    }
    loss += std::log1p(std::exp(e.labels[k] > 0 ? -f : f));
  }
  return loss;
}

/// A step against finite differences of the loss; what goes to the parts of a mean is |context|
/// times the gradient, as in word2vec.c.
void check_step(ContextSum context, VectorLoss loss) {
  VectorNetwork m = some_vectors(context, loss);
  const bool mean = context == ContextSum::mean;
  const std::vector<std::int64_t> counts = {9, 8, 7, 6, 5, 4, 3, 2, 1};
  const VectorTargets targets = vector_targets(m.config, counts, 3);
  Example e{.context = {0, 2, 5}, .rows = {}, .labels = {}};
  const std::int32_t word = 4;
  LinearCongruence random{.state = 7}, same{.state = 7};
  if (loss == VectorLoss::hierarchical) {
    const HuffmanPath& path = targets.paths[4];
    e.rows = path.nodes;
    for (const std::uint8_t b : path.branches) e.labels.push_back(1 - b);
  } else {
    e.rows = {word};
    e.labels = {1};
    for (int k = 0; k < 3; ++k) {
      const std::int32_t drawn = targets.noise.draw((same.bits() << 32) | same.bits());
      if (drawn == word) continue;
      ASSERT_EQ(std::count(e.rows.begin(), e.rows.end(), drawn), 0) << "choose another seed";
      e.rows.push_back(drawn);
      e.labels.push_back(0);
    }
  }
  Tensor in = m.input.to(DType::f64), out = m.output.to(DType::f64);
  const float rate = 0.125F;
  VectorStep step(m, targets);
  EXPECT_NEAR(step(e.context, word, rate, random, true), loss_of(in, out, e, mean), 1e-5);
  for (Tensor* table : {&in, &out}) {
    const Tensor after = (table == &in ? m.input : m.output).to(DType::f64);
    for (std::int64_t i = 0; i < table->count(); ++i) {
      double& number = table->data<double>()[i];
      const double before = number;
      number = before + 1e-6;
      const double up = loss_of(in, out, e, mean);
      number = before - 1e-6;
      const double slope = (up - loss_of(in, out, e, mean)) / 2e-6;
      number = before;
      const double times = table == &in && mean ? 3 : 1;
      EXPECT_NEAR((after.data<double>()[i] - before) / static_cast<double>(rate), -times * slope,
                  1e-5);
    }
  }
}

TEST(VectorNetwork, AStepIsTheGradient) {
  for (const ContextSum context : {ContextSum::mean, ContextSum::sum}) {
    for (const VectorLoss loss : {VectorLoss::negative, VectorLoss::hierarchical}) {
      check_step(context, loss);
    }
  }
}

TEST(VectorNetwork, TheTreeSpreadsProbabilityOverAllWords) {
  VectorNetwork m = some_vectors(ContextSum::sum, VectorLoss::hierarchical);
  const VectorTargets targets =
      vector_targets(m.config, std::vector<std::int64_t>{9, 8, 7, 6, 5, 4, 3, 2, 1});
  VectorStep step(m, targets);
  LinearCongruence random;
  const std::vector<std::int32_t> context = {1, 3};
  double sum = 0;
  for (std::int32_t w = 0; w < 9; ++w) sum += std::exp(-step(context, w, 0.0F, random, true));
  EXPECT_NEAR(sum, 1.0, 1e-5);
}

TEST(VectorNetwork, StartsAsWord2vecDoes) {
  const VectorNetwork m = VectorNetwork::make(1, {.words = 50, .width = 10});
  EXPECT_EQ(parameter_count(m), 2 * 50 * 10);
  const auto [low, high] = std::minmax_element(m.input.values().begin(), m.input.values().end());
  EXPECT_GE(*low, -0.05F);
  EXPECT_LE(*high, 0.05F);
  EXPECT_GT(*high - *low, 0.09F);
  for (const float v : m.output.values()) EXPECT_EQ(v, 0.0F);
  EXPECT_EQ(
      parameter_count(VectorNetwork::make(1, {.words = 50, .loss = VectorLoss::hierarchical})),
      99 * 100);
  EXPECT_THROW((void)VectorNetwork::make(1, {.words = 1}), Error);
}

TEST(VectorNetwork, LayersGiveMeanAndSum) {
  const VectorNetwork mean = some_vectors(ContextSum::mean, VectorLoss::negative);
  VectorNetwork sum = mean;
  sum.config.context = ContextSum::sum;
  const std::vector<std::int32_t> words = {1, 3, 3, 8, 0};
  const Segments contexts({3, 2});
  const Tensor a = mean.hidden(words, contexts), b = sum.hidden(words, contexts);
  for (std::int64_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(3 * a.data()[i], b.data()[i], 1e-6F);
    EXPECT_NEAR(2 * a.data()[6 + i], b.data()[6 + i], 1e-6F);
  }
  EXPECT_EQ(mean.logits(words, contexts).shape(), (Shape{2, 9}));
  EXPECT_THROW(
      (void)some_vectors(ContextSum::mean, VectorLoss::hierarchical).logits(words, contexts),
      Error);
}

/// BERT without layers, its attention the uniform mean over what is not masked, and a linear
/// softmax head: that is CBOW of the mean. Both are built from the same layers; the logits are the
/// same bits where the number of words is a power of two (a mean by division, the other by its
/// inverse), and within two roundings elsewhere.
TEST(VectorNetwork, BertWithoutLayersIsCbow) {
  const VectorNetwork cbow = some_vectors(ContextSum::mean, VectorLoss::negative, 9);
  const Linear head{.weight = transposed_parameter(cbow.output), .bias = {}};
  const Segments sentences({5, 9, 3, 4, 2});
  std::vector<std::int32_t> words;
  Philox random(3);
  for (std::int64_t t = 0; t < sentences.total(); ++t) {
    words.push_back(static_cast<std::int32_t>(random.below(9)));
  }
  // The masked word of row t is t's own: nobody sees itself.
  const std::int64_t rows = sentences.total();
  const Tensor v = reshape(embed(words, cbow.input), {rows, 1, 6});
  const Tensor same = Tensor::zeros({rows, 1, 6});
  const Attention uniform{.score = ScaledDot{}, .mask = segments(sentences) & ~window(1)};
  const Tensor bert = head(reshape(attend(same, same, v, uniform), {rows, 6}));

  std::vector<std::int32_t> around;
  std::vector<std::int64_t> lengths;
  for (std::int64_t s = 0; s < sentences.count(); ++s) {
    for (std::int64_t t = sentences.begin(s); t < sentences.end(s); ++t) {
      for (std::int64_t c = sentences.begin(s); c < sentences.end(s); ++c) {
        if (c != t) around.push_back(words[static_cast<std::size_t>(c)]);
      }
      lengths.push_back(sentences.length(s) - 1);
    }
  }
  const Tensor logits = cbow.logits(around, Segments(lengths));
  ASSERT_EQ(logits.shape(), bert.shape());
  for (std::int64_t t = 0; t < rows; ++t) {
    const std::int64_t n = lengths[static_cast<std::size_t>(t)];
    for (std::int64_t i = t * 9; i < (t + 1) * 9; ++i) {
      if ((n & (n - 1)) == 0) {
        EXPECT_EQ(logits.data()[i], bert.data()[i]) << n;
      } else {
        EXPECT_NEAR(logits.data()[i], bert.data()[i], 2e-6F) << n;
      }
    }
  }
}

TEST(VectorNetwork, NearestByCosine) {
  const Tensor table = testing::matrix({{1, 0}, {2, 0.1}, {0, 3}, {-1, 0}, {0, 0}, {4, 0}});
  const auto near = nearest_rows(table, unit_row(table, 0), 3, std::vector<std::int32_t>{0});
  ASSERT_EQ(near.size(), 3U);
  EXPECT_EQ(near[0].first, 5);
  EXPECT_DOUBLE_EQ(near[0].second, 1.0);
  EXPECT_EQ(near[1].first, 1);
  EXPECT_EQ(near[2].first, 2);  // as far as row 4, which stands behind it
  EXPECT_EQ(nearest_rows(table, unit_row(table, 0), 100, {}).size(), 6U);
  EXPECT_THAT(unit_row(table, 4), ElementsAre(0, 0));
  EXPECT_THROW((void)nearest_rows(table, std::vector<double>{1}, 1, {}), ShapeError);
}

}  // namespace
}  // namespace qkv
