// Generators of pictures through the verbs: draw, train, generate, score, info, look.
#include <algorithm>
#include <filesystem>
#include <tuple>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class Gan : public testing::Test {
 protected:
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  static std::size_t pictures_in(const fs::path& folder) {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      count += entry.path().extension() == ".png";
    }
    return count;
  }
  std::string train(const std::string& more) {
    return "train gan --train " + path("twins") + " --model " + path("m") +
           " --size 16 --width 8 --noise 4 --batch 8 --sheet 4 --validate-every 4 --threads 1 " +
           more;
  }
  Temporary folder_;
};

TEST_F(Gan, TrainsAndGenerates) {
  const Ran drawn = run_qkv("draw twins --count 24 --output " + path("twins"));
  ASSERT_EQ(drawn.exit, 0) << drawn.err;
  EXPECT_EQ(pictures_in(folder_ / "twins"), 24u);
  EXPECT_EQ(pictures_in(folder_ / "twins" / "cross"), 6u);
  const Ran right = run_qkv("score twins " + path("twins") + " --json");
  EXPECT_EQ(Json::parse(right.out)["twins"], 24) << right.out;

  const Ran trained = run_qkv(train("--steps 6"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("24 of 16 × 16, grey, 4 classes"), std::string::npos) << trained.err;
  EXPECT_NE(trained.err.find("discriminator "), std::string::npos) << trained.err;
  EXPECT_NE(trained.err.find("48 pictures in"), std::string::npos) << trained.err;
  EXPECT_EQ(pictures_in(folder_ / "m" / "samples"), 2u);
  const Ran resumed = run_qkv(train("--steps 8 --resume"));
  ASSERT_EQ(resumed.exit, 0) << resumed.err;

  const std::string generate = "generate --model " + path("m") + " --pictures 5 --output ";
  const Ran made = run_qkv(generate + path("made") + " --class cross --seed 3");
  ASSERT_EQ(made.exit, 0) << made.err;
  EXPECT_EQ(pictures_in(folder_ / "made" / "cross"), 5u);
  ASSERT_EQ(run_qkv(generate + path("sheet.png") + " --seed 3").exit, 0);
  EXPECT_TRUE(fs::exists(folder_ / "sheet.png"));
  const Ran score = run_qkv("score twins " + path("made"));
  EXPECT_NE(score.out.find("of 5 pictures"), std::string::npos) << score.out << score.err;
  const Ran samples =
      run_qkv("score samples --reference " + path("twins") + " " + path("made") + " --json");
  ASSERT_EQ(samples.exit, 0) << samples.err;
  EXPECT_TRUE(Json::parse(samples.out).contains("coverage")) << samples.out;
  const Ran info = run_qkv("info " + path("m"));
  EXPECT_NE(info.out.find("between the 8 × 8 places"), std::string::npos) << info.out;
  const Ran look = run_qkv("look --model " + path("m"));
  EXPECT_EQ(look.exit, 0) << look.err;
}

TEST_F(Gan, SaysWhatIsWrong) {
  ASSERT_EQ(run_qkv("draw twins --count 8 --output " + path("twins")).exit, 0);
  ASSERT_EQ(run_qkv(train("--steps 1 --unconditional")).exit, 0);
  const std::string generate = "generate --model " + path("m") + " ";
  for (const auto& [arguments, exit, why] :
       {std::tuple{train("--steps 1"), 1, "--resume"},
        {train("--steps 1 --overwrite --batch 9"), 1, "8 pictures do not fill a batch of 9"},
        {train("--steps 1 --overwrite --size 20"), 1, "size 20"},
        {train("--steps 1 --overwrite --attention 16"), 1, "attention at 16"},
        {train("--steps 1 --overwrite --attention 7"), 2, "none, 8"},
        {train("--steps 1 --overwrite --patience 3"), 1, "--patience"},
        {generate + "--pictures 2", 2, "--output"},
        {generate + "--output x", 2, "--output is for --pictures"},
        {generate + "--pictures 2 --output " + path("o") + " --top-k 3", 2, "--top-k is for text"},
        {generate + "--pictures 2 --output " + path("o") + " --class dog", 1, "no classes"},
        {generate + "--pictures 2 --output " + path("twins"), 1, "not an empty folder"},
        {generate + "hello", 1, "task 'gan'"},
        {"draw twins --output " + path("twins"), 1, "not an empty folder"},
        {"score twins " + path("nothing"), 1, "nothing"},
        {"score samples --reference " + path("twins") + " " + path("nothing"), 1, "nothing"}}) {
    const Ran ran = run_qkv(arguments);
    EXPECT_EQ(ran.exit, exit) << arguments << "\n" << ran.err;
    EXPECT_NE(ran.err.find(why), std::string::npos) << arguments << "\n" << ran.err;
    const std::string last = ran.err.substr(0, ran.err.size() - 1);
    EXPECT_LE(std::count(last.begin(), last.end(), '\n'), 2) << ran.err;
  }
}

}  // namespace
}  // namespace qkv
