// A recurrent translator through the verbs: train, translate, look, info, resume.
#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

std::string training(const Temporary& folder, const std::string& model) {
  const auto [source, target] = toy_text();
  spill(folder / "toy.en", source);
  spill(folder / "toy.de", target);
  return "train translate --arch rnn --train '" + (folder / "toy.en").string() + "' '" +
         (folder / "toy.de").string() + "' --model '" + (folder / model).string() +
         "' --embedding 16 --width 24 --dropout 0.1 --vocabulary 60 --batch-tokens 200 "
         "--warm-up 10 --valid-bleu 5 --threads 1 ";
}

TEST(Rnn, TrainsTranslatesAndShowsItsAttention) {
  const Temporary folder;
  const Ran trained = run_qkv(training(folder, "model") +
                              "--steps 400 --validate-every 200 --dropout 0 --rate 0.01");
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("unknown: 0.00 %"), std::string::npos) << trained.err;
  const std::string model = " --threads 1 --model '" + (folder / "model").string() + "' ";
  const Ran ran = run_qkv("translate --alignment" + model, "the cat sees 7 trees\n");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out.rfind("die katze sieht 7 bäume ||| ", 0), 0U) << ran.out;

  const Ran covered =
      run_qkv("translate --json --coverage --attention --coverage-penalty 0.1" + model,
              "the cat sees 7 trees\n");
  ASSERT_EQ(covered.exit, 0) << covered.err;
  const auto line = nlohmann::json::parse(covered.out);
  ASSERT_EQ(line["coverage"].size(), line["attention"][0].size());
  for (std::size_t j = 0; j < line["coverage"].size(); ++j) {
    double sum = 0;
    for (const auto& row : line["attention"]) sum += row[j].get<double>();
    EXPECT_NEAR(line["coverage"][j].get<double>(), sum, 1e-6);
  }
  EXPECT_LT(line["score"].get<double>(),
            line["log_probability"].get<double>() / static_cast<double>(line["attention"].size()));
  const Ran shown = run_qkv("look --source 'the cat sees 7 trees'" + model);
  EXPECT_NE(shown.out.find("received in all: the "), std::string::npos) << shown.out;

  const std::string picture = (folder / "a.json").string();
  const Ran look =
      run_qkv("look --source 'the cat sees 7 trees' --output '" + picture + "'" + model);
  ASSERT_EQ(look.exit, 0) << look.err;
  EXPECT_EQ(nlohmann::json::parse(slurp(picture))["maps"].size(), 1U);

  const Ran info = run_qkv("info --json '" + (folder / "model").string() + "'");
  ASSERT_EQ(info.exit, 0) << info.err;
  const auto config = nlohmann::json::parse(info.out);
  EXPECT_EQ(config["architecture"], "rnn");
  EXPECT_EQ(config["model"]["context"], "before");
  EXPECT_EQ(run_qkv("info '" + (folder / "model").string() + "'").exit, 0);
}

TEST(Rnn, EveryKindTrainsAndResumesToTheSameWeights) {
  const Temporary folder;
  int n = 0;
  for (const std::string kind :
       {"--attention none --cell lstm", "--attention bahdanau --cell gru_reset_before",
        "--attention luong --score general --input-feeding",
        "--attention luong --local predictive --window 2"}) {
    const std::string whole = "whole" + std::to_string(n), parts = "parts" + std::to_string(n);
    const std::string first = training(folder, whole) + kind,
                      second = training(folder, parts) + kind;
    ASSERT_EQ(run_qkv(first + " --steps 12 --validate-every 3").exit, 0) << kind;
    ASSERT_EQ(run_qkv(second + " --steps 6 --validate-every 3").exit, 0) << kind;
    const Ran ran = run_qkv(second + " --steps 12 --validate-every 3 --resume");
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_TRUE(slurp(folder / whole / "model.safetensors") ==
                slurp(folder / parts / "model.safetensors"))
        << kind;
    ++n;
  }
  const std::string local = " --threads 1 --model '" + (folder / "whole3").string() + "' ";
  EXPECT_EQ(run_qkv("translate --beam 3 --alignment" + local, "the cat\nthe dog sees\n").exit, 0);
  EXPECT_EQ(run_qkv("look --source 'the cat'" + local).exit, 0);
  const auto config =
      nlohmann::json::parse(run_qkv("info --json '" + (folder / "whole3").string() + "'").out);
  EXPECT_EQ(config["model"]["local"], "predictive");
  EXPECT_EQ(config["model"]["local_width"], 2);
  const std::string plain = " --threads 1 --model '" + (folder / "whole0").string() + "' ";
  EXPECT_EQ(run_qkv("translate" + plain, "the cat\n").exit, 0);
  EXPECT_EQ(run_qkv("translate --coverage-penalty 0.2" + plain, "the cat\n").exit, 1);
  EXPECT_EQ(run_qkv("translate --coverage-penalty -1" + local, "the cat\n").exit, 2);
  const Ran look = run_qkv("look --source 'the cat'" + plain);
  EXPECT_EQ(look.exit, 1);
  EXPECT_NE(look.err.find("no attention"), std::string::npos) << look.err;
}

TEST(Rnn, AModelFromBeforeLocalAttentionIsRead) {
  const Temporary folder;
  ASSERT_EQ(run_qkv(training(folder, "m") + "--steps 1 --validate-every 1").exit, 0);
  const auto path = folder / "m" / "config.json";
  auto config = nlohmann::json::parse(slurp(path));
  config["model"].erase("local");
  config["model"].erase("local_width");
  config.erase("manifest");  // there was none, either
  config["format"] = 1;
  spill(path, config.dump());
  const std::string model = " --threads 1 --model '" + (folder / "m").string() + "'";
  const Ran ran = run_qkv("translate" + model, "the cat\n");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  config["model"].erase("width");
  spill(path, config.dump());
  EXPECT_EQ(run_qkv("translate" + model, "the cat\n").exit, 1);
}

TEST(Rnn, LengthsAreTriedAndDrawn) {
  const Temporary folder;
  const std::string output = (folder / "made").string();
  const Ran made = run_qkv(
      "lengths --attention none bahdanau predictive --symbols 4 --shortest 2 --longest 3 --steps "
      "20 "
      "--sequences 5 --seeds 2 --threads 1 --output '" +
      output + "'");
  ASSERT_EQ(made.exit, 0) << made.err;
  EXPECT_NE(made.out.find("bahdanau: the attention lies "), std::string::npos) << made.out;
  const auto runs = nlohmann::json::parse(slurp(folder / "made" / "lengths.json"));
  EXPECT_EQ(runs["predictive"].size(), 2U);
  EXPECT_EQ(runs["none"][1]["seed"], 2);
  EXPECT_EQ(runs["none"][0]["lengths"].size(), 3U);  // 2, 3 and half as long again
  EXPECT_TRUE(runs["none"][0]["lengths"][0]["distance"].is_null());
  EXPECT_NE(slurp(folder / "made" / "lengths.svg").find("bahdanau"), std::string::npos);

  ASSERT_EQ(run_qkv(training(folder, "m") + "--steps 2 --validate-every 2").exit, 0);
  const std::string model = "lengths --threads 1 --json --output '" + (folder / "text").string() +
                            "' --models '" + (folder / "m").string() + "' ";
  const Ran given = run_qkv(model + "--source '" + (folder / "toy.en").string() +
                            "' --reference '" + (folder / "toy.de").string() + "' --bucket 3");
  ASSERT_EQ(given.exit, 0) << given.err;
  const auto buckets = nlohmann::json::parse(given.out)[(folder / "m").string()];
  ASSERT_GE(buckets.size(), 1U);
  EXPECT_EQ(buckets[0]["to_length"].get<int>() % 3, 0);
  EXPECT_EQ(run_qkv(model).exit, 1);
  EXPECT_EQ(run_qkv("lengths --attention none none --output '" + output + "'").exit, 1);
  EXPECT_EQ(run_qkv("lengths --attention all --output '" + output + "'").exit, 2);
}

TEST(Rnn, OptionsOfTheOtherArchitectureAreRefused) {
  const Temporary folder;
  // 2: no option of such a network, or no value of the option; 1: values that do not go together.
  for (const auto& [option, exit] :
       std::initializer_list<std::pair<const char*, int>>{{"--heads 2", 2},
                                                          {"--norm pre", 2},
                                                          {"--cell lsd", 2},
                                                          {"--attention dot", 2},
                                                          {"--attention luong --score dot", 1},
                                                          {"--input-feeding", 1},
                                                          {"--local near", 2},
                                                          {"--window 3", 2},
                                                          {"--attention none --local monotonic", 1},
                                                          {"--local monotonic --window 0", 2}}) {
    const Ran ran = run_qkv(training(folder, "m") + "--steps 1 " + option);
    EXPECT_EQ(ran.exit, exit) << option << ": " << ran.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "m")) << option;
  }
  const Ran ran = run_qkv(toy_training(folder, "m") + "--steps 1 --cell gru");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_NE(ran.err.find("--arch"), std::string::npos) << ran.err;
  EXPECT_EQ(run_qkv(toy_training(folder, "m") + "--steps 1 --arch cnn").exit, 2);
}

}  // namespace
}  // namespace qkv
