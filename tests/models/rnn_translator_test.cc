#include "qkv/models/rnn_translator.h"

#include <cmath>
#include <numeric>

#include "models/helpers.h"

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::check_module;
using testing::expect_near;
using testing::same_bits;

struct Named {
  std::string name;
  RnnTranslator::Config config;
};

RnnTranslator::Config tiny() {
  return {.source_vocabulary = 12,
          .target_vocabulary = 10,
          .embedding = 5,
          .width = 7,
          .layers = 2,
          .dropout = 0.0};
}

/// One of every kind.
std::vector<Named> kinds() {
  std::vector<Named> all;
  const auto add = [&](const char* name, auto&& change) {
    RnnTranslator::Config c = tiny();
    change(c);
    all.push_back({name, c});
  };
  add("plain", [](auto& c) { c.context = RnnContext::fixed; });
  add("plain lstm both ways", [](auto& c) {
    c.context = RnnContext::fixed;
    c.cell = Cell::lstm;
    c.bidirectional = true;
  });
  add("Bahdanau", [](auto&) {});
  add("Bahdanau both ways", [](auto& c) {
    c.cell = Cell::gru_reset_before;
    c.bidirectional = true;
    c.attention_width = 4;
  });
  add("Bahdanau, general score", [](auto& c) { c.score = RnnScore::general; });
  add("Luong dot", [](auto& c) {
    c.context = RnnContext::after;
    c.score = RnnScore::dot;
  });
  add("Luong general, lstm", [](auto& c) {
    c.context = RnnContext::after;
    c.score = RnnScore::general;
    c.cell = Cell::lstm;
    c.bidirectional = true;
  });
  add("Luong concat", [](auto& c) { c.context = RnnContext::after; });
  add("Luong dot, input feeding", [](auto& c) {
    c.context = RnnContext::after;
    c.score = RnnScore::dot;
    c.input_feeding = true;
  });
  add("Luong concat, lstm, input feeding", [](auto& c) {
    c.context = RnnContext::after;
    c.cell = Cell::lstm;
    c.input_feeding = true;
  });
  add("Bahdanau, monotonic", [](auto& c) {
    c.local = RnnLocal::monotonic;
    c.local_width = 1;
  });
  add("Bahdanau, predictive", [](auto& c) {
    c.local = RnnLocal::predictive;
    c.local_width = 2;
  });
  add("Luong dot, monotonic", [](auto& c) {
    c.context = RnnContext::after;
    c.score = RnnScore::dot;
    c.local = RnnLocal::monotonic;
    c.local_width = 1;
  });
  add("Luong general, predictive", [](auto& c) {
    c.context = RnnContext::after;
    c.score = RnnScore::general;
    c.local = RnnLocal::predictive;
    c.local_width = 1;
  });
  add("Luong concat, lstm, input feeding, predictive", [](auto& c) {
    c.context = RnnContext::after;
    c.cell = Cell::lstm;
    c.input_feeding = true;
    c.local = RnnLocal::predictive;
    c.local_width = 2;
  });
  return all;
}

/// Three sentence pairs whose orders by source and by target length differ.
TranslationBatch batch() {
  TranslationBatch b;
  b.source_segments = Segments({2, 4, 3});
  b.target_segments = Segments({3, 1, 4});
  b.source = {3, 4, 5, 6, 7, 8, 9, 10, 11};
  b.target_in = {1, 4, 5, 1, 1, 6, 7, 8};
  b.target_out = {4, 5, 2, 2, 6, 7, 8, 2};
  return b;
}

std::int64_t count(std::int64_t vs, std::int64_t vt, std::int64_t e, std::int64_t h,
                   RnnContext context) {
  RnnTranslator::Config c;
  c.source_vocabulary = vs;
  c.target_vocabulary = vt;
  c.embedding = e;
  c.width = h;
  c.context = context;
  return parameter_count(RnnTranslator::make(1, c));
}

TEST(RnnTranslator, CountsAreThePublishedOnes) {
  EXPECT_EQ(count(10, 10, 8, 16, RnnContext::fixed), 6858);
  EXPECT_EQ(count(10, 10, 8, 16, RnnContext::before), 7386);
  EXPECT_EQ(count(184, 201, 32, 32, RnnContext::fixed), 47369);
  EXPECT_EQ(count(184, 201, 32, 32, RnnContext::before), 49449);
}

TEST(RnnTranslator, EveryGradientMatchesFiniteDifferences) {
  for (const Named& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    RnnTranslator::Config c = kind.config;
    c.dropout = c.embedding_dropout = c.attention_dropout = 0.2;
    check_module<RnnTranslator>(
        RnnTranslator::make({1, DType::f64}, c),
        [](const RnnTranslator& m) { return m.loss(batch(), {.scale = 0.3}).loss; });
  }
}

TEST(RnnTranslator, TheLossIsThatOfTheHiddenStates) {
  // loss() sorts the batch before it computes anything, decode() keeps its order.
  for (const Named& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const RnnTranslator m = RnnTranslator::make(1, kind.config);
    const TranslationBatch b = batch();
    const RnnMemory memory = m.encode(b.source, b.source_segments);
    const Tensor hidden = m.decode(b.target_in, b.target_segments, memory);
    ASSERT_EQ(hidden.shape(), (Shape{8, 7}));
    const CrossEntropyResult a = cross_entropy(
        hidden, m.output.weight, VocabularyMatrix::projection, m.output.bias, b.target_out);
    const CrossEntropyResult l = m.loss(b, {});
    EXPECT_NEAR(a.loss_sum, l.loss_sum, 1e-5);
    EXPECT_EQ(l.tokens, 8);
    EXPECT_EQ(a.correct, l.correct);
  }
}

TEST(RnnTranslator, ASentenceHasTheSameBitsWhateverItsNeighboursAndTheThreads) {
  for (Named& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    kind.config.width = 36;
    const RnnTranslator m = RnnTranslator::make(1, kind.config);
    const TranslationBatch b = batch();
    const auto whole = [&] {
      return m.decode(b.target_in, b.target_segments, m.encode(b.source, b.source_segments));
    };
    const int before = threads();
    set_threads(2);
    const Tensor two = whole();
    set_threads(1);
    const Tensor one = whole();
    set_threads(before);
    EXPECT_TRUE(same_bits(one, two)) << "threads";
    for (std::int64_t s = 0; s < 3; ++s) {
      const auto part = [&](const std::vector<std::int32_t>& ids, const Segments& of) {
        return std::span(ids).subspan(static_cast<std::size_t>(of.begin(s)),
                                      static_cast<std::size_t>(of.length(s)));
      };
      const RnnMemory memory =
          m.encode(part(b.source, b.source_segments), Segments::one(b.source_segments.length(s)));
      const Tensor alone = m.decode(part(b.target_in, b.target_segments),
                                    Segments::one(b.target_segments.length(s)), memory);
      EXPECT_TRUE(same_bits(alone, one.rows(b.target_segments.begin(s), b.target_segments.end(s))))
          << "sentence " << s;
    }
  }
}

TEST(RnnTranslator, LaterTargetsDoNotReachEarlierStates) {
  for (const Named& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const RnnTranslator m = RnnTranslator::make(1, kind.config);
    const RnnMemory memory = m.encode(std::vector<std::int32_t>{3, 4, 5}, Segments::one(3));
    const auto run = [&](std::int32_t last) {
      return m.decode(std::vector<std::int32_t>{1, 4, last}, Segments::one(3), memory);
    };
    const Tensor a = run(5), b = run(6);
    EXPECT_TRUE(same_bits(a.rows(0, 2), b.rows(0, 2)));
    EXPECT_FALSE(same_bits(a.rows(2, 3), b.rows(2, 3)));
  }
}

TEST(RnnTranslator, TheBahdanauStepIsItsEquations) {
  // One source row: attention can only look there, whatever its weights, so the first hidden state
  // is a GRU of [memory; embedding].
  RnnTranslator::Config c = tiny();
  c.layers = 1;
  const RnnTranslator m = RnnTranslator::make(4, c);
  const RnnMemory memory = m.encode(std::vector<std::int32_t>{3}, Segments::one(1));
  const Tensor got = m.decode(std::vector<std::int32_t>{6}, Segments::one(1), memory);
  Tensor x = Tensor::empty({1, 12});
  std::copy_n(memory.rows.data(), 7, x.data());
  std::copy_n(m.target_embedding.data() + 6 * 5, 5, x.data() + 7);
  const Recurrent::Result want = m.decoder(x, Segments::one(1), memory.states);
  expect_near(got, want.out, 1e-6);
}

/// The formulas of Luong et al. 2015 §3.2 for one state h [H], score q·k, in double.
std::vector<double> local_weights(const RnnTranslator& m, const double* h, const Tensor& keys,
                                  std::int64_t begin, std::int64_t length, std::int64_t step) {
  const std::int64_t width = m.config.width, d = m.config.local_width;
  double place = static_cast<double>(std::min(step, length - 1));
  const bool predicts = m.config.local == RnnLocal::predictive;
  if (predicts) {
    double z = 0;
    for (std::int64_t o = 0; o < width; ++o) {
      double inner = 0;
      for (std::int64_t i = 0; i < width; ++i) {
        inner += h[i] * m.local_hidden.weight.data<double>()[i * width + o];
      }
      z += std::tanh(inner) * m.local_place.weight.data<double>()[o];
    }
    place = static_cast<double>(length) / (1.0 + std::exp(-z));
  }
  std::vector<double> weights(static_cast<std::size_t>(length), 0.0);
  double sum = 0;
  for (std::int64_t j = 0; j < length; ++j) {
    const double away = static_cast<double>(j) - place;
    if (std::abs(away) > static_cast<double>(d)) continue;
    double dot = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      dot += h[i] * keys.data<double>()[(begin + j) * width + i];
    }
    sum += std::exp(dot);
    const double deviation = static_cast<double>(d) / 2;
    weights[static_cast<std::size_t>(j)] =
        std::exp(dot) * (predicts ? std::exp(-away * away / (2 * deviation * deviation)) : 1.0);
  }
  for (double& w : weights) w /= sum;
  return weights;
}

TEST(RnnAttention, LocalWeightsAreTheirFormulas) {
  for (const RnnLocal local : {RnnLocal::monotonic, RnnLocal::predictive}) {
    RnnTranslator::Config c = tiny();
    c.context = RnnContext::after;
    c.score = RnnScore::dot;
    c.local = local;
    c.local_width = 2;
    const RnnTranslator m = RnnTranslator::make({1, DType::f64}, c);
    const Segments sources({9, 1, 6}), rows({4, 1, 12});
    const RnnMemory memory{testing::random_tensor({16, 7}, 1, DType::f64), sources, {}, {}};
    const Tensor state = testing::random_tensor({17, 7}, 2, DType::f64);
    RnnAttention look(m, memory, 0);
    look.watch();
    const Tensor context = look(state, rows);
    std::size_t hidden = 0;
    for (std::int64_t b = 0; b < 3; ++b) {
      for (std::int64_t t = rows.begin(b); t < rows.end(b); ++t) {
        SCOPED_TRACE("row " + std::to_string(t));
        const std::vector<double> want =
            local_weights(m, state.data<double>() + t * 7, memory.rows, sources.begin(b),
                          sources.length(b), t - rows.begin(b));
        std::vector<double> mean(7, 0.0);
        for (std::int64_t j = 0; j < sources.length(b); ++j) {
          const double w = want[static_cast<std::size_t>(j)];
          hidden += w == 0.0;
          EXPECT_NEAR(look.weights().data<double>()[t * 9 + j], w, 1e-12) << "key " << j;
          for (std::size_t i = 0; i < 7; ++i) {
            mean[i] += w * memory.rows.rows(sources.begin(b) + j, sources.end(b)).data<double>()[i];
          }
        }
        for (std::size_t i = 0; i < 7; ++i) {
          EXPECT_NEAR(context.data<double>()[static_cast<std::size_t>(t) * 7 + i], mean[i], 1e-12);
        }
      }
    }
    EXPECT_GE(hidden, 20U);  // or the windows would not be tested
    // One step of all rows is the same as the row of that step.
    RnnAttention stepwise(m, memory, 0);
    const Tensor third =
        stepwise(testing::matrix({{1, 2, 3, 4, 5, 6, 7}}, DType::f64), Segments({1, 0, 0}), 3);
    Tensor four = testing::random_tensor({4, 7}, 3, DType::f64);
    std::iota(four.data<double>() + 21, four.data<double>() + 28, 1.0);
    expect_near(third, look(four, Segments({4, 0, 0})).rows(3, 4), 1e-12);
  }
}

TEST(RnnTranslator, LocalPartsAreCounted) {
  RnnTranslator::Config c = tiny();
  const std::int64_t all = parameter_count(RnnTranslator::make(1, c));
  c.local = RnnLocal::monotonic;
  EXPECT_EQ(parameter_count(RnnTranslator::make(1, c)), all);
  c.local = RnnLocal::predictive;
  EXPECT_EQ(parameter_count(RnnTranslator::make(1, c)), all + 7 * 7 + 7);
}

TEST(AdditiveAttention, GivesThePublishedNumbers) {
  // Matrices as PyTorch stores them, cos(0), cos(1) …; query cos(0 … 2), keys cos(0 … 7).
  const auto cosine = [](int i) { return std::cos(static_cast<double>(i)); };
  Tensor query = Tensor::empty({3, 2}), key = Tensor::empty({2, 2}), weight = Tensor::empty({2});
  Tensor q = Tensor::empty({1, 1, 3}), k = Tensor::empty({4, 1, 2});
  for (int a = 0; a < 2; ++a) {
    for (int i = 0; i < 3; ++i) query.data()[i * 2 + a] = static_cast<float>(cosine(a * 3 + i));
    for (int i = 0; i < 2; ++i) key.data()[i * 2 + a] = static_cast<float>(cosine(a * 2 + i));
    weight.data()[a] = static_cast<float>(cosine(a));
  }
  for (int i = 0; i < 3; ++i) q.data()[i] = static_cast<float>(cosine(i));
  for (int i = 0; i < 8; ++i) k.data()[i] = static_cast<float>(cosine(i));
  const Tensor v = Tensor::of<float>({0, 1, 4, 5, 8, 9, 12, 13}, {4, 1, 2});
  Tensor units = Tensor::zeros({4, 1, 4});
  for (int i = 0; i < 4; ++i) units.data()[i * 5] = 1.0f;
  const Attention how{.score = Additive{.weight = weight, .query = query, .key = key}};
  expect_near(attend(q, k, v, how), Tensor::of<double>({5.973821, 6.973821}, {2}), 1e-5);
  expect_near(attend(q, k, units, how),
              Tensor::of<double>({.271802, .234296, .222545, .271357}, {4}), 1e-6);
}

TEST(AdditiveAttention, EqualKeysGiveTheMeanOfTheValidValues) {
  // d2l's toy: values 0 … 39 as ten rows of four, valid lengths 2 and 6.
  const Tensor q = testing::random_tensor({2, 1, 3}, 1), k = Tensor::full({20, 1, 2}, 1.0);
  std::vector<float> values(80);
  for (std::size_t i = 0; i < 80; ++i) values[i] = static_cast<float>(i % 40);
  const Attention how{.score = Additive{.weight = testing::random_tensor({8}, 2),
                                        .query = testing::random_tensor({3, 8}, 3),
                                        .key = testing::random_tensor({2, 8}, 4)},
                      .mask = segments(Segments({1, 1}), Segments({10, 10})) & lengths({2, 6})};
  expect_near(attend(q, k, Tensor::of(values, {20, 1, 4}), how),
              Tensor::of<double>({2, 3, 4, 5, 10, 11, 12, 13}, {8}), 1e-5);
}

TEST(RnnTranslator, PaddedMeansAreAScale) {
  // d2l's masked loss divides by all steps of a sentence, padding too: logits all 1, ten words, of
  // four steps 4, 2 and 0 count.
  const Tensor hidden = Tensor::full({4, 1}, 1.0), ones = Tensor::full({1, 10}, 1.0);
  const double want[] = {2.302585, 1.151293, 0.0};
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<std::int32_t> targets(4, -1);
    std::fill_n(targets.begin(), 4 - 2 * i, 3);
    const CrossEntropyResult r = cross_entropy(hidden, ones, VocabularyMatrix::projection, {},
                                               targets, {.ignore = -1, .scale = 0.25});
    EXPECT_NEAR(r.loss.item(), want[i], 1e-6);
  }
}

TEST(RnnTranslator, WrongConfigsAndBatchesThrow) {
  const auto broken = [](auto&& change) {
    RnnTranslator::Config c = tiny();
    change(c);
    EXPECT_THROW((void)RnnTranslator::make(1, c), Error);
  };
  broken([](auto& c) { c.width = 0; });
  broken([](auto& c) { c.dropout = 1.0; });
  broken([](auto& c) { c.input_feeding = true; });
  broken([](auto& c) {
    c.context = RnnContext::fixed;
    c.local = RnnLocal::monotonic;
  });
  broken([](auto& c) {
    c.local = RnnLocal::predictive;
    c.local_width = 0;
  });
  broken([](auto& c) {
    c.score = RnnScore::dot;
    c.bidirectional = true;
  });
  RnnTranslator::Config c = tiny();
  c.max_length = 3;
  const RnnTranslator m = RnnTranslator::make(1, c);
  EXPECT_THROW((void)m.loss(batch(), {}), ShapeError);
  TranslationBatch b = batch();
  b.target_segments = Segments({4, 4});
  EXPECT_THROW((void)m.loss(b, {}), ShapeError);
}

}  // namespace
}  // namespace qkv
