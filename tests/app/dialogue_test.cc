// Questions and answers through a recurrent model with and without attention (A4's dialogue): the
// answer hangs on two words of the question, wherever they stand.
#include <sstream>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/random.h"

namespace qkv {
namespace {

struct Dialogue {
  std::string questions, answers;
};

const std::vector<std::pair<std::string, std::string>> kOpenings = {
    {"are you", "yes i am"},         {"is he", "no he is not"},   {"are they", "yes they are"},
    {"is she", "no she is not"},     {"am i", "yes you are"},     {"are we", "no we are not"},
    {"who is", "it is tom"},         {"where is tom", "at home"}, {"when is he", "at noon"},
    {"why are you", "i do not know"}};
const std::vector<std::string> kStates = {"free", "busy", "tired", "happy", "ready", "late"};
const std::vector<std::string> kDays = {"today", "tomorrow", "tonight", "now"};
const std::vector<std::string> kFillers = {"well", "so", "then", "look", "my", "dear", "please"};

/// `count` exchanges with `least` to `most` words that say nothing in front of the question, and up
/// to `after` behind it.
Dialogue dialogue(int count, int least, int most, int after, std::uint64_t seed) {
  Philox draw(seed);
  const auto one_of = [&](const auto& list) { return list[draw.below(list.size())]; };
  Dialogue d;
  for (int n = 0; n < count; ++n) {
    const auto fill = [&](int from, int to) {
      const int words = from + static_cast<int>(draw.below(static_cast<unsigned>(to - from + 1)));
      for (int i = 0; i < words; ++i) d.questions += one_of(kFillers) + " ";
    };
    const auto [opening, answer] = one_of(kOpenings);
    fill(least, most);
    d.questions += opening + " " + one_of(kStates) + " " + one_of(kDays) + " ";
    fill(0, after);
    d.questions += "?\n";
    d.answers += answer + "\n";
  }
  return d;
}

double share_of_equal_lines(const std::string& a, const std::string& b) {
  std::istringstream as(a), bs(b);
  int equal = 0, lines = 0;
  for (std::string x, y; std::getline(as, x) && std::getline(bs, y); ++lines) equal += x == y;
  return lines > 0 ? static_cast<double>(equal) / lines : 0.0;
}

TEST(Dialogue, AttentionFindsTheQuestionBehindALongPrefix) {
  if (QKV_SWEEP > 1) GTEST_SKIP() << "learnt without sanitizers: minutes here, and no other loops";
  const Temporary folder;
  const Dialogue train = dialogue(800, 0, 4, 4, 1), valid = dialogue(50, 0, 4, 4, 2),
                 near = dialogue(60, 0, 0, 0, 3), far = dialogue(60, 16, 16, 0, 3);
  for (const auto& [name, d] : {std::pair{"train", train}, std::pair{"valid", valid}}) {
    spill(folder / (std::string(name) + ".q"), d.questions);
    spill(folder / (std::string(name) + ".a"), d.answers);
  }
  const auto path = [&](const char* name) { return " '" + (folder / name).string() + "'"; };
  double right_near[2] = {}, right_far[2] = {};
  for (const bool attends : {false, true}) {
    const std::string model = " --threads 1 --model" + path(attends ? "with" : "without");
    const Ran trained = run_qkv(
        std::string("train translate --arch rnn --attention ") + (attends ? "bahdanau" : "none") +
        model + " --train" + path("train.q") + path("train.a") + " --valid" + path("valid.q") +
        path("valid.a") + " --embedding 16 --width 32 --dropout 0.1 --tokeniser word --steps 900 " +
        "--rate 5e-3 --schedule constant --batch-tokens 600 --validate-every 250 --seed 4");
    ASSERT_EQ(trained.exit, 0) << trained.err;
    const auto right = [&](const Dialogue& d) {
      return share_of_equal_lines(run_qkv("translate" + model, d.questions).out, d.answers);
    };
    right_near[attends] = right(near);
    right_far[attends] = right(far);
  }
  EXPECT_GT(right_near[1], 0.9);
  EXPECT_LT(right_far[0], right_near[0] - 0.1) << "one vector forgets";
  EXPECT_GT(right_far[1], right_far[0]);

  ASSERT_EQ(run_qkv("look --source 'are you free tomorrow ?' --output" + path("look.json") +
                    " --model" + path("with"))
                .exit,
            0);
  const auto look = nlohmann::json::parse(slurp(folder / "look.json"));
  EXPECT_EQ(look["translation"], "yes i am");
  const auto weights = look["maps"][0]["weights"][0].get<std::vector<double>>();
  EXPECT_GT(weights[0] + weights[1], 2 * (weights[2] + weights[3])) << "of \"yes\"";
}

}  // namespace
}  // namespace qkv
