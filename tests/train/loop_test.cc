#include "qkv/train/loop.h"

#include <cmath>
#include <cstring>
#include <filesystem>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/file.h"
#include "qkv/io/json.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

/// A two-layer regression with dropout: small, noisy, and every part of the loop matters to its
/// bits.
struct Toy {
  struct Model {
    Linear a, b;
    template <class Self, class Visit>
    static void each(Self& m, Visit&& visit) {
      visit("a", m.a);
      visit("b", m.b);
    }
  };
  Model model;
  TrainOptions options;
  int validations = 0, saves = 0;
  std::int64_t explode_at = -1, stop_at = -1, calls = 0;

  Toy() {
    Initialiser init(3);
    model.a = Linear::make(init, 4, 8);
    model.b = Linear::make(init, 8, 1);
    options.schedule = {.kind = Schedule::Kind::constant, .rate = 1e-2, .warm_up = 0};
    options.optimiser.clip_norm = 1;
    options.steps = 12;
    options.accumulate = 2;
    options.validate_every = 4;
    options.report_every = 1;
  }

  TrainTask task() {
    TrainTask t;
    t.plan = [](std::int64_t epoch) {
      std::vector<std::vector<std::int64_t>> plan;
      for (std::int64_t b = 0; b < 5; ++b) plan.push_back({epoch * 7 + b, b});
      return plan;
    };
    t.tokens = [](std::span<const std::int64_t> examples) {
      return static_cast<std::int64_t>(examples.size());
    };
    t.loss = [this](std::span<const std::int64_t> examples, double scale_by) {
      const auto rows = static_cast<std::int64_t>(examples.size());
      Tensor x = Tensor::empty({rows, 4});
      for (std::int64_t i = 0; i < x.count(); ++i) {
        Philox random(static_cast<std::uint64_t>(examples[static_cast<std::size_t>(i / 4)]),
                      static_cast<std::uint64_t>(i % 4));
        x.data()[i] = static_cast<float>(random.normal());
      }
      ++calls;
      const Tensor y = model.b(model.a(x, Activation::tanh, 0.2));
      const Tensor squared = sum(multiply(y, y));
      BatchLoss loss;
      loss.loss = scale(squared, scale_by);
      loss.loss_sum = calls == explode_at ? std::nan("") : squared.item();
      loss.tokens = rows;
      if (calls == stop_at) g_interrupt_training = 1;
      return loss;
    };
    t.validate = [this] {
      ++validations;
      double norm = 0;
      for (float w : model.a.weight.values())
        norm += static_cast<double>(w) * static_cast<double>(w);
      return Validation{.loss = norm, .score = -norm, .text = "toy", .metrics = ""};
    };
    t.save = [this] { ++saves; };
    return t;
  }

  std::vector<float> run(const std::filesystem::path& directory, bool resume = false,
                         TrainReport::End expected = TrainReport::End::done) {
    Optimiser optimiser(model, options.optimiser);
    const TrainReport report = train(task(), optimiser, options, directory, resume);
    EXPECT_EQ(report.end, expected);
    g_interrupt_training = 0;
    const Tensor flat = optimiser.snapshot();
    return {flat.values().begin(), flat.values().end()};
  }
};

TEST(Train, ResumedRunEndsInTheSameBits) {
  for (const bool average : {false, true}) {
    for (const std::int64_t stop_at : {1, 6, 7, 10, 19}) {
      const Temporary whole_folder, parts_folder;
      Toy whole, first, second;
      for (Toy* toy : {&whole, &first, &second}) {
        toy->options.average_last = average ? 2 : 0;
        toy->options.optimiser.ema = average ? 0.0 : 0.9;
      }
      const std::vector<float> expected = whole.run(whole_folder.path());
      first.stop_at = stop_at;
      first.run(parts_folder.path(), false, TrainReport::End::interrupted);
      const std::vector<float> resumed = second.run(parts_folder.path(), true);
      ASSERT_EQ(expected.size(), resumed.size());
      EXPECT_EQ(std::memcmp(expected.data(), resumed.data(), 4 * expected.size()), 0)
          << "stopped in batch " << stop_at;
      const auto a = read_jsonl(whole_folder.path() / "metrics.jsonl");
      const auto b = read_jsonl(parts_folder.path() / "metrics.jsonl");
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i)
        EXPECT_EQ(a[i].value("loss", 0.0), b[i].value("loss", 0.0));
    }
  }
}

TEST(Train, ResumingAFinishedRunChangesNothing) {
  const Temporary folder;
  Toy first, again;
  for (Toy* toy : {&first, &again}) toy->options.average_last = 2;
  const std::vector<float> expected = first.run(folder.path());
  const std::string metrics = read_file(folder.path() / "metrics.jsonl");
  EXPECT_EQ(again.run(folder.path(), true), expected);
  EXPECT_EQ(again.validations, 0) << "the last weights were judged already";
  EXPECT_EQ(read_file(folder.path() / "metrics.jsonl"), metrics);
}

TEST(Train, NotFiniteLossStopsWithAdvice) {
  const Temporary folder;
  Toy toy;
  toy.explode_at = 7;
  Optimiser optimiser(toy.model, toy.options.optimiser);
  try {
    train(toy.task(), optimiser, toy.options, folder.path(), false);
    FAIL();
  } catch (const NumericError& e) {
    EXPECT_NE(std::string(e.what()).find("step 4: the loss is nan"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("lower learning rate"), std::string::npos);
  }
}

TEST(Train, NotFiniteGradientNamesTheTensor) {
  Toy toy;
  Optimiser optimiser(toy.model, toy.options.optimiser);
  Tensor sum_of = gradient_sum(toy.model.b.weight);
  sum_of.data()[3] = INFINITY;
  try {
    optimiser.step(0.1);
    FAIL();
  } catch (const NumericError& e) {
    EXPECT_NE(std::string(e.what()).find("b.weight is inf at element 3"), std::string::npos)
        << e.what();
  }
}

TEST(Train, PatienceStops) {
  const Temporary folder;
  Toy toy;
  toy.options.patience = 2;
  toy.options.steps = 1000;
  toy.options.schedule.rate = 0;  // nothing ever gets better
  toy.run(folder.path(), false, TrainReport::End::patience);
  EXPECT_EQ(toy.validations, 3);
  EXPECT_EQ(toy.saves, 1);
}

TEST(Train, ResumeWithoutStateSaysSo) {
  const Temporary folder;
  Toy toy;
  Optimiser optimiser(toy.model, toy.options.optimiser);
  EXPECT_THROW(train(toy.task(), optimiser, toy.options, folder.path(), true), Error);
  toy.options.steps = 0;
  EXPECT_THROW(train(toy.task(), optimiser, toy.options, folder.path(), false), Error) << "no end";
}

TEST(Optimiser, MovesParametersIntoOneBlockAndClips) {
  Toy toy;
  const float before = toy.model.a.weight.data()[5];
  OptimiserOptions options;
  options.kind = OptimiserOptions::Kind::sgd;
  options.clip_norm = 1;
  Optimiser optimiser(toy.model, options);
  EXPECT_EQ(toy.model.a.weight.data()[5], before);
  EXPECT_TRUE(is_parameter(toy.model.a.weight));
  Tensor g = gradient_sum(toy.model.a.weight);
  g.data()[5] = 10;  // the only gradient: its norm is 10, clipped to 1
  EXPECT_DOUBLE_EQ(optimiser.step(0.5), 10.0);
  EXPECT_FLOAT_EQ(toy.model.a.weight.data()[5], before - 0.5f);
}

TEST(Optimiser, AdamOfBertHasNoCorrectionAndSparesVectors) {
  Toy toy;
  const float weight = toy.model.a.weight.data()[5], other = toy.model.a.weight.data()[6];
  toy.model.a.bias.data()[0] = 2;
  OptimiserOptions options{.beta2 = 0.999, .eps = 1e-6, .decay = 0.1};
  options.decay_vectors = options.bias_correction = false;
  Optimiser optimiser(toy.model, options);
  gradient_sum(toy.model.a.weight).data()[5] = 3;
  (void)optimiser.step(0.01);
  // m / sqrt(v) of a first step is 0.1 / sqrt(0.001), not 1.
  EXPECT_NEAR(toy.model.a.weight.data()[5], weight - 0.01F * (3.16228F + 0.1F * weight), 1e-6);
  EXPECT_NEAR(toy.model.a.weight.data()[6], other * 0.999F, 1e-7) << "decay alone";
  EXPECT_EQ(toy.model.a.bias.data()[0], 2.0F) << "biases do not decay";
}

}  // namespace
}  // namespace qkv
