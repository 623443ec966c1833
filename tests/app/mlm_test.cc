// A BERT through the verbs: train mlm, fill, embed, info, look, resume.
#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

std::string toy(int documents) {
  std::string text;
  for (int i = 0; i < documents; ++i) text += "the cat sat .\nit sat on the mat .\n\n";
  return text;
}

std::string training(const Temporary& folder, const std::string& model) {
  spill(folder / "toy.txt", toy(60));
  return "train mlm --train '" + (folder / "toy.txt").string() + "' --model '" +
         (folder / model).string() +
         "' --width 32 --layers 1 --heads 2 --length 24 --vocabulary 60 --batch-tokens 240 "
         "--rate 0.01 --threads 1 ";
}

TEST(Mlm, TrainsFillsAndEmbeds) {
  const Temporary folder;
  const Ran trained =
      run_qkv(training(folder, "m") + "--by-line --dropout 0 --attention-dropout 0 --steps 150");
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("sentences in"), std::string::npos) << trained.err;
  const std::string model = " --model '" + (folder / "m").string() + "' ";
  const Ran filled =
      run_qkv("fill --top 2" + model, "the [MASK] sat .\n\nIt [MASK] on the [MASK] .\nno mask\n");
  ASSERT_EQ(filled.exit, 0) << filled.err;
  EXPECT_EQ(filled.out.rfind("the cat sat.\n  0.", 0), 0U) << filled.out;
  EXPECT_NE(filled.out.find("it sat on the mat.\n  0."), std::string::npos) << filled.out;
  EXPECT_NE(filled.out.find("no mask\n"), std::string::npos) << filled.out;
  EXPECT_NE(filled.err.find("<stdin>:4: no [MASK]"), std::string::npos) << filled.err;
  const Ran json = run_qkv("fill --top 3 --json" + model, "the [MASK] sat .\n");
  const auto object = nlohmann::json::parse(json.out);
  EXPECT_EQ(object["text"], "the cat sat.");
  ASSERT_EQ(object["masks"].size(), 1U);
  ASSERT_EQ(object["masks"][0].size(), 3U);
  EXPECT_EQ(object["masks"][0][0]["piece"], "cat");
  EXPECT_GT(object["masks"][0][0]["probability"], 0.5);

  const std::string texts = "the cat sat .\nit sat on the mat .\n\n";
  const Ran vectors = run_qkv("embed" + model, texts);
  ASSERT_EQ(vectors.exit, 0) << vectors.err;
  EXPECT_EQ(std::count(vectors.out.begin(), vectors.out.end(), '\n'), 3);
  EXPECT_EQ(std::count(vectors.out.begin(), vectors.out.end(), '\t'), 3 * 31);
  EXPECT_EQ(run_qkv("embed --batch-sentences 1 --threads 2" + model, texts).out, vectors.out)
      << "neighbours and threads";
  std::istringstream lines(run_qkv("embed --json --normalise --pooling cls" + model, texts).out);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto vector = nlohmann::json::parse(line)["vector"].get<std::vector<double>>();
  double norm = 0;
  for (const double x : vector) norm += x * x;
  EXPECT_NEAR(norm, 1, 1e-5);

  const Ran info = run_qkv("info '" + (folder / "m").string() + "'");
  EXPECT_NE(info.out.find("mlm (tiny BERT, hidden words)"), std::string::npos)
      << info.out << info.err;
  const auto told =
      nlohmann::json::parse(run_qkv("info --json --tensors '" + (folder / "m").string() + "'").out);
  EXPECT_EQ(told["model_type"], "bert");
  EXPECT_TRUE(told["tensors"].contains("bert.encoder.layer.0.attention.self.query.weight"));
  const Ran look = run_qkv("look" + model + "--source 'the [MASK] sat .'");
  EXPECT_EQ(look.exit, 0) << look.err;
  EXPECT_NE(look.out.find("the [MASK] sat . → the cat sat."), std::string::npos) << look.out;
}

TEST(Mlm, ResumesToTheSameWeightsOnAnyThreads) {
  const Temporary folder;
  const std::string how =
      "--nsp --whole-word --duplicates 2 --validate-every 4 --schedule constant --warm-up 30 "
      "--patience 0 ";
  ASSERT_EQ(run_qkv(training(folder, "whole") + how + "--steps 12").exit, 0);
  ASSERT_EQ(run_qkv(training(folder, "parts") + how + "--steps 5").exit, 0);
  const Ran ran = run_qkv(training(folder, "parts") + "--steps 12 --resume --threads 2");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_TRUE(slurp(folder / "whole" / "model.safetensors") ==
              slurp(folder / "parts" / "model.safetensors"));
  EXPECT_NE(ran.err.find("next sentence"), std::string::npos) << ran.err;
  const Ran same = run_qkv(training(folder, "parts") + "--steps 14 --resume");
  EXPECT_EQ(same.exit, 0) << same.err << "what the run was begun with need not be said again";
  EXPECT_NE(same.err.find("next sentence"), std::string::npos) << same.err;
  for (const auto& [option, before] :
       {std::pair{"--length 20", "24"}, std::pair{"--nsp=false", "yes"},
        std::pair{"--feed-forward 64", "128"}, std::pair{"--cased", "no"}}) {
    const Ran refused = run_qkv(training(folder, "parts") + "--steps 16 --resume " + option);
    EXPECT_EQ(refused.exit, 2) << option;
    EXPECT_NE(refused.err.find(std::string("was begun with ") + before), std::string::npos)
        << refused.err;
  }
  // A state of a version that kept no record.
  std::filesystem::remove(folder / "parts" / "state" / "run.json");
  const Ran other = run_qkv(training(folder, "parts") + "--steps 16 --resume");
  EXPECT_EQ(other.exit, 1);
  EXPECT_NE(other.err.find("was begun with --nsp"), std::string::npos) << other.err;
}

TEST(Mlm, BeginsATaggerAndAClassifier) {
  const Temporary folder;
  ASSERT_EQ(run_qkv(training(folder, "m") + "--steps 3").exit, 0);
  const std::string init = " --init '" + (folder / "m").string() +
                           "' --threads 1 --steps 60 --warm-up 5 --schedule constant --head-rate 1 "
                           "--patience 0 ";
  std::string columns, table;
  for (int i = 0; i < 60; ++i) {
    columns += "the O\ncat B-animal\nsat O\n\nthe O\nmat O\nsat O\n\ncat B-animal\nsat O\n\n";
    table += "yes\tthe cat sat .\nno\tit sat on the mat .\n";
  }
  spill(folder / "tags", columns);
  spill(folder / "labels", table);
  const std::string tagger = (folder / "t").string(), classifier = (folder / "c").string();
  const Ran tagged = run_qkv("train tag --train '" + (folder / "tags").string() + "' --model '" +
                             tagger + "' --rate 0.005" + init);
  ASSERT_EQ(tagged.exit, 0) << tagged.err;
  EXPECT_EQ(run_qkv("tag --model '" + tagger + "'", "the cat sat\n\n").out, "O B-animal O\n\n");
  for (const char* pooling : {"mean", "token"}) {
    // Every tenth line alone would be of one class.
    const std::string labels = "'" + (folder / "labels").string() + "'";
    const Ran ran = run_qkv("train classify --train " + labels + " --valid " + labels +
                            " --model '" + classifier + "' --overwrite --rate 0.005 --pooling " +
                            pooling + (std::string(pooling) == "mean" ? " --fresh" : "") + init);
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(run_qkv("classify --model '" + classifier + "'", "the cat sat .\n").out, "yes\n");
  }
  const Ran info = run_qkv("info '" + tagger + "'");
  EXPECT_NE(info.out.find("BERT"), std::string::npos) << info.out << info.err;
  const Ran look = run_qkv("look --kind encoder --model '" + tagger + "' --source 'the cat sat'");
  EXPECT_EQ(look.exit, 0) << look.err;
  EXPECT_NE(look.out.find("[CLS]"), std::string::npos) << look.out;
  const Ran wrong = run_qkv("train tag --train '" + (folder / "tags").string() + "' --model '" +
                            (folder / "w").string() + "' --width 8" + init);
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_NE(wrong.err.find("--init brings the encoder"), std::string::npos) << wrong.err;
}

TEST(Mlm, WrongUseIsSaidWithWhatWouldDo) {
  const Temporary folder;
  for (const auto& [option, said] :
       {std::pair{"--preset huge --steps 1", "tiny, mini, small, base"},
        std::pair{"--length 3 --steps 1", "[4, "}, std::pair{"--mask-share 2 --steps 1", "[0, 1]"},
        std::pair{"--activation swish --steps 1", "relu"},
        std::pair{"--activation tanh --steps 1", "gelu, gelu_new or relu"},
        std::pair{"--minutes 1", "give --steps"}}) {
    const Ran ran = run_qkv(training(folder, "bad") + option);
    EXPECT_EQ(ran.exit, 2) << option;
    EXPECT_NE(ran.err.find(said), std::string::npos) << ran.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "bad")) << option;
  }
  for (const char* option : {"--heads 5", "--vocabulary 10", "--length 4 --nsp"}) {
    const Ran ran = run_qkv(training(folder, "bad") + "--steps 1 " + option);
    EXPECT_EQ(ran.exit, 1) << option;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  }
  EXPECT_EQ(run_qkv("fill --model '" + (folder / "none").string() + "'", "x\n").exit, 1);
  EXPECT_EQ(run_qkv("fill", "x\n").exit, 2);
  EXPECT_EQ(run_qkv("embed --pooling max --model m", "x\n").exit, 2);
  for (const char* command : {"train mlm", "fill", "embed"}) {
    EXPECT_EQ(run_qkv(std::string(command) + " --help").exit, 0);
  }
}

}  // namespace
}  // namespace qkv
