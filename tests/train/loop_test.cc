#include "qkv/train/loop.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <tuple>
#include <utility>
#include <vector>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/json.h"
#include "qkv/io/safetensors.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

using testing::AllOf;
using testing::HasSubstr;

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
  std::function<void(Validation&)> on_validation;
  bool fail_to_save = false;

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
      Validation v{.loss = norm, .score = -norm, .text = "toy", .metrics = ""};
      if (on_validation) on_validation(v);
      return v;
    };
    t.save = [this](const std::filesystem::path&) {
      if (fail_to_save) throw FileError("the disk is full");
      ++saves;
    };
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

std::string error_of(Toy& toy, const std::filesystem::path& directory, bool resume = false) {
  try {
    toy.run(directory, resume);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

std::string state_of(const Temporary& folder) {
  return read_file(folder / "state" / "state.safetensors");
}

TEST(Train, AFailureBeforeAnythingIsSavedLeavesNothing) {
  const Temporary folder;
  Toy toy;
  toy.explode_at = 2;
  EXPECT_THAT(error_of(toy, folder / "run"), HasSubstr("no state was saved yet, train again"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Train, AValidationThatIsNoNumberStopsAndIsNeverTheBest) {
  for (const bool loss : {true, false}) {
    for (const double bad : {std::nan(""), -HUGE_VAL, HUGE_VAL}) {
      const Temporary folder;
      Toy toy;
      toy.options.validate_every = 4;
      toy.on_validation = [&](Validation& v) {
        if (toy.validations == 2) (loss ? v.loss : v.score) = bad;
      };
      EXPECT_THAT(error_of(toy, folder.path()),
                  AllOf(HasSubstr("step 8: the validation's"), HasSubstr("lower learning rate"),
                        HasSubstr("the last good state is in")));
      EXPECT_EQ(toy.saves, 1) << "of the first validation";
      Toy again;
      again.run(folder.path(), true);  // the advice of the message
    }
  }
}

TEST(Train, AFirstValidationThatIsNoNumberSavesNothing) {
  const Temporary folder;
  Toy toy;
  toy.on_validation = [](Validation& v) { v.loss = std::nan(""); };
  EXPECT_THAT(error_of(toy, folder / "run"), HasSubstr("no state was saved yet"));
  EXPECT_EQ(toy.saves, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Train, AStateThatLeadsToNaNDoesNotReplaceAGoodOne) {
  const Temporary folder;
  Toy toy;
  toy.options.validate_every = 1;
  toy.explode_at = 13;  // in step 8, after the validation of step 7
  EXPECT_THAT(error_of(toy, folder.path()), HasSubstr("step 8: the loss is nan; the last good"));
  Toy again;
  again.options.validate_every = 1;
  again.run(folder.path(), true);
}

TEST(Train, WeightsThatAreNoNumbersAreNotSaved) {
  const Temporary folder;
  Toy toy;
  toy.on_validation = [&](Validation& v) {
    v.loss = 1;  // sees nothing of it
    v.score = 1;
    if (toy.validations == 3) toy.model.b.weight.data()[3] = INFINITY;
  };
  EXPECT_THAT(error_of(toy, folder.path()),
              AllOf(HasSubstr("b.weight is inf at element 3"), HasSubstr("the last good state")));
  Toy again;
  again.run(folder.path(), true);
}

TEST(Train, ANewRunReplacesTheOldOneWithItsFirstState) {
  const Temporary folder;
  Toy old, young;
  old.run(folder.path());
  const std::string state = state_of(folder), metrics = read_file(folder / "metrics.jsonl");
  young.explode_at = 7;
  EXPECT_THAT(error_of(young, folder.path()), HasSubstr("no state was saved yet"));
  EXPECT_EQ(state_of(folder), state);
  EXPECT_EQ(read_file(folder / "metrics.jsonl"), metrics);
  Toy other;
  other.options.steps = 4;
  other.options.report_every = 4;
  other.run(folder.path());
  EXPECT_EQ(read_jsonl(folder / "metrics.jsonl").size(), 2U);
}

/// Finds its own way to the bits of an uninterrupted run from a state saved before a validation.
TEST(Train, AStateFromBeforeAValidationIsResumedWithIt) {
  const Temporary whole_folder, folder;
  Toy whole, first, second;
  for (Toy* toy : {&whole, &first, &second}) toy->options.average_last = 2;
  const std::vector<float> expected = whole.run(whole_folder.path());
  // The first state is saved before the first validation's model; the save fails.
  first.on_validation = [&](Validation&) { first.fail_to_save = true; };
  EXPECT_THAT(error_of(first, folder.path()), HasSubstr("full"));
  EXPECT_EQ(second.run(folder.path(), true), expected);
  EXPECT_EQ(second.validations, whole.validations);
}

TEST(Train, ResumingRefusesADamagedState) {
  const Temporary folder;
  Toy toy;
  toy.options.average_last = 2;
  toy.run(folder.path());
  const std::filesystem::path path = folder / "state" / "state.safetensors";
  const std::string whole = read_file(path);
  for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 301) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    write_file(path, bad);
    Toy again;
    again.options.average_last = 2;
    EXPECT_NE(error_of(again, folder.path(), true), "no error") << at;
    write_file(path, std::string_view(whole).substr(0, at));
    EXPECT_NE(error_of(again, folder.path(), true), "no error") << "cut at " << at;
  }
}

/// The state with its header, checksums and all made to fit what `change` did.
std::string error_after(const std::function<void(Json&, std::vector<NamedTensor>&)>& change) {
  const Temporary folder;
  Toy toy, again;
  for (Toy* t : {&toy, &again}) t->options.average_last = 2;
  toy.run(folder.path());
  const std::filesystem::path path = folder / "state" / "state.safetensors";
  std::vector<NamedTensor> tensors;
  auto meta = SafetensorsFile(path).metadata();
  {
    const SafetensorsFile file(path);
    for (const std::string& name : file.names()) tensors.push_back({name, file.tensor_copy(name)});
  }
  Json position = Json::parse(meta["qkv.position"]);
  change(position, tensors);
  meta["qkv.position"] = position.dump();
  save_safetensors(path, tensors, meta);
  return error_of(again, folder.path(), true);
}

TEST(Train, ResumingChecksWhatTheStateSays) {
  EXPECT_EQ(error_after([](Json&, auto&) {}), "no error");
  for (const auto& [field, value, expected] :
       {std::tuple{"step", Json(-100), "position.step"}, std::tuple{"step", Json(1e300), "step"},
        std::tuple{"step", Json("x"), "position.step"}, std::tuple{"epoch", Json(-1), "epoch"},
        std::tuple{"batch", Json(1.5), "batch"}, std::tuple{"validated", Json(1000), "validated"},
        std::tuple{"best_score", Json("good"), "best_score"},
        std::tuple{"seconds", Json(-1), "seconds"}, std::tuple{"other", Json(1), "other"}}) {
    EXPECT_THAT(error_after([name = field, &json = value](Json& p, auto&) { p[name] = json; }),
                AllOf(HasSubstr("state.safetensors"), HasSubstr(expected)));
  }
  EXPECT_THAT(error_after([](Json& p, auto&) { p.erase("stale"); }), HasSubstr("stale"));
  const auto tensor = [](auto& tensors, std::string_view name) -> Tensor& {
    for (NamedTensor& t : tensors) {
      if (t.name == name) return t.tensor;
    }
    throw std::out_of_range("no such tensor");
  };
  EXPECT_THAT(error_after([&](Json&, auto& t) { tensor(t, "weights").data()[3] = NAN; }),
              AllOf(HasSubstr("weights"), HasSubstr("NaN")));
  EXPECT_THAT(error_after([&](Json&, auto& t) { tensor(t, "snapshot.001") = Tensor::zeros({16}); }),
              HasSubstr("snapshot.001"));
  EXPECT_THAT(error_after([&](Json&, auto& t) { tensor(t, "m") = tensor(t, "m").to(DType::f64); }),
              AllOf(HasSubstr("'m'"), HasSubstr("F64")));
  EXPECT_THAT(error_after([&](Json&, auto& t) { tensor(t, "m") = Tensor::zeros({16}); }),
              AllOf(HasSubstr("state.safetensors"), HasSubstr("'m'")));
}

TEST(Train, NumbersOutOfTheirRangeAreRefusedBeforeTheFirstStep) {
  const auto refused = [](const std::function<void(TrainOptions&)>& change) {
    Toy toy;
    change(toy.options);
    try {
      Optimiser optimiser(toy.model, toy.options.optimiser);
      (void)train(toy.task(), optimiser, toy.options, "/nowhere", false);
    } catch (const FileError&) {
      return false;  // it would have begun
    } catch (const Error&) {
      return toy.calls == 0;
    }
    return false;
  };
  for (const auto& change :
       std::vector<std::function<void(TrainOptions&)>>{[](auto& o) { o.schedule.rate = -1; },
                                                       [](auto& o) { o.schedule.rate = kNan; },
                                                       [](auto& o) { o.schedule.rate = kInfinity; },
                                                       [](auto& o) { o.schedule.warm_up = -1; },
                                                       [](auto& o) { o.schedule.floor = -1; },
                                                       [](auto& o) { o.optimiser.beta2 = 1; },
                                                       [](auto& o) { o.optimiser.beta2 = 1.5; },
                                                       [](auto& o) { o.optimiser.beta1 = kNan; },
                                                       [](auto& o) { o.optimiser.ema = 2; },
                                                       [](auto& o) { o.optimiser.clip_norm = -1; },
                                                       [](auto& o) { o.optimiser.decay = -50; },
                                                       [](auto& o) { o.optimiser.momentum = 2; },
                                                       [](auto& o) { o.optimiser.eps = -1; },
                                                       [](auto& o) { o.accumulate = -3; },
                                                       [](auto& o) { o.accumulate = 0; },
                                                       [](auto& o) { o.minutes = -1; },
                                                       [](auto& o) { o.minutes = kNan; },
                                                       [](auto& o) { o.steps = -5; },
                                                       [](auto& o) { o.epochs = -1; },
                                                       [](auto& o) { o.patience = -1; },
                                                       [](auto& o) { o.average_last = -1; },
                                                       [](auto& o) { o.validate_every = -1; },
                                                       [](auto& o) { o.save_minutes = -1; },
                                                       [](auto& o) { o.report_every = 0; }}) {
    EXPECT_TRUE(refused(change));
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

// The rule of Veličković et al. 2018.
TEST(Train, OfTwoScoresBothKeepAModelAndEitherKeepsARunGoing) {
  const Temporary folder;
  Toy toy;
  toy.options.patience = 2;
  toy.options.steps = 1000;
  const std::vector<std::pair<double, double>> scores = {{1, 1}, {2, 0}, {0, 2},
                                                         {2, 2}, {1, 1}, {1, 1}};
  toy.on_validation = [&](Validation& v) {
    std::tie(v.score, v.second) = scores.at(static_cast<std::size_t>(toy.validations - 1));
  };
  toy.run(folder.path(), false, TrainReport::End::patience);
  EXPECT_EQ(toy.validations, 6);
  EXPECT_EQ(toy.saves, 2) << "the first and the fourth";
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
