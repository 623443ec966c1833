// Stopping and going on, as a user meets it: by a signal, and by a kill that nothing can catch.
#include <filesystem>
#include <map>

#include "app/run_qkv.h"
#include <gtest/gtest.h>

namespace qkv {
namespace {

class Resume : public ::testing::Test {
 protected:
  Temporary folder_;
  std::string weights(const std::string& model) {
    return slurp(folder_ / model / "model.safetensors");
  }
};

TEST_F(Resume, KilledRunEndsInTheSameWeights) {
  const std::string steps = "--steps 60 --validate-every 5 --save-minutes 0.002";
  ASSERT_EQ(run_qkv(toy_training(folder_, "whole") + steps).exit, 0);
  // Three kills at different moments; each run goes on from what the one before left.
  const std::string part = toy_training(folder_, "parts") + steps;
  for (const char* seconds : {"0.25", "0.3", "0.35"}) {
    const bool again = std::filesystem::exists(folder_ / "parts" / "state" / "state.safetensors");
    const Ran ran = run_qkv(part + (again ? " --resume" : ""), "",
                            std::string("timeout -s KILL ") + seconds + " ");
    ASSERT_TRUE(ran.exit == 0 || ran.exit == 137) << ran.exit << ran.err;
  }
  const bool again = std::filesystem::exists(folder_ / "parts" / "state" / "state.safetensors");
  const Ran last = run_qkv(part + (again ? " --resume" : ""));
  ASSERT_EQ(last.exit, 0) << last.err;
  EXPECT_TRUE(weights("whole") == weights("parts"));  // EXPECT_EQ would print them
}

TEST_F(Resume, SignalSavesAndSaysHowToGoOn) {
  const std::string steps = "--steps 20000000 --validate-every 10000";  // never done before it
  for (const char* signal : {"INT", "TERM"}) {
    Ran ran;
    // A slow machine may still be reading when the first signal comes; then it comes later.
    for (const char* seconds : {"0.6", "2", "6", "20"}) {
      std::filesystem::remove_all(folder_ / "m");
      ran = run_qkv(toy_training(folder_, "m") + steps, "",
                    std::string("timeout --preserve-status -s ") + signal + " " + seconds + " ");
      if (ran.err.find("interrupted") != std::string::npos) break;
    }
    EXPECT_EQ(ran.exit, 130) << ran.err;
    EXPECT_NE(ran.err.find("--resume"), std::string::npos) << ran.err;
    EXPECT_TRUE(std::filesystem::exists(folder_ / "m" / "state" / "state.safetensors"));
  }
}

/// Every file below a directory.
std::map<std::string, std::string> all_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files[entry.path().string()] = slurp(entry.path());
  }
  return files;
}

TEST_F(Resume, ASecondRunDoesNotOverwriteTheFirst) {
  const std::string steps = "--steps 20 --validate-every 10 ";
  ASSERT_EQ(run_qkv(toy_training(folder_, "m") + steps).exit, 0);
  const auto before = all_of(folder_ / "m");
  const Ran again = run_qkv(toy_training(folder_, "m") + steps);
  EXPECT_EQ(again.exit, 1);
  EXPECT_NE(again.err.find("--resume"), std::string::npos) << again.err;
  EXPECT_NE(again.err.find("--overwrite"), std::string::npos) << again.err;
  EXPECT_TRUE(all_of(folder_ / "m") == before);
  // What fails before it has something to put there leaves all as it was, asked or not.
  EXPECT_EQ(run_qkv(toy_training(folder_, "m") + steps + "--overwrite --max-length 1").exit, 1);
  EXPECT_TRUE(all_of(folder_ / "m") == before);
  EXPECT_EQ(run_qkv(toy_training(folder_, "none") + steps + "--max-length 1").exit, 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
  const Ran over = run_qkv(toy_training(folder_, "m") + steps + "--seed 2 --overwrite");
  EXPECT_EQ(over.exit, 0) << over.err;
  EXPECT_FALSE(all_of(folder_ / "m") == before);
  EXPECT_EQ(run_qkv(toy_training(folder_, "m") + steps + "--resume --overwrite").exit, 1);
}

TEST_F(Resume, TheCurveIsDrawnWithoutWhatIsNoNumber) {
  ASSERT_EQ(run_qkv(toy_training(folder_, "m") + "--steps 4 --validate-every 2").exit, 0);
  spill(folder_ / "m" / "metrics.jsonl",
        slurp(folder_ / "m" / "metrics.jsonl") +
            "{\"step\":3,\"nll\":null,\"valid_loss\":null,\"bleu\":null}\n");
  const Ran ran = run_qkv(toy_training(folder_, "m") + "--steps 6 --validate-every 2 --resume");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(slurp(folder_ / "m" / "curve.svg").find("<svg"), std::string::npos);
}

TEST_F(Resume, WhatIsLeftOutIsAsTheRunWasBegunWith) {
  const std::string rate = "--rate 0.004 --clip 0.5 --validate-every 4 ";
  ASSERT_EQ(run_qkv(toy_training(folder_, "whole") + rate + "--steps 16").exit, 0);
  ASSERT_EQ(run_qkv(toy_training(folder_, "parts") + rate + "--steps 8").exit, 0);
  const std::string bare = "train translate --train '" + (folder_ / "toy.en").string() + "' '" +
                           (folder_ / "toy.de").string() + "' --threads 1 --resume --model '" +
                           (folder_ / "parts").string() + "' ";
  const auto eight = weights("parts");
  ASSERT_EQ(run_qkv(bare).exit, 0);  // at its end already
  EXPECT_TRUE(weights("parts") == eight);
  const Ran ran = run_qkv(bare + "--steps 16");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_TRUE(weights("parts") == weights("whole"));
  // An end of another kind replaces the one before; another rate is taken as given.
  EXPECT_EQ(run_qkv(bare + "--epochs 1 --rate 0.1").exit, 0);
}

TEST_F(Resume, ThreadsDoNotChangeTheWeights) {
  const std::string steps = "--steps 20 --validate-every 10";
  ASSERT_EQ(run_qkv(toy_training(folder_, "one") + steps).exit, 0);
  ASSERT_EQ(run_qkv(toy_training(folder_, "two") + steps + " --threads 2").exit, 0);
  EXPECT_TRUE(weights("one") == weights("two"));
}

TEST_F(Resume, TranslationDoesNotDependOnNeighboursOrderOrThreads) {
  ASSERT_EQ(run_qkv(toy_training(folder_, "m") + "--steps 40").exit, 0);
  const auto [source, target] = toy_text();
  const std::string command =
      "translate --scores --beam 3 --model '" + (folder_ / "m").string() + "' ";
  const Ran all = run_qkv(command + "--threads 2", source);
  ASSERT_EQ(all.exit, 0) << all.err;
  const Ran one_thread = run_qkv(command + "--threads 1 --batch-sentences 7", source);
  EXPECT_EQ(all.out, one_thread.out);
  // One line alone, and all lines backwards.
  const Ran alone = run_qkv(command + "--threads 1", source.substr(0, source.find('\n') + 1));
  EXPECT_EQ(alone.out, all.out.substr(0, all.out.find('\n') + 1));
  const auto backwards = [](const std::string& text) {
    std::string reversed;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) reversed = line + "\n" + reversed;
    return reversed;
  };
  EXPECT_EQ(backwards(run_qkv(command + "--threads 2", backwards(source)).out), all.out);
}

}  // namespace
}  // namespace qkv
