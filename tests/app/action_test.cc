// Actions through the verbs: train, predict, average, score, look, info, bench, resume.
#include <cmath>

#include "app/run_qkv.h"
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;

/// Clips of three joints: the last one moves to the right, to the left or not at all.
std::string toy_clips() {
  const char* names[] = {"right", "left", "still"};
  std::string text;
  for (int n = 0; n < 45; ++n) {
    const int label = n % 3, frames = 8 + n % 4;
    text += fmt::format("clip c{} {} {} {} {} 3 2\n", n, label, names[label],
                        n % 5 == 4 ? "test" : "train", frames);
    for (int t = 0; t < frames; ++t) {
      const double way = label == 2 ? 0 : (label == 0 ? 0.2 : -0.2) * t;
      text += fmt::format("{} 5 {} 7 {:.3f} 6.5\n", 3 + n % 2, 3 + n % 2, 4.5 + n % 2 + way);
    }
  }
  return text;
}

class Actions : public testing::Test {
 protected:
  void SetUp() override { spill(folder_ / "toy.txt", toy_clips()); }
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  std::string training(const std::string& model) {
    return "train action --train " + path("toy.txt") + " --train-only train --model " +
           path(model) +
           " --frames 8 --width 16 --layers 1 --head 16 --dropout 0 --flip 0 --batch 12 "
           "--threads 1 ";
  }
  std::string weights(const std::string& model) {
    return slurp(folder_ / model / "model.safetensors");
  }
  Temporary folder_;
};

TEST_F(Actions, OfEveryArchitectureFromClipsToScores) {
  for (const std::string arch : {"act", "mlp", "conv", "lstm"}) {
    const Ran trained = run_qkv(training(arch) + "--epochs 20 --rate 0.01 --arch " + arch +
                                " --test " + path("toy.txt") + " --test-only test");
    ASSERT_EQ(trained.exit, 0) << trained.err;
    EXPECT_NE(trained.err.find("clips: 33 to train on (33 windows), 3 to validate on; skeleton "
                               "plain"),
              std::string::npos)
        << trained.err;
    EXPECT_NE(trained.out.find("accuracy: 100.00%"), std::string::npos) << arch << trained.out;

    const std::string action = "action --threads 1 --model " + path(arch) + " ";
    const Ran ran = run_qkv(action + "--only test " + path("toy.txt"));
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(ran.out.substr(0, 16), "c4\tleft\nc9\tright") << ran.out;
    if (arch == "act") {  // what the others share
      EXPECT_EQ(run_qkv(action + "--only test", toy_clips()).out, ran.out);
      const Ran scores = run_qkv(action + "--json --only 1=test --evaluate " + path("toy.txt"));
      EXPECT_EQ(Json::parse(scores.out)["accuracy"], 100.0) << scores.err;
      const Ran bench = run_qkv("bench action --json --runs 3 --threads 1 --model " + path("act"));
      EXPECT_GT(Json::parse(bench.out)["seconds"].get<double>(), 0.0) << bench.err;
    }
    const Ran info = run_qkv("info " + path(arch));
    EXPECT_NE(info.out.find("3 joints of 2 coordinates (plain), 8 frames"), std::string::npos)
        << info.out << info.err;
    const Ran look = run_qkv("look --threads 1 --model " + path(arch) + " --clip c9 --clips " +
                             path("toy.txt") + " --output " + path("look.json"));
    if (arch == "act") {
      ASSERT_EQ(look.exit, 0) << look.err;
      const Json maps = Json::parse(slurp(folder_ / "look.json"));
      EXPECT_EQ(maps["maps"].size(), 2U);  // the layer, and what its token sees
      EXPECT_EQ(maps["source"][0], "<class>");
    } else {
      EXPECT_NE(look.err.find("attends to nothing"), std::string::npos) << look.err;
    }
  }
  // Several models are averaged.
  const std::string only = " --json --scores --only test --threads 1 " + path("toy.txt");
  const auto first = [](const Ran& ran) {
    return Json::parse(ran.out.substr(0, ran.out.find('\n')))["scores"]["left"].get<double>();
  };
  const double a = first(run_qkv("action --model " + path("act") + only)),
               b = first(run_qkv("action --model " + path("lstm") + only));
  EXPECT_NEAR(first(run_qkv("action --model " + path("act") + " --model " + path("lstm") + only)),
              0.5 * (a + b), 1e-9);
}

TEST_F(Actions, ResumeEndsInTheSameWeights) {
  const std::string rates = "--schedule inverse_sqrt --validate-every 4 --cut slide --stride 2 ";
  ASSERT_EQ(run_qkv(training("whole") + rates + "--steps 12").exit, 0);
  ASSERT_EQ(run_qkv(training("part") + rates + "--steps 5").exit, 0);
  // The rates are those that the run was begun with, not the published ones.
  const Ran ran = run_qkv(training("part") + "--steps 12 --resume --threads 2");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  ASSERT_EQ(run_qkv(training("other") + rates + "--steps 12 --seed 2").exit, 0);
  EXPECT_TRUE(weights("whole") == weights("part"));
  EXPECT_FALSE(weights("whole") == weights("other"));
}

TEST_F(Actions, ResumingRefusesOtherOptionsAndOtherClips) {
  ASSERT_EQ(run_qkv(training("m") + "--steps 2").exit, 0);
  const auto refused = [&](const std::string& options, const std::string& why, int exit) {
    const Ran ran = run_qkv(training("m") + "--steps 4 --resume " + options);
    EXPECT_EQ(ran.exit, exit) << options << ran.err;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
  };
  refused("--width 32", "--width 32: the run in ", 2);
  refused("--width 32", "was begun with 16", 2);
  refused("--cut slide", "was begun with stretch", 2);
  refused("--arch conv", "was begun with act", 2);
  refused("--train-only test", "--train: ", 1);
  refused("--split-seed 2", "clips, ", 1);
  EXPECT_EQ(run_qkv(training("m") + "--steps 4 --batch 8 --resume").exit, 0);
}

TEST_F(Actions, WhatDoesNotFitIsSaidInOneLine) {
  const auto refused = [](const std::string& command, const std::string& why, int exit = 1) {
    const Ran ran = run_qkv(command);
    EXPECT_EQ(ran.exit, exit) << command;
    EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
  };
  spill(folder_ / "bad.txt", "clip 1 0 a 2 1 2\n1 2\n");
  spill(folder_ / "wide.txt", "clip 1 0 a 1 4 2\n1 2 3 4 5 6 7 8\n");
  refused("train action --model m --train " + path("bad.txt"), "ends after 1 of the 2 frames");
  refused("train action --model m --train " + path("toy.txt") + " --train-only gold",
          "no clip fits 'gold'; the fields of the first clip are: train");
  refused(training("m") + "--arch rnn", "--arch: 'rnn' is not one of act, mlp, conv, lstm", 2);
  refused(training("m") + "--preset tiny", "--preset 'tiny' is not one of act-micro", 2);
  refused(training("m") + "--hold-out 1", "--hold-out: '1' is not a number in (0, 1)", 2);
  refused(training("m") + "--jitter 1", "--jitter: '1' is not a number in [0, 1)", 2);
  refused(training("m") + "--frames 16385", "--frames: '16385' is not a whole number in [1, 16384]",
          2);
  refused("train action --model m", "--train is required", 2);
  refused("action " + path("toy.txt"), "--model is required", 2);
  ASSERT_EQ(run_qkv(training("m") + "--steps 1").exit, 0);
  refused("action --model " + path("m") + " " + path("wide.txt"),
          "clip 1: 4 joints of 2 values, the model reads 3 of 2 (plain)");
  refused("classify --model " + path("m"), "(task 'action')");
  refused("look --model " + path("m"), "give a file of clips, --clips");
  refused("look --model " + path("m") + " --clip x --clips " + path("toy.txt"), "the id 'x'");
}

}  // namespace
}  // namespace qkv
