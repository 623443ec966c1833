// Models of other programs that learn on: language models from directories of transformers,
// translators from those of CTranslate2 and Argos. A run begins where the imported model stands.
#include <algorithm>
#include <string>
#include <vector>

#include "app/run_qkv.h"
#include "systems/golden_folders.h"
#include "systems/tiny_argos.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/io/json.h"
#include "qkv/systems/generator.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/score_text.h"
#include "qkv/systems/translator.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

/// The loss of the last validation.
double last_loss(const fs::path& run) {
  double loss = 0;
  for (const Json& line : read_jsonl(run / "metrics.jsonl")) loss = line.value("valid_loss", loss);
  return loss;
}

const std::vector<std::string> kLines = {"t4 t5 t6 t7", "t8 t9 t4", "t5 t5 t10 t11 t12", "t4 t7"};

class ForeignDecoder : public ::testing::TestWithParam<const char*> {
 protected:
  ForeignDecoder() {
    testing::make_golden_decoder(GetParam(), folder_ / "hf");
    Json config = read_json(folder_ / "hf" / "config.json");
    for (auto& [key, value] : config.items()) {
      if (key.ends_with("drop") || key.ends_with("dropout")) value = 0.0;
    }
    write_json(folder_ / "hf" / "config.json", config);
    spill(folder_ / "text", fmt::format("{}\n", fmt::join(kLines, "\n")));
  }
  double train(const std::string& model, const std::string& more) const {
    const std::string text = quoted(folder_ / "text");
    const Ran ran = run_qkv("train lm --init " + quoted(folder_ / "hf") + " --train " + text +
                            " --valid " + text + " --by-line --context 16 --threads 1 --warm-up 0" +
                            " --model " + quoted(folder_ / model) + " " + more);
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return last_loss(folder_ / model);
  }
  double imported_loss() const {
    LanguageModel model = load_language_model(folder_ / "hf");
    model.by_line = true;
    const TextStream text = make_stream(kLines, model.encoder(), model.format());
    return score_text(model, text, {.context = 16}).loss();
  }
  std::string answer(const std::string& model) const {
    const Generator g = Generator::load(folder_ / model);
    return fmt::format("{} {:a}", g.generate("t4 t5", {.tokens = 5, .greedy = true}).text,
                       g.score(kLines).nll);
  }

  Temporary folder_;
};

// A rate of nothing shows the loss that the run begins with.
TEST_P(ForeignDecoder, LearnsOnFromWhereItStands) {
  const double imported = imported_loss();
  EXPECT_NEAR(train("still", "--steps 1 --rate 1e-30"), imported, 1e-5);
  for (const std::string how : {"--freeze embeddings ", "--lora 2 --lora-targets all "}) {
    SCOPED_TRACE(how);
    EXPECT_LT(train("learnt", how + "--steps 6 --rate 0.01 --overwrite"), imported - 0.01);
    EXPECT_EQ(fs::exists(folder_ / "learnt" / "adapter_model.safetensors"), how.ends_with("all "));
    EXPECT_NE(answer("learnt"), answer("hf"));
    if (!how.starts_with("--freeze")) continue;
    const LanguageModel before = load_language_model(folder_ / "hf"),
                        after = load_language_model(folder_ / "learnt");
    const auto now = named_parameters(after);
    for (const NamedTensor& t : named_parameters(before)) {
      const auto found = std::ranges::find(now, t.name, &NamedTensor::name);
      ASSERT_NE(found, now.end()) << t.name;
      const bool table = t.name.find("wte") != t.name.npos || t.name.find("wpe") != t.name.npos;
      EXPECT_EQ(std::ranges::equal(t.tensor.values(), found->tensor.values()), table) << t.name;
    }
  }
  // The adapters of the last run, which stand beside their base, as one model.
  const Ran made =
      run_qkv("import " + quoted(folder_ / "learnt") + " " + quoted(folder_ / "whole"));
  EXPECT_EQ(made.exit, 0) << made.err;
  EXPECT_EQ(answer("whole"), answer("learnt"));
}

INSTANTIATE_TEST_SUITE_P(Models, ForeignDecoder, ::testing::Values("gpt2", "llama-one-key", "mpt"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::erase(name, '-');
                           return name;
                         });

// The network of a model.bin, whose text is cut already, and a package with its pieces.
TEST(ForeignTranslator, LearnsOnFromWhereItStands) {
  const Temporary folder;
  tiny::make_argos(folder / "argos");
  fs::rename(folder / "argos" / "model", folder / "ct2");
  tiny::make_argosmodel(folder / "en_xx.argosmodel", "en", "xx");
  const std::vector<std::string> sources = {"a t", "t a a", "t"}, targets = {"x", "x x", "x x x"};
  spill(folder / "pairs.en", fmt::format("{}\n", fmt::join(sources, "\n")));
  spill(folder / "pairs.xx", fmt::format("{}\n", fmt::join(targets, "\n")));
  const std::string pairs = quoted(folder / "pairs.en") + " " + quoted(folder / "pairs.xx");
  for (const std::string from : {"ct2", "en_xx.argosmodel"}) {
    SCOPED_TRACE(from);
    const auto train = [&](const std::string& more) {
      const Ran ran = run_qkv("train translate --init " + quoted(folder / from) + " --train " +
                              pairs + " --valid " + pairs + " --valid-bleu 0 --warm-up 0 " +
                              "--threads 1 --overwrite --model " + quoted(folder / "own") + more);
      EXPECT_EQ(ran.exit, 0) << ran.err;
      return last_loss(folder / "own");
    };
    const auto t = Translator::load(folder / from);
    double log_p = 0, tokens = 0;
    for (const TranslationCandidate& c : t.score(sources, targets, t.defaults())) {
      for (const float p : c.token_scores) log_p += static_cast<double>(p), ++tokens;
    }
    const double imported = -log_p / tokens;
    EXPECT_NEAR(train(" --steps 1 --rate 1e-30"), imported, 1e-5);
    for (const std::string how : {" --freeze encoder", " --lora 2"}) {
      EXPECT_LT(train(" --steps 8 --rate 0.02" + how), imported - 0.01) << how;
    }
    const auto own = Translator::load(folder / "own");
    EXPECT_EQ(own.defaults().sentences, t.defaults().sentences);
    TranslateOptions options = own.defaults();
    options.max_length = 6;
    options.at_limit = LimitRule::cut;
    EXPECT_FALSE(own.translate("a t", options).text.empty());
  }
}

}  // namespace
}  // namespace qkv
