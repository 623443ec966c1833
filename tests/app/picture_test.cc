// Pictures through the verbs: train, classify, score, look, info, compare, and what is refused.
#include "app/run_qkv.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class Pictures : public testing::Test {
 protected:
  /// Folders of 8 × 8 pictures with one bright bar, lying or standing.
  void SetUp() override {
    for (const char* part : {"train", "test"}) {
      for (const char* way : {"lying", "standing"}) {
        std::filesystem::create_directories(folder_ / part / way);
        for (int i = 0; i < (std::string(part) == "train" ? 48 : 12); ++i) {
          spill(folder_ / part / way / (std::to_string(i) + ".pgm"),
                bar(std::string(way) == "lying", i));
        }
      }
    }
  }
  static std::string bar(bool lying, int i) {
    std::string pgm = "P5\n8 8\n255\n" + std::string(64, '\x20');
    const std::size_t first = pgm.size() - 64;
    for (std::size_t p = 0; p < 64; ++p) {
      pgm[first + p] = static_cast<char>((static_cast<unsigned>(i) * 7U + p * 13U) % 50U);
    }
    const auto place = static_cast<std::size_t>(i % 8);
    for (std::size_t k = 0; k < 8; ++k) {
      pgm[first + (lying ? place * 8 + k : k * 8 + place)] = '\xe6';
    }
    return pgm;
  }
  std::string path(const std::string& name) const { return "'" + (folder_ / name).string() + "'"; }
  std::string train(const std::string& more) const {
    return "train picture --train " + path("train") + " --model " + path("m") +
           " --threads 1 --shift 0 --batch 16 --rate 0.005 --warm-up 5 " + more;
  }
  static constexpr const char* kVit =
      " --kind vit --patch 2 --width 16 --layers 1 --heads 2 --feed-forward 32 --epochs 20 ";
  Temporary folder_;
};

TEST_F(Pictures, TrainAndAreClassified) {
  const Ran trained = run_qkv(train(kVit) + "--test " + path("test") + " --json");
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("86 to train on, 10 to validate on; 8 × 8, grey"));
  EXPECT_THAT(trained.err, HasSubstr("accuracy "));
  EXPECT_GT(Json::parse(trained.out)["accuracy"], 80) << trained.out;

  const std::string classify = "classify --model " + path("m") + " ";
  const Ran two = run_qkv(classify + path("test/lying/3.pgm") + " " + path("test/standing/4.pgm"));
  ASSERT_EQ(two.exit, 0) << two.err;
  EXPECT_EQ(std::count(two.out.begin(), two.out.end(), '\n'), 2);
  EXPECT_THAT(two.out, HasSubstr("3.pgm\t"));
  const Ran folder = run_qkv(classify + path("test/lying") + " --top 2");
  EXPECT_EQ(std::count(folder.out.begin(), folder.out.end(), '\n'), 12) << folder.err;
  const Ran piped =
      run_qkv(classify + "--json --scores --top 1", (folder_ / "test/lying/3.pgm").string() + "\n");
  ASSERT_EQ(piped.exit, 0) << piped.err;
  const Json answer = Json::parse(piped.out);
  EXPECT_EQ(answer["top"].size(), 1U);
  EXPECT_EQ(answer["top"][0]["label"], answer["label"]);
  EXPECT_EQ(answer["scores"].size(), 2U);
  const Ran score = run_qkv(classify + "--evaluate " + path("test"));
  EXPECT_THAT(score.out, HasSubstr("accuracy"));
  EXPECT_THAT(score.out, HasSubstr("standing"));
  const Ran info = run_qkv("info " + path("m"));
  EXPECT_THAT(info.out, HasSubstr("vit over pictures"));
  EXPECT_THAT(info.out, HasSubstr("8 × 8, grey"));

  const std::string look = "look " + path("test/lying/3.pgm") + " --model " + path("m") + " ";
  const Ran seen = run_qkv(look);
  ASSERT_EQ(seen.exit, 0) << seen.err;
  EXPECT_THAT(seen.out, HasSubstr("3.pgm → "));
  EXPECT_THAT(seen.out, HasSubstr("mean of 2 heads, class row"));
  for (const char* ending : {"svg", "png", "html", "json"}) {
    const std::string file = std::string("a.") + ending;
    const Ran written = run_qkv(look + "--patch 1,2 --head 1 --output " + path(file));
    EXPECT_EQ(written.exit, 0) << written.err;
    EXPECT_GT(slurp(folder_ / file).size(), 500U);
  }
  EXPECT_EQ(run_qkv(look + "--patch 4,0").exit, 1);
  EXPECT_EQ(run_qkv(look + "--kind cross").exit, 2);
  EXPECT_EQ(run_qkv("look --model " + path("m")).exit, 1);
}

TEST_F(Pictures, AreResumedToTheSameBits) {
  const std::string cnn = " --kind cnn --widths 4,6 --strides 1,2 --schedule constant ";
  const auto weights = [&] { return slurp(folder_ / "m" / "model.safetensors"); };
  ASSERT_EQ(run_qkv(train(cnn + "--epochs 4")).exit, 0);
  const std::string whole = weights();
  ASSERT_EQ(run_qkv(train(cnn + "--epochs 2 --overwrite")).exit, 0);
  EXPECT_NE(weights(), whole);
  const Ran resumed = run_qkv(train(cnn + "--epochs 4 --resume"));
  ASSERT_EQ(resumed.exit, 0) << resumed.err;
  EXPECT_EQ(weights(), whole);
}

TEST_F(Pictures, SayWhatIsWrong) {
  const auto refused = [&](const std::string& command, int exit, const std::string& why) {
    const Ran ran = run_qkv(command);
    EXPECT_EQ(ran.exit, exit) << command << "\n" << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(why));
    // One line; behind that of a wrong option, where help is.
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), exit) << ran.err;
  };
  refused(train("--kind cnn --patch 2"), 2, "--patch: is for another --kind than cnn");
  refused(train("--kind vit --patch 3"), 1, "8 × 8 is not made of patches of 3");
  std::filesystem::create_directories(folder_ / "empty");
  refused("train picture --train " + path("empty") + " --model " + path("m"), 1, "empty");
  std::filesystem::create_directories(folder_ / "other/leaning");
  spill(folder_ / "other/leaning/1.pgm", bar(true, 1));
  refused(train("--kind cnn --valid " + path("other")), 1,
          "class 'leaning' is none of the model's: lying, standing");
  spill(folder_ / "train/lying/0.pgm", "P5\n8 8\n255\nshort");
  refused(train("--kind cnn"), 1, "0.pgm");
  const Ran skipped =
      run_qkv(train("--kind cnn --widths 4 --strides 2 --epochs 1 --skip-broken --split-seed 3"));
  ASSERT_EQ(skipped.exit, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("1 broken left out"));
  const std::string classify = "classify --model " + path("m") + " ";
  refused(classify + path("train/lying/0.pgm"), 1, "0.pgm");
  refused(classify + path("nowhere.png"), 1, "nowhere.png");
  refused(classify + path("empty"), 1, "holds no pictures");
  refused(classify + "--words space " + path("test"), 2, "--words is for text, not for pictures");
  const Ran some = run_qkv(classify + "--skip-broken " + path("train/lying"));
  EXPECT_EQ(some.exit, 0);
  EXPECT_EQ(std::count(some.out.begin(), some.out.end(), '\n'), 47);
  EXPECT_THAT(some.err, HasSubstr("1 of 48 files are left out"));
  refused("look " + path("test/lying/1.pgm") + " --model " + path("m"), 1,
          "a cnn attends to nothing");
}

TEST_F(Pictures, AreComparedOverSizes) {
  const std::string command =
      "compare texture --kinds cnn,vit --sizes 20,40 --steps 10 "
      "--parameters 6000 --batch-tokens 10 --threads 1 --output " +
      path("c") + " ";
  const Ran ran = run_qkv(command + "--seeds 1");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_TRUE(ran.out.starts_with("pictures ")) << ran.out;
  EXPECT_THAT(ran.out, testing::ContainsRegex("stays ahead of|ahead of .* up to"));
  EXPECT_THAT(slurp(folder_ / "c/compare.svg"), HasSubstr("training pictures"));
  const Ran more = run_qkv(command + "--seeds 1 --json");
  EXPECT_EQ(more.err.find("seed 1"), std::string::npos) << more.err;
  EXPECT_EQ(Json::parse(more.out)["cells"].size(), 4U);
  EXPECT_EQ(run_qkv(command + "--train x").exit, 1);
  EXPECT_EQ(run_qkv(command + "--encoders cnn").exit, 1);
}

}  // namespace
}  // namespace qkv
