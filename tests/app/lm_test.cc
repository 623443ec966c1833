// A language model through the verbs: train, generate, perplexity, info, resume.
#include <array>
#include <cmath>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

std::string toy(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) text += i % 2 == 0 ? "the cat sat\n" : "on the mat\n";
  return text;
}

std::string training(const Temporary& folder, const std::string& model,
                     const std::string& arch = "transformer") {
  spill(folder / "toy.txt", toy(120));
  return "train lm --arch " + arch + " --train '" + (folder / "toy.txt").string() + "' --model '" +
         (folder / model).string() + "' --width 32 --layers 1 --context 24 --batch-tokens 240 " +
         (arch == "rnn" ? "" : "--heads 2 ") + "--warm-up 5 --rate 0.01 --threads 1 ";
}

TEST(Lm, TrainsGeneratesAndJudges) {
  const Temporary folder;
  const Ran trained = run_qkv(training(folder, "m", "linear") + "--steps 150 --validate-every 75");
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("train: 108 lines, 1242 tokens, 0 unknown"), std::string::npos)
      << trained.err;
  EXPECT_NE(trained.err.find("bits a character"), std::string::npos) << trained.err;
  EXPECT_NE(slurp(folder / "m" / "curve.svg").find("</svg>"), std::string::npos);
  const std::string model = " --model '" + (folder / "m").string() + "' ";

  const Ran greedy = run_qkv("generate --greedy --tokens 24 --threads 1" + model + "'the cat '");
  EXPECT_EQ(greedy.exit, 0) << greedy.err;
  EXPECT_EQ(greedy.out, "sat\non the mat\nthe cat s\n");
  EXPECT_EQ(run_qkv("generate --greedy --line" + model, "on the mat\nthe c\n").out, "at sat\n");
  const Ran stopped =
      run_qkv("generate --greedy --tokens 24 --stop 'n th' --stop xyz" + model + "'the cat '");
  EXPECT_EQ(stopped.exit, 0) << stopped.err;
  EXPECT_EQ(stopped.out, "sat\no\n");
  const Ran form = run_qkv("generate --chat chatml" + model + "hi");
  EXPECT_EQ(form.exit, 2);
  EXPECT_NE(form.err.find("<|im_end|>"), std::string::npos) << form.err;
  EXPECT_EQ(run_qkv("generate --chat jinja" + model + "hi").exit, 2);
  EXPECT_EQ(run_qkv("generate --system brief" + model + "hi").exit, 2);
  const Ran echo = run_qkv("generate --greedy --line --echo" + model + "'the cat '");
  EXPECT_EQ(echo.out, "the cat sat\n");

  const std::string drawn = "generate --tokens 60 --temperature 1.5 --samples 2 --json" + model;
  const Ran one = run_qkv(drawn + "--threads 1 --seed 3"),
            two = run_qkv(drawn + "--threads 2 --seed 3");
  ASSERT_EQ(one.exit, 0) << one.err;
  const auto first = nlohmann::json::parse(one.out.substr(0, one.out.find('\n')));
  EXPECT_EQ(first["text"], nlohmann::json::parse(two.out.substr(0, two.out.find('\n')))["text"]);
  EXPECT_EQ(first["tokens"].size(), 60U);
  const auto second = nlohmann::json::parse(one.out.substr(one.out.find('\n') + 1));
  EXPECT_EQ(second["seed"], 4);
  EXPECT_NE(first["text"], second["text"]);

  const auto judged = nlohmann::json::parse(run_qkv("perplexity --json" + model, toy(10)).out);
  EXPECT_EQ(judged["tokens"], 115);
  EXPECT_LT(judged["perplexity"], 1.5);
  EXPECT_NEAR(std::exp(judged["loss"].get<double>()), judged["perplexity"].get<double>(), 1e-9);
  const Ran tokens = run_qkv("perplexity --tokens --stride 8" + model, "the cat sat\n");
  EXPECT_EQ(std::count(tokens.out.begin(), tokens.out.end(), '\n'), 13) << tokens.out;
  EXPECT_EQ(tokens.out.rfind("t\t-", 0), 0U) << tokens.out;
  EXPECT_NE(tokens.out.find("\\n\t"), std::string::npos) << tokens.out;

  const Ran info = run_qkv("info --json '" + (folder / "m").string() + "'");
  ASSERT_EQ(info.exit, 0) << info.err;
  EXPECT_EQ(nlohmann::json::parse(info.out)["model"]["attn_config"]["attn_type"],
            "linear_attention");
  const Ran said = run_qkv("info --tensors '" + (folder / "m").string() + "'");
  EXPECT_NE(said.out.find("blocks.0.attn.q.weight"), std::string::npos) << said.out;
}

TEST(Lm, ShowsWhatItLooksBackAt) {
  const Temporary folder;
  ASSERT_EQ(run_qkv(training(folder, "m") + "--prefix --tokeniser space --steps 1").exit, 0);
  const std::string look = "look --source 'on the mat' --model '" + (folder / "m").string() + "' ";
  const Ran shown = run_qkv(look);
  EXPECT_EQ(shown.exit, 0) << shown.err;
  EXPECT_EQ(shown.out.rfind("on the mat → ", 0), 0U) << shown.out;
  ASSERT_EQ(run_qkv(look + "--output '" + (folder / "m.json").string() + "'").exit, 0);
  const auto json = nlohmann::json::parse(slurp(folder / "m.json"));
  ASSERT_EQ(json["maps"].size(), 2U) << "a map a head";
  for (const auto& row : json["maps"][0]["weights"]) {
    ASSERT_EQ(row.size(), 4U);
    EXPECT_GT(row[3].get<double>(), 0.0) << "the prompt is the prefix, which sees all of itself";
  }
  ASSERT_EQ(run_qkv(training(folder, "r", "rnn") + "--steps 1").exit, 0);
  const Ran none = run_qkv("look --source a --model '" + (folder / "r").string() + "'");
  EXPECT_EQ(none.exit, 1);
  EXPECT_NE(none.err.find("keeps a state in place of weights"), std::string::npos) << none.err;
}

TEST(Lm, ResumesToTheSameWeightsOnAnyThreads) {
  for (const std::string arch : {"transformer", "rnn"}) {
    const Temporary folder;
    const std::string words =
        "--tokeniser space --by-line --dropout 0.2 --validate-every 4 --schedule constant";
    const std::string parts = training(folder, "parts", arch) + words;
    ASSERT_EQ(run_qkv(training(folder, "whole", arch) + words + " --steps 12").exit, 0);
    ASSERT_EQ(run_qkv(parts + " --steps 5").exit, 0);
    const Ran ran = run_qkv(parts + " --steps 12 --resume --threads 2");
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_TRUE(slurp(folder / "whole" / "model.safetensors") ==
                slurp(folder / "parts" / "model.safetensors"))
        << arch;
  }
}

TEST(Lm, AResumedRunKeepsItsOptionsAndItsText) {
  const Temporary folder;
  const std::string command = training(folder, "m") + "--bias --positions learned --dropout 0.1 ";
  ASSERT_EQ(run_qkv(command + "--steps 2").exit, 0);
  const auto resumed = [&](const std::string& more) {
    return run_qkv("train lm --train '" + (folder / "toy.txt").string() + "' --model '" +
                   (folder / "m").string() + "' --resume --threads 1 " + more);
  };
  const Ran on = resumed("--steps 4");
  EXPECT_EQ(on.exit, 0) << on.err << "what the run was begun with need not be said again";
  for (const auto& [option, now, before] :
       {std::array{"--dropout 0.2", "--dropout 0.2", "0.1"},
        std::array{"--positions rotary", "--positions rotary", "learned"},
        std::array{"--context 12", "--context 12", "24"},
        std::array{"--tokeniser bpe", "--tokeniser bpe", "character"},
        std::array{"--arch linear", "--arch linear", "transformer"}}) {
    const Ran ran = resumed(std::string("--steps 6 ") + option);
    EXPECT_EQ(ran.exit, 2) << option;
    EXPECT_NE(ran.err.find(now), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find(std::string("was begun with ") + before), std::string::npos) << ran.err;
  }
  spill(folder / "toy.txt", toy(118));
  const Ran other = resumed("--steps 6");
  EXPECT_EQ(other.exit, 1);
  EXPECT_NE(other.err.find("--train: "), std::string::npos) << other.err;
}

TEST(Lm, WrongUseIsSaidWithWhatWouldDo) {
  const Temporary folder;
  for (const auto& [option, said] :
       {std::pair{"--arch rnn --heads 2", "--heads: is for another --arch than rnn"},
        std::pair{"--cell gru", "--cell: is for another --arch"},
        std::pair{"--untied", "--untied: is for another --arch"},
        std::pair{"--arch rnn --bias", "is for another --arch than rnn"},
        std::pair{"--arch cnn", "transformer, linear, rnn"},
        std::pair{"--preset huge", "char-tiny, char-small, words, base"},
        std::pair{"--positions none", "alibi, learned, rotary"},
        std::pair{"--logit-scale x", "inv_sqrt_d_model"},
        std::pair{"--tokeniser runes", "character"}, std::pair{"--context 0", "[1, "},
        std::pair{"--dropout 1", "[0, 1)"}, std::pair{"--minutes 1 --steps 0", "give --steps"}}) {
    const Ran ran = run_qkv(training(folder, "bad") + "--steps 1 " + option);
    EXPECT_EQ(ran.exit, 2) << option;
    EXPECT_NE(ran.err.find(said), std::string::npos) << ran.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "bad")) << option;
  }
  for (const char* option : {"--heads 5", "--arch linear --positions alibi"}) {
    const Ran ran = run_qkv(training(folder, "bad") + "--steps 1 " + option);
    EXPECT_EQ(ran.exit, 1) << option;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "bad")) << option;
  }
  spill(folder / "latin", "fine\ncaf\xE9\n");
  const Ran latin = run_qkv("train lm --train '" + (folder / "latin").string() + "' --model m");
  EXPECT_EQ(latin.exit, 1);
  EXPECT_NE(latin.err.find("latin:2: "), std::string::npos) << latin.err;
  EXPECT_EQ(run_qkv("generate --model '" + (folder / "none").string() + "' x").exit, 1);
  EXPECT_EQ(run_qkv("generate x").exit, 2);
  EXPECT_EQ(run_qkv("perplexity").exit, 2);
  EXPECT_EQ(run_qkv("train lm --model m").exit, 2);
  for (const char* command : {"train lm", "generate", "perplexity"}) {
    EXPECT_EQ(run_qkv(std::string(command) + " --help").exit, 0);
  }
  ASSERT_EQ(run_qkv(toy_training(folder, "translator") + "--steps 1").exit, 0);
  const Ran wrong = run_qkv("generate --model '" + (folder / "translator").string() + "' x");
  EXPECT_EQ(wrong.exit, 1);
  EXPECT_NE(wrong.err.find("is no language model (task 'translate')"), std::string::npos)
      << wrong.err;
}

}  // namespace
}  // namespace qkv
