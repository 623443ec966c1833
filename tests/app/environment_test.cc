// What surrounds the program: OpenMP's settings, standard descriptors that fail, limits, signals.
#include <chrono>
#include <string>

#include "app/run_qkv.h"
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

/// bash runs the script; $qkv is the program, $d the folder.
Ran run_script(const Temporary& folder, const std::string& script) {
  spill(folder / "script", "qkv='" + std::string(QKV_BINARY_DIR) + "/qkv'; d='" +
                               folder.path().string() + "'\n" + script + "\n");
  const std::string command = "bash '" + (folder / "script").string() + "' >'" +
                              (folder / "script.out").string() + "' 2>'" +
                              (folder / "script.err").string() + "'";
  const int status = std::system(command.c_str());
  Ran ran;
  ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ran.out = slurp(folder / "script.out");
  ran.err = slurp(folder / "script.err");
  return ran;
}

/// A translator whose products are large enough for several threads.
std::string training(const Temporary& folder, const std::string& model) {
  return toy_training(folder, model) +
         "--width 64 --feed-forward 512 --batch-tokens 1500 --patience 0 ";
}

class Environment : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Temporary;
    ASSERT_EQ(run_qkv(training(*folder_, "m") + "--steps 12").exit, 0);
    std::string many;
    for (int i = 0; i < 3000; ++i) many += "the dog sees 3 trees\n";
    spill(*folder_ / "many", many);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string path(const std::string& name) {
    return "'" + (*folder_ / name).string() + "'";
  }
  static std::string weights(const std::string& model) {
    return slurp(*folder_ / model / "model.safetensors");
  }
  static Temporary* folder_;
};
Temporary* Environment::folder_ = nullptr;

constexpr const char* kOpenMp[] = {"OMP_THREAD_LIMIT=1 ", "OMP_DYNAMIC=true ",
                                   "OMP_MAX_ACTIVE_LEVELS=0 ", "OMP_NUM_THREADS=100000 "};

TEST_F(Environment, AnswersDoNotDependOnTheThreadsThatOpenMpGrants) {
  const std::string command = "translate --json --model " + path("m") + " " + path("toy.en");
  const Ran one = run_qkv(command + " --threads 1");
  ASSERT_EQ(one.exit, 0) << one.err;
  for (const char* threads :
       {" --threads 2", " --threads 3", " --threads 7", " --threads 100000"}) {
    for (const char* setting : kOpenMp) {
      const Ran ran = run_qkv(command + threads, "", setting);
      EXPECT_EQ(ran.exit, 0) << setting << threads << ran.err;
      EXPECT_TRUE(ran.out == one.out) << setting << threads;
    }
  }
}

TEST_F(Environment, TrainedWeightsDoNotDependOnTheThreadsThatOpenMpGrants) {
  for (const char* setting : kOpenMp) {
    const Ran ran = run_qkv(training(*folder_, "other") + "--steps 12 --threads 3", "",
                            "rm -rf " + path("other") + "; " + setting);
    ASSERT_EQ(ran.exit, 0) << setting << ran.err;
    EXPECT_TRUE(weights("other") == weights("m")) << setting;
  }
}

TEST_F(Environment, FarTooManyThreadsAreFewer) {
  if (QKV_SANITIZED) GTEST_SKIP() << "a shadow needs more address space than the limit leaves";
  const Ran ran = run_qkv("translate --threads 100000 --model " + path("m") + " " + path("toy.en"),
                          "", "ulimit -v 3500000; OMP_STACKSIZE=128M ");
  EXPECT_EQ(ran.exit, 0) << ran.err;
}

TEST_F(Environment, MessagesThatCannotBeWrittenAreDropped) {
  // Reads stdin, so that a note about short lines and the like goes to stderr as well.
  const std::string translate = "\"$qkv\" translate --model $d/m $d/toy.en --threads 1";
  const std::string wanted = run_script(*folder_, translate).out;
  ASSERT_FALSE(wanted.empty());
  for (const char* to : {" 2>/dev/full", " 2>&-", " 2> >(true)"}) {
    const Ran ran = run_script(*folder_, translate + to);
    EXPECT_EQ(ran.exit, 0) << to;
    EXPECT_EQ(ran.out, wanted) << to;
    EXPECT_EQ(run_script(*folder_, std::string("\"$qkv\" score bleu --nonsense") + to).exit, 2)
        << to;
    EXPECT_EQ(run_script(*folder_, std::string("\"$qkv\" info $d/nothing") + to).exit, 1) << to;
  }
}

TEST_F(Environment, TrainingGoesOnWithoutItsMessages) {
  for (const char* to : {" 2>/dev/full", " 2>&-", " 2>&1 | head -1"}) {
    std::filesystem::remove_all(*folder_ / "quiet");
    const Ran ran =
        run_script(*folder_, "\"$qkv\" " + training(*folder_, "quiet") +
                                 "--steps 12 --validate-every 2" + to + "; exit ${PIPESTATUS[0]}");
    EXPECT_EQ(ran.exit, 0) << to << ran.err;
    EXPECT_TRUE(std::filesystem::exists(*folder_ / "quiet" / "state" / "state.safetensors")) << to;
  }
}

const char* const kResults[] = {"--help",
                                "--version",
                                "train translate --help",
                                "info $d/m",
                                "info $d/m --json",
                                "translate --model $d/m $d/toy.en --threads 1",
                                "look --model $d/m --source 'the dog sees 3 trees' --threads 1",
                                "score bleu --reference $d/many $d/many",
                                "score bleu --sentences --reference $d/many $d/many",
                                "explain attention --queries 8",
                                "bench train --preset tiny --steps 1 --threads 1"};

TEST_F(Environment, ResultsThatCannotBeWrittenAreAnError) {
  for (const std::string command : kResults) {
    const Ran full = run_script(*folder_, "\"$qkv\" " + command + " >/dev/full");
    EXPECT_EQ(full.exit, 1) << command;
    EXPECT_EQ(full.err, "qkv: <stdout>: cannot write: No space left on device\n") << command;
    const Ran closed = run_script(*folder_, "\"$qkv\" " + command + " >&-");
    EXPECT_EQ(closed.exit, 1) << command;
    EXPECT_EQ(closed.err, "qkv: <stdout>: cannot write: Bad file descriptor\n") << command;
  }
}

TEST_F(Environment, AReaderThatHasEnoughIsNoError) {
  for (const std::string command :
       {"score bleu --sentences --reference $d/many $d/many", "translate --model $d/m $d/many"}) {
    const Ran ran =
        run_script(*folder_, "\"$qkv\" " + command + " | head -1; exit ${PIPESTATUS[0]}");
    EXPECT_EQ(ran.exit, 0) << command;
    // Nothing but progress, where the machine is slow enough for it.
    EXPECT_EQ(ran.err.find("qkv:"), std::string::npos) << command << ran.err;
  }
}

TEST_F(Environment, ALimitOnTheSizeOfFilesIsAnErrorThatLeavesNothing) {
  const Ran ran =
      run_script(*folder_, "ulimit -f 8; \"$qkv\" " + training(*folder_, "limited") +
                               "--steps 4 2>$d/limited.err; code=$?; cat $d/limited.err; "
                               "find $d/limited -name '*.tmp*'; exit $code");
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.out.find("cannot write: File too large"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("\n/"), std::string::npos) << ran.out;  // no file that find names
}

TEST_F(Environment, SignalsDuringLargeProductsSaveARunThatResumes) {
  const std::string command = toy_training(*folder_, "run") +
                              "--width 256 --feed-forward 1024 --batch-tokens 3000 --patience 0 "
                              "--steps 12 --validate-every 1000 ";
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(run_qkv(command).exit, 0);
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::string whole = weights("run");
  int interrupted = 0;
  // Of the time that the whole run took; several, since the machine may be busy now or have been
  // then.
  for (const double share : {0.6, 0.7, 0.8, 0.5, 0.9, 0.4, 1.2, 1.6, 2.4, 0.3, 3.5}) {
    if (interrupted == 2) break;
    std::filesystem::remove_all(*folder_ / "run");
    const Ran ran =
        run_qkv(command, "", fmt::format("timeout --preserve-status -s INT {:.2f} ", share * took));
    if (ran.exit != 130)
      continue;  // done, or still reading (then 128 + 2 as well, but by the signal)
    if (!std::filesystem::exists(*folder_ / "run" / "state" / "state.safetensors")) continue;
    ++interrupted;
    const Ran last = run_qkv(command + "--resume");
    EXPECT_EQ(last.exit, 0) << last.err;
    EXPECT_TRUE(weights("run") == whole);
  }
  EXPECT_GT(interrupted, 0);
}

/// The toy's pairs many times over, in many.en and many.de.
void spill_many(const Temporary& folder, int times) {
  std::string source, target;
  const auto [en, de] = toy_text();
  for (int i = 0; i < times; ++i) {
    source += en;
    target += de;
  }
  spill(folder / "many.en", source);
  spill(folder / "many.de", target);
}

TEST_F(Environment, TheSecondSignalEndsALongStepAtOnce) {
  // Many pairs in one update: seconds on any machine. The signals come once it has begun.
  spill_many(*folder_, 60);
  const Ran ran = run_script(
      *folder_,
      "\"$qkv\" " + toy_training(*folder_, "long") +
          "--train $d/many.en $d/many.de --width 128 --heads 4 --feed-forward 1024 --layers 4 "
          "--accumulate 1000 --valid-bleu 0 --steps 2 2>$d/long.err & p=$!\n"
          "until grep -q ^model $d/long.err || ! test -e /proc/$p; do sleep 0.1; done\n"
          "sleep 0.3; kill -INT $p; sleep 0.5; test -e /proc/$p && echo goes on\n"
          "kill -INT $p; wait $p");
  EXPECT_EQ(ran.exit, 130) << ran.err;
  EXPECT_EQ(ran.out, "goes on\n");
}

TEST_F(Environment, TwoSignalsAtOnceAreOneWish) {
  const Ran ran = run_script(
      *folder_, "\"$qkv\" " + toy_training(*folder_, "twice") +
                    "--steps 20000000 --validate-every 10000 2>$d/twice.err & p=$!\n"
                    "until grep -q ^model $d/twice.err || ! test -e /proc/$p; do sleep 0.1; done\n"
                    "sleep 0.3; kill -INT $p; sleep 0.02; kill -INT $p; wait $p");
  EXPECT_EQ(ran.exit, 130) << ran.err;
  EXPECT_THAT(slurp(*folder_ / "twice.err"), testing::HasSubstr("--resume"));
  EXPECT_TRUE(std::filesystem::exists(*folder_ / "twice" / "state" / "state.safetensors"));
}

TEST_F(Environment, WaitingThreadsSleepUnlessTheUserSaysHowTheyWait) {
  const std::string ask =
      " \"$qkv\" score bleu --reference $d/toy.en < <(sleep 1) >/dev/null & p=$!\n"
      "sleep 0.5; tr '\\0' '\\n' </proc/$p/environ | grep GOMP_SPINCOUNT; wait $p";
  EXPECT_NE(run_script(*folder_, "env -u OMP_WAIT_POLICY" + ask).out, "");
  EXPECT_EQ(run_script(*folder_, "env OMP_WAIT_POLICY=active" + ask).out, "");
  EXPECT_EQ(run_script(*folder_, "env -u OMP_WAIT_POLICY GOMP_SPINCOUNT=7" + ask).out,
            "GOMP_SPINCOUNT=7\n");
}

}  // namespace
}  // namespace qkv
