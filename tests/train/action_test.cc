// Actions from clips: the recipe's rates, averaging, model directories, and a
// synthetic world of motions that a model must see in their order.
#include "qkv/train/action.h"

#include <cmath>
#include <fstream>
#include <numbers>
#include <numeric>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"

namespace qkv {
namespace {

TEST(ActionSchedule, ThePublishedRates) {
  const Schedule s = action_schedule(8750, 64, 1.0);
  EXPECT_EQ(s.warm_up, 2625);
  EXPECT_NEAR(s.at(2625), 2.4398e-3, 5e-8);
  EXPECT_NEAR(s.at(7000), 1.4940e-3, 5e-8);
  EXPECT_EQ(s.at(7001), 1e-4);
  EXPECT_EQ(s.at(8750), 1e-4);
  EXPECT_NEAR(s.at(1), 0.125 * std::pow(2625, -1.5), 1e-12);
  EXPECT_NEAR(action_schedule(100, 64, 2e-3).at(30), 2e-3, 1e-12);
}

/// Parametric motions of a stick figure with 9 joints, 2-D; motion m + 10 is motion m backwards in
/// time. A subject has a size, a place and a speed of its own.
constexpr std::int64_t kMotions = 10, kJoints = 9;

std::vector<Clip> world(std::int64_t subjects, std::uint64_t seed) {
  std::vector<Clip> clips;
  for (std::int64_t s = 0; s < subjects; ++s) {
    Philox random(key_of(seed, s));
    const double size = random.uniform(50, 150), speed = random.uniform(0.7, 1.3);
    const double x = random.uniform(0, 300), y = random.uniform(0, 300);
    for (std::int64_t label = 0; label < 2 * kMotions; ++label) {
      const std::int64_t m = label % kMotions;
      Clip clip;
      clip.id = std::to_string(clips.size());
      clip.label = label;
      clip.name = "motion" + std::to_string(label);
      clip.frames = static_cast<std::int64_t>(std::lround(24 / speed));
      clip.joints = kJoints;
      clip.values = 2;
      for (std::int64_t t = 0; t < clip.frames; ++t) {
        const auto now = static_cast<double>(label < kMotions ? t : clip.frames - 1 - t);
        // A motion ends elsewhere than it began, so that backwards is another one.
        const double phase = now / static_cast<double>(clip.frames - 1);
        const double swing = std::sin(0.5 * std::numbers::pi * phase);
        for (std::int64_t j = 0; j < kJoints; ++j) {
          const auto k = static_cast<double>(j), n = static_cast<double>(m);
          const double angle = k * 0.7 + (j % 3 == m % 3 ? 1.0 : 0.3) * (1 + 0.2 * n) * swing;
          const double arm = 0.4 + 0.1 * k + 0.3 * phase * std::cos(n * 1.3 + k);
          clip.numbers.push_back(
              static_cast<float>(x + size * arm * std::cos(angle) + 0.01 * size * random.normal()));
          clip.numbers.push_back(
              static_cast<float>(y + size * arm * std::sin(angle) + 0.01 * size * random.normal()));
        }
      }
      clips.push_back(std::move(clip));
    }
  }
  return clips;
}

/// A clip that stands still in its mean pose: all that is left without time.
std::vector<Clip> averaged(std::vector<Clip> clips) {
  for (Clip& clip : clips) {
    const std::int64_t width = clip.joints * clip.values;
    for (std::int64_t i = 0; i < width; ++i) {
      double sum = 0;
      for (std::int64_t t = 0; t < clip.frames; ++t) {
        sum += static_cast<double>(clip.numbers[static_cast<std::size_t>(t * width + i)]);
      }
      clip.numbers[static_cast<std::size_t>(i)] =
          static_cast<float>(sum / static_cast<double>(clip.frames));
    }
    clip.numbers.resize(static_cast<std::size_t>(width));
    clip.frames = 1;
  }
  return clips;
}

double learnt(ActionRecipe recipe, ActionArchitecture architecture, std::span<const Clip> train,
              std::span<const Clip> test, std::int64_t frames) {
  const Temporary folder;
  recipe.network.architecture = architecture;
  recipe.poses.frames = frames;
  ActionModel model = make_action_model(recipe, train, recipe.train.seed);
  const ActionSet train_set = encode_clips(model, train), test_set = encode_clips(model, test);
  const ActionTraining training{.train = train_set,
                                .valid = test_set,
                                .valid_clips = test,
                                .batch = recipe.batch,
                                .noise = recipe.noise};
  TrainOptions options = recipe.train;
  options.validate_every = options.steps;
  options.schedule = action_schedule(options.steps, recipe.network.width, 2e-3);
  Optimiser optimiser(model, options.optimiser);
  qkv::train(action_task(model, training), optimiser, options, folder.path(), false);
  const auto p = predict_clips(model, test_set);
  return score_clips(model, test, p).accuracy();
}

TEST(ActionLearning, MotionsAreToldFromTheirReversals) {
  if (QKV_SWEEP > 1) GTEST_SKIP() << "learnt without sanitizers: minutes here, and no other loops";
  const std::vector<Clip> train = world(12, 1), test = world(4, 2);
  ActionRecipe recipe = action_recipe("act-micro");
  recipe.noise = {.flip = 0.0, .deviation = 0.01, .jitter = 0.1};
  recipe.network.dropout = 0.1;
  recipe.train.steps = 70;
  const double seen = learnt(recipe, ActionArchitecture::act, train, test, 10);
  const double mean = learnt(recipe, ActionArchitecture::mlp, averaged(train), averaged(test), 1);
  EXPECT_GE(seen, 95.0);
  EXPECT_LE(mean, 65.0);  // of each pair it can only guess one
  EXPECT_GE(mean, 20.0);  // but it learns which pair
}

ActionRecipe tiny() {
  ActionRecipe recipe = action_recipe("act-micro");
  recipe.network.width = 8;
  recipe.network.layers = 1;
  recipe.network.head = 8;
  recipe.poses.frames = 8;
  recipe.poses.stride = 4;
  return recipe;
}

ActionModel tiny_model(std::span<const Clip> clips, std::uint64_t seed,
                       ClipCut cut = ClipCut::stretch,
                       ActionArchitecture architecture = ActionArchitecture::act) {
  ActionRecipe recipe = tiny();
  recipe.poses.cut = cut;
  recipe.network.architecture = architecture;
  recipe.train.seed = seed;
  return make_action_model(recipe, clips, recipe.train.seed);
}

TEST(ActionRecipes, SayWhatIsOutOfRange) {
  ActionRecipe recipe = tiny();
  recipe.noise.jitter = 1.0;
  EXPECT_THROW(recipe.check(), UsageError);
  recipe = tiny();
  recipe.poses.stride = 0;
  EXPECT_THROW(recipe.check(), UsageError);
  recipe = tiny();
  recipe.network.heads = 3;
  EXPECT_THROW(recipe.check(), Error);
  EXPECT_NO_THROW(tiny().check());
}

TEST(ActionRuns, GoOnWithTheClipsThatTheyWereBegunWith) {
  const Temporary folder;
  ActionRecipe recipe = tiny();
  recipe.train.steps = 2;
  ActionClips clips{.train = world(2, 1), .valid = world(1, 2), .test = {}};
  const auto ran = [&](bool resume) {
    TrainingRun run({.model = (folder / "m").string(), .resume = resume});
    return train_action(recipe, clips, run);
  };
  EXPECT_EQ(ran(false).steps, 2);
  recipe.train.steps = 4;
  EXPECT_EQ(ran(true).steps, 4);
  clips.train[3].numbers[5] += 1.0F;
  try {
    (void)ran(true);
    ADD_FAILURE() << "went on with other clips";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("--train: 40 clips, "), std::string::npos) << e.what();
  }
}

TEST(ActionPredictions, AreMeansOverWindowsAndModels) {
  const std::vector<Clip> clips = world(1, 3);
  const ActionModel models[] = {tiny_model(clips, 1, ClipCut::slide), tiny_model(clips, 2)};
  const ActionModel* pointers[] = {&models[0], &models[1]};
  const auto a = predict_clips(std::span(pointers, 1), clips);
  const auto b = predict_clips(std::span(pointers + 1, 1), clips);
  const auto both = predict_clips(pointers, clips);
  for (std::size_t k = 0; k < a[0].size(); ++k) {
    EXPECT_NEAR(both[3][k], 0.5 * (a[3][k] + b[3][k]), 1e-12);
  }
  EXPECT_NEAR(std::accumulate(both[3].begin(), both[3].end(), 0.0), 1.0, 1e-6);
  // The mean of a clip's windows, and no neighbour matters.
  const ActionSet set = encode_clips(models[0], std::span(clips).subspan(3, 1));
  ASSERT_GT(set.windows.size(), 2U);
  std::vector<double> mean(a[3].size());
  for (std::int64_t w = 0; w < static_cast<std::int64_t>(set.windows.size()); ++w) {
    const Tensor p = models[0].network.probabilities(pack(models[0], set, std::span(&w, 1)));
    for (std::size_t k = 0; k < mean.size(); ++k) {
      mean[k] += static_cast<double>(p.data()[k]) / static_cast<double>(set.windows.size());
    }
  }
  for (std::size_t k = 0; k < mean.size(); ++k) EXPECT_NEAR(mean[k], a[3][k], 1e-12);
  EXPECT_EQ(predict_clips(models[0], set)[0], a[3]);
  ActionModel stranger = models[1];
  stranger.labels[0] = "other";
  const ActionModel* mixed[] = {&models[0], &stranger};
  EXPECT_THROW((void)predict_clips(mixed, clips), Error);
}

TEST(ActionNoise, IsDrawnWhileRecordingOnly) {
  const std::vector<Clip> clips = world(1, 3);
  const ActionModel model = tiny_model(clips, 1);
  const ActionSet set = encode_clips(model, clips);
  const ClipNoise noise;
  const std::int64_t which[] = {0, 5};
  const auto numbers = [&](std::uint64_t key) {
    Tape tape;
    const Recording on(tape, key);
    const ActionBatch batch = pack(model, set, which, &noise);
    return std::vector<float>(batch.features.values().begin(), batch.features.values().end());
  };
  const ActionBatch plain = pack(model, set, which), silent = pack(model, set, which, &noise);
  EXPECT_TRUE(std::ranges::equal(plain.features.values(), silent.features.values()));
  EXPECT_FALSE(std::ranges::equal(plain.features.values(), numbers(1)));
  EXPECT_EQ(numbers(1), numbers(1));
  EXPECT_NE(numbers(1), numbers(2));
}

TEST(ActionModels, ComeBackFromTheirDirectory) {
  const std::vector<Clip> clips = world(1, 3);
  const Temporary folder;
  for (const auto a : {ActionArchitecture::act, ActionArchitecture::mlp, ActionArchitecture::conv,
                       ActionArchitecture::lstm}) {
    const ActionModel model = tiny_model(clips, 1, ClipCut::slide, a);
    save_action_model(model, folder.path());
    const ActionModel loaded = load_action_model(folder.path());
    EXPECT_EQ(loaded.labels, model.labels);
    const ActionModel *there = &model, *here = &loaded;
    EXPECT_EQ(predict_clips(std::span(&here, 1), clips),
              predict_clips(std::span(&there, 1), clips));
  }
}

TEST(ActionModels, DamagedDirectoriesAreRefused) {
  const std::vector<Clip> clips = world(1, 3);
  const Temporary folder;
  save_action_model(tiny_model(clips, 1), folder.path());
  const Json good = read_json(folder / kConfigFile);
  const auto refused = [&](const std::function<void(Json&)>& damage, const std::string& why) {
    Json bad = good;
    damage(bad);
    write_json(folder / kConfigFile, bad);
    try {
      (void)load_action_model(folder.path());
      ADD_FAILURE() << "accepted " << why;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  refused([](Json& j) { j["task"] = "tag"; }, "is no model of actions (task 'tag')");
  refused([](Json& j) { j["labels"] = 3; }, "a list of different names");
  refused([](Json& j) { j["labels"][1] = j["labels"][0]; }, "a list of different names");
  refused([](Json& j) { j["labels"].erase(0); }, "19 labels");
  refused([](Json& j) { j["poses"]["joints"] = 8; }, "do not fit");
  refused([](Json& j) { j["poses"]["skeleton"] = "penn13"; }, "skeleton penn13");
  refused([](Json& j) { j["poses"]["skeleton"] = "stick"; }, "'stick' is not one of");
  refused([](Json& j) { j["poses"]["cut"] = "half"; }, "cut");
  refused([](Json& j) { j["model"]["width"] = 1 << 29; }, "model.safetensors");
  refused([](Json& j) { j["model"]["layers"] = 2; }, "model.safetensors");
  refused([](Json& j) { j["model"]["dropout"] = 2; }, "dropout");
  refused([](Json& j) { j["more"] = 1; }, "more");
  write_json(folder / kConfigFile, good);
  EXPECT_NO_THROW((void)load_action_model(folder.path()));
}

TEST(ActionModels, NeedLabelsAndClipsThatFit) {
  std::vector<Clip> clips = world(1, 3);
  EXPECT_THROW((void)action_recipe("micro"), Error);
  EXPECT_THROW((void)tiny_model(std::span(clips).first(1), 1), Error);
  const ActionModel model = tiny_model(clips, 1);
  clips[0].name = "new";
  EXPECT_EQ(encode_clips(model, clips).labels[0], -1);
  clips[1].joints = 6;
  clips[1].values = 3;
  EXPECT_THROW((void)encode_clips(model, clips), Error);
}

}  // namespace
}  // namespace qkv
