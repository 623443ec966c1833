// Who learns how fast: rules from names, the optimiser under them, schedules that end with the
// data.
#include "qkv/train/fine_tuning.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/models/labeller.h"
#include "qkv/models/mpt.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using ::testing::HasSubstr;

struct Small {
  Linear low, high;
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("low", m.low);
    visit("high", m.high);
  }
  static Small make() {
    Initialiser init(5);
    Small m;
    m.low = Linear::make(init, 4, 6);
    m.high = Linear::make(init, 6, 2);
    return m;
  }
  void backward() const {
    Tape tape;
    Tensor y;
    {
      const Recording on(tape);
      y = high(low(Tensor::full({3, 4}, 0.5), Activation::tanh));
      y = sum(multiply(y, y));
    }
    tape.backward(y);
  }
};

std::vector<float> numbers(const Tensor& t) { return {t.values().begin(), t.values().end()}; }

std::vector<Small> trained(const OptimiserOptions& options, const Trainable& rule, int steps) {
  Small m = Small::make();
  Optimiser optimiser(m, options, rule);
  for (int i = 0; i < steps; ++i) {
    optimiser.clear_gradients();
    m.backward();
    optimiser.step(0.1);
  }
  return {m};
}

TEST(Trainable, AFactorOfOneChangesNoBit) {
  for (const auto kind : {OptimiserOptions::Kind::adam, OptimiserOptions::Kind::sgd}) {
    const OptimiserOptions options{
        .kind = kind, .momentum = 0.5, .decay = 0.01, .clip_norm = 1, .ema = 0.9};
    const auto plain = trained(options, {}, 4);
    const auto ruled = trained(
        options, [](std::string_view) { return 1.0; }, 4);
    EXPECT_EQ(numbers(plain[0].low.weight), numbers(ruled[0].low.weight));
    EXPECT_EQ(numbers(plain[0].high.bias), numbers(ruled[0].high.bias));
  }
}

TEST(Trainable, AFactorScalesTheStepAndZeroLeavesEverythingAsItIs) {
  const Small begin = Small::make();
  const OptimiserOptions sgd{.kind = OptimiserOptions::Kind::sgd};
  const auto full = trained(sgd, {}, 1);
  const auto half = trained(
      sgd, [](std::string_view p) { return p == "low.weight" ? 0.5 : 1.0; }, 1);
  for (std::size_t i = 0; i < 24; ++i) {
    const auto at = [i](const Small& m) { return m.low.weight.values()[i]; };
    EXPECT_NEAR(at(half[0]) - at(begin), 0.5F * (at(full[0]) - at(begin)), 1e-6F);
  }
  EXPECT_EQ(numbers(half[0].high.weight), numbers(full[0].high.weight));

  Small m = Small::make();
  Optimiser optimiser(m, {.decay = 0.1},
                      [](std::string_view p) { return p.starts_with("low") ? 0.0 : 1.0; });
  EXPECT_EQ(optimiser.count(), 2 * 16) << "of the high part alone, each from a cache line on";
  optimiser.clear_gradients();
  m.backward();
  optimiser.step(0.1);
  EXPECT_EQ(numbers(m.low.weight), numbers(begin.low.weight));
  EXPECT_NE(numbers(m.high.weight), numbers(begin.high.weight));
  EXPECT_FALSE(gradient_of(m.low.weight).defined());
  // Another optimiser without a rule trains all of it again.
  Optimiser again(m, {});
  again.clear_gradients();
  m.backward();
  again.step(0.1);
  EXPECT_NE(numbers(m.low.weight), numbers(begin.low.weight));
  EXPECT_THROW(Optimiser(m, {}, [](std::string_view) { return 0.0; }), Error);
  EXPECT_THROW(Optimiser(m, {}, [](std::string_view) { return -1.0; }), Error);
}

Labeller over_bert() {
  Labeller::Config c{.tags = 3, .width = 8};
  c.encoder = LabelEncoder::bert;
  c.bert = {.vocab_size = 9,
            .hidden_size = 8,
            .num_hidden_layers = 3,
            .num_attention_heads = 2,
            .intermediate_size = 8,
            .max_position_embeddings = 8};
  return Labeller::make(1, c);
}

TEST(FineTuning, LayersLearnSlowerTheDeeperTheyLie) {
  const Labeller m = over_bert();
  EXPECT_FALSE(trainable_of({}, m)) << "nothing asked, nothing ruled";
  const Trainable rule = trainable_of({.layer_rates = 0.5, .head_rate = 3}, m);
  EXPECT_EQ(rule("tag_output.weight"), 3);
  EXPECT_EQ(rule("crf.transition"), 3);
  EXPECT_EQ(rule("bert.encoder.layer.2.output.dense.bias"), 1);
  EXPECT_EQ(rule("bert.encoder.layer.1.output.dense.bias"), 0.5);
  EXPECT_EQ(rule("bert.encoder.layer.0.attention.self.query.weight"), 0.25);
  EXPECT_EQ(rule("bert.embeddings.word_embeddings.weight"), 0.125);
  EXPECT_EQ(rule("bert.embeddings.LayerNorm.bias"), 0.125);
}

TEST(FineTuning, FreezesWhatItIsTold) {
  const Labeller m = over_bert();
  const auto frozen = [&](const char* freeze) {
    const Trainable rule = trainable_of({.freeze = freeze}, m);
    std::string kept;
    for (const char* path :
         {"bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.bias",
          "bert.encoder.layer.2.output.dense.bias", "tag_output.weight"}) {
      kept += rule(path) == 0 ? '0' : '1';
    }
    return kept;
  };
  EXPECT_EQ(frozen("embeddings"), "0111");
  EXPECT_EQ(frozen("1"), "0011");
  EXPECT_EQ(frozen("3"), "0001");
  EXPECT_EQ(frozen("encoder"), "0001");
  const auto refused = [&](const char* freeze, const auto& network, const char* said) {
    try {
      (void)trainable_of({.freeze = freeze}, network);
      FAIL() << freeze;
    } catch (const UsageError& e) {
      EXPECT_THAT(e.what(), HasSubstr(said));
    }
  };
  refused("4", m, "has 3 layers");
  refused("0", m, "a number of layers from 1 on");
  refused("-1", m, "a number of layers");
  refused("all", m, "embeddings, encoder");
  const Mpt decoder =
      Mpt::make(1, {.d_model = 8, .n_heads = 2, .n_layers = 2, .max_seq_len = 8, .vocab_size = 9});
  refused("encoder", decoder, "this model has none");
  const Trainable rule = trainable_of({.layer_rates = 0.5, .freeze = "1"}, decoder);
  EXPECT_EQ(rule("wte"), 0);
  EXPECT_EQ(rule("blocks.0.attn.q.weight"), 0);
  EXPECT_EQ(rule("blocks.1.attn.q.weight"), 1);
  EXPECT_EQ(rule("norm_f.weight"), 1);
}

TEST(FineTuning, WithAdaptersNothingElseLearnsButWhatIsNew) {
  Labeller m = over_bert();
  const LoraOptions lora{.rank = 2};
  add_lora(m, lora, 1);
  const auto fresh = [](std::string_view path) { return !path.starts_with("bert."); };
  const Trainable rule = trainable_of({.layer_rates = 0.5, .lora = lora}, m, fresh);
  EXPECT_EQ(rule("bert.encoder.layer.2.attention.self.query.weight"), 0);
  EXPECT_EQ(rule("bert.encoder.layer.2.attention.self.query.lora_A.weight"), 1);
  EXPECT_EQ(rule("bert.encoder.layer.1.attention.self.query.lora_B.weight"), 0.5);
  EXPECT_EQ(rule("bert.embeddings.word_embeddings.weight"), 0);
  EXPECT_EQ(rule("tag_output.weight"), 1);
  EXPECT_EQ(trained_count(m, rule), 3 * 2 * 2 * (8 + 8) + 8 * 3 + 3 + 9 + 3 + 3);
}

/// The rates of a run of two epochs of five batches, two an update.
std::vector<double> rates(const std::function<void(TrainOptions&)>& change) {
  const Temporary folder;
  Small m = Small::make();
  TrainOptions options = tuned_options();
  options.epochs = 2;
  options.accumulate = 2;
  options.report_every = 1;
  change(options);
  TrainTask task;
  task.plan = [](std::int64_t) { return std::vector<std::vector<std::int64_t>>(5, {0}); };
  task.tokens = [](std::span<const std::int64_t>) { return std::int64_t{1}; };
  task.loss = [&m](std::span<const std::int64_t>, double scaled) {
    const Tensor y = sum(m.high(m.low(Tensor::full({1, 4}, 1.0))));
    return BatchLoss{.loss_sum = y.item(), .tokens = 1, .loss = scale(y, scaled)};
  };
  task.validate = [] { return Validation{.loss = 1, .score = 1, .text = "", .metrics = ""}; };
  task.save = [](const std::filesystem::path&) {};
  Optimiser optimiser(m, options.optimiser);
  train(task, optimiser, options, folder.path(), false);
  std::vector<double> found;
  for (const Json& line : read_jsonl(folder / "metrics.jsonl")) {
    if (line.contains("rate")) found.push_back(line["rate"].get<double>());
  }
  return found;
}

TEST(FineTuning, TheRateRisesAndFallsWithTheData) {
  const auto near = [](std::vector<double> expected) {
    return ::testing::Pointwise(::testing::DoubleNear(1e-12), std::move(expected));
  };
  // Six updates, a third of them to rise.
  EXPECT_THAT(rates([](TrainOptions& o) {
                o.schedule.rate = 1;
                o.schedule.warm_up_share = 1.0 / 3;
                o.schedule.initial = 0;
              }),
              near({0.5, 1, 0.75, 0.5, 0.25, 0}));
  EXPECT_THAT(rates([](TrainOptions& o) {
                o.schedule = {.kind = Schedule::Kind::linear, .rate = 1, .warm_up = 0};
                o.steps = 4;
              }),
              near({0.75, 0.5, 0.25, 0}));
  EXPECT_THROW(rates([](TrainOptions& o) {
                 o.epochs = 0;
                 o.minutes = 1;
               }),
               Error)
      << "a share of nobody knows what";
}

}  // namespace
}  // namespace qkv
