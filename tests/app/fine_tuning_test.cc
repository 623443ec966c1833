// Going on from a model: train … --init with rates by layers, frozen parts and adapters.
#include <algorithm>
#include <string>

#include "app/run_qkv.h"
#include "systems/tiny_models.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

/// The last "valid …" line that training said.
double last_loss(const Ran& ran) {
  const std::size_t at = ran.err.rfind("loss ");
  return at == std::string::npos ? 1e9 : std::stod(ran.err.substr(at + 5));
}
double first_loss(const Ran& ran) {
  const std::size_t at = ran.err.find("loss ");
  return at == std::string::npos ? -1 : std::stod(ran.err.substr(at + 5));
}

std::string text(int lines) {
  std::string all;
  for (int i = 0; i < lines; ++i) all += i % 2 == 0 ? "the cat sat\n" : "a dog ran\n";
  return all;
}

std::string lm(const Temporary& folder, const char* model) {
  spill(folder / "text", text(80));
  return "train lm --train " + quoted(folder / "text") + " --model " + quoted(folder / model) +
         " --batch-tokens 256 --threads 1 ";
}

TEST(FineTuningCommand, GoesOnFromALanguageModel) {
  const Temporary folder;
  const Ran begun = run_qkv(lm(folder, "base") +
                            "--width 16 --heads 2 --layers 2 --context 32 --steps 60 --rate 0.01 "
                            "--validate-every 20 --warm-up 5");
  ASSERT_EQ(begun.exit, 0) << begun.err;
  const std::string init = "--init " + quoted(folder / "base") + " ";
  const Ran on = run_qkv(lm(folder, "on") + init + "--rate 0.003 --epochs 2");
  ASSERT_EQ(on.exit, 0) << on.err;
  EXPECT_LT(last_loss(on), last_loss(begun));
  const Ran frozen = run_qkv(lm(folder, "frozen") + init + "--freeze 1 --layer-rates 0.8");
  ASSERT_EQ(frozen.exit, 0) << frozen.err;
  EXPECT_THAT(frozen.err, HasSubstr("trained: "));

  // Adapters: a small directory that answers, resumes, and becomes a whole model when imported.
  const std::string lora = init + "--lora 2 --lora-targets all --rate 0.02 ";
  ASSERT_EQ(run_qkv(lm(folder, "whole") + lora + "--steps 12").exit, 0);
  ASSERT_EQ(run_qkv(lm(folder, "parts") + lora + "--steps 12 --save-minutes 1e-9").exit, 0);
  EXPECT_FALSE(fs::exists(folder / "whole" / "model.safetensors"));
  EXPECT_TRUE(slurp(folder / "whole" / "adapter_model.safetensors") ==
              slurp(folder / "parts" / "adapter_model.safetensors"));
  const Ran more = run_qkv(lm(folder, "parts") + "--resume --steps 20 --threads 2");
  ASSERT_EQ(more.exit, 0) << more.err;
  EXPECT_LT(last_loss(more), first_loss(on));
  const auto perplexity = [&](const char* model) {
    return run_qkv("perplexity --model " + quoted(folder / model) + " " + quoted(folder / "text"))
        .out;
  };
  ASSERT_EQ(run_qkv("import " + quoted(folder / "parts") + " " + quoted(folder / "merged")).exit,
            0);
  EXPECT_TRUE(fs::exists(folder / "merged" / "model.safetensors"));
  EXPECT_FALSE(perplexity("parts").empty());
  EXPECT_EQ(perplexity("merged"), perplexity("parts"));
  EXPECT_THAT(run_qkv("info " + quoted(folder / "parts")).out, HasSubstr("adapters of rank 2"));
}

TEST(FineTuningCommand, GoesOnFromATranslator) {
  const Temporary folder;
  ASSERT_EQ(run_qkv(toy_training(folder, "base") + "--steps 40 --rate 0.01").exit, 0);
  const std::string go = "train translate --train " + quoted(folder / "toy.en") + " " +
                         quoted(folder / "toy.de") + " --init " + quoted(folder / "base") +
                         " --batch-tokens 200 --valid-bleu 0 --threads 1 --model ";
  const Ran on = run_qkv(go + quoted(folder / "on") + " --rate 0.003 --epochs 3");
  ASSERT_EQ(on.exit, 0) << on.err;
  EXPECT_LT(last_loss(on), first_loss(on));
  const Ran adapted = run_qkv(go + quoted(folder / "adapted") + " --lora 4 --rate 0.01 --epochs 3");
  ASSERT_EQ(adapted.exit, 0) << adapted.err;
  EXPECT_THAT(adapted.err, HasSubstr("trained: "));
  const Ran answer = run_qkv("translate --model " + quoted(folder / "adapted"), "the dog sees\n");
  EXPECT_EQ(answer.exit, 0) << answer.err;
  EXPECT_FALSE(answer.out.empty());
  fs::rename(folder / "base", folder / "gone");
  const Ran lost = run_qkv("translate --model " + quoted(folder / "adapted"), "the dog sees\n");
  EXPECT_EQ(lost.exit, 1);
  EXPECT_THAT(lost.err, HasSubstr("put it there"));
}

// Heads over a BERT of Hugging Face: the encoder frozen, or with adapters beside it.
TEST(FineTuningCommand, GoesOnFromAnEncoder) {
  const Temporary folder;
  tiny::make_foreign(folder / "bert");
  std::string table;
  for (int i = 0; i < 40; ++i) table += "yes\tthe red boat waits\nno\ta dog .\n";
  spill(folder / "table", table);
  const std::string go = "train classify --train " + quoted(folder / "table") + " --init " +
                         quoted(folder / "bert") + " --threads 1 --rate 0.02 --warm-up 2 --model ";
  const Ran frozen = run_qkv(go + quoted(folder / "frozen") + " --freeze encoder --epochs 3");
  ASSERT_EQ(frozen.exit, 0) << frozen.err;
  const SafetensorsFile base(folder / "bert" / kWeightsFile);
  const SafetensorsFile made(folder / "frozen" / kWeightsFile);
  const std::string query = "bert.encoder.layer.0.attention.self.query.bias";
  EXPECT_TRUE(std::ranges::equal(base.tensor(query).values(), made.tensor(query).values()));

  const std::string lora = " --lora 2 --layer-rates 0.9 --head-rate 2 ";
  const Ran whole = run_qkv(go + quoted(folder / "whole") + lora + "--steps 12");
  ASSERT_EQ(whole.exit, 0) << whole.err;
  EXPECT_THAT(whole.err, HasSubstr("trained: "));
  ASSERT_EQ(run_qkv(go + quoted(folder / "parts") + lora + "--steps 5").exit, 0);
  const Ran more = run_qkv(go + quoted(folder / "parts") + " --resume --steps 12");
  ASSERT_EQ(more.exit, 0) << more.err;
  for (const char* file : {"adapter_model.safetensors", kWeightsFile}) {
    EXPECT_TRUE(slurp(folder / "whole" / file) == slurp(folder / "parts" / file)) << file;
  }
  const std::string lines = "the red boat\na dog\n";
  const auto answers = [&](const char* model) {
    return run_qkv("classify --json --model " + quoted(folder / model), lines).out;
  };
  ASSERT_EQ(run_qkv("import " + quoted(folder / "whole") + " " + quoted(folder / "import")).exit,
            0);
  EXPECT_FALSE(answers("whole").empty());
  EXPECT_EQ(answers("import"), answers("whole"));
  const Ran fresh = run_qkv(go + quoted(folder / "fresh") + " --fresh --lora 2");
  EXPECT_EQ(fresh.exit, 2);
  EXPECT_THAT(fresh.err, HasSubstr("leave out --fresh"));
}

// What is new beside weights that stay takes larger steps, unless told how large.
TEST(FineTuningCommand, AdaptersAndHeadsAloneGetFiveTimesTheRate) {
  const Temporary folder;
  tiny::make_foreign(folder / "bert");
  spill(folder / "table", "yes\tthe red boat\nno\ta dog .\n");
  const std::string go = "train classify --train " + quoted(folder / "table") + " --valid " +
                         quoted(folder / "table") + " --init " + quoted(folder / "bert") +
                         " --threads 1 --schedule constant --warm-up 0 --steps 50 --patience 0 " +
                         "--validate-every 50 --overwrite --model " + quoted(folder / "m");
  for (const auto& [how, rate] :
       {std::pair{"", 2e-4}, std::pair{" --lora 2", 1e-3}, std::pair{" --freeze encoder", 1e-3},
        std::pair{" --freeze 1", 2e-4}, std::pair{" --lora 2 --rate 0.004", 4e-3}}) {
    const Ran ran = run_qkv(go + how);
    ASSERT_EQ(ran.exit, 0) << ran.err;
    const std::string metrics = slurp(folder / "m" / "metrics.jsonl");
    const nlohmann::json line = nlohmann::json::parse(metrics.substr(0, metrics.find('\n')));
    EXPECT_NEAR(line["rate"].get<double>(), rate, 1e-9) << how << metrics;
  }
}

TEST(FineTuningCommand, SaysWhatDoesNotGoTogether) {
  const Temporary folder;
  ASSERT_EQ(run_qkv(toy_training(folder, "base") + "--steps 2").exit, 0);
  spill(folder / "text", text(40));
  const std::string pairs = quoted(folder / "toy.en") + " " + quoted(folder / "toy.de");
  const auto refused = [&](const std::string& arguments, int exit, const char* said) {
    const Ran ran = run_qkv("train " + arguments + " --model " + quoted(folder / "m"));
    EXPECT_EQ(ran.exit, exit) << arguments << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(said)) << arguments;
    EXPECT_FALSE(fs::exists(folder / "m" / "config.json"));
  };
  const std::string init = " --init " + quoted(folder / "base");
  const std::string on = "translate --train " + pairs + init;
  refused("translate --train " + pairs + " --lora 4", 2, "--lora is for --init");
  refused("translate --train " + pairs + " --target-language fr", 2,
          "--target-language is for --init");
  refused(on + " --preset tiny", 2, "--preset comes with --init");
  refused(on + " --width 8", 2, "comes with --init");
  refused(on + " --vocabulary 100", 2, "comes with --init");
  refused(on + " --freeze everything", 2, "embeddings, encoder or a number");
  refused(on + " --freeze 9", 2, "the model has 1 layers");
  refused(on + " --layer-rates 2", 2, "(0, 1]");
  refused(on + " --target-language fr", 1, "no tokens of languages");
  refused("lm --train " + quoted(folder / "text") + init, 1, "is no language model");
  refused("lm --train " + quoted(folder / "text") + " --freeze 1", 2, "--freeze is for --init");
}

}  // namespace
}  // namespace qkv
