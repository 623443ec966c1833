// An M2M100 through ct2-transformers-converter (tools/golden_ct2.py): CTranslate2's hypotheses and
// scores, from texts, and from the tokens that CTranslate2 is given.
#include <filesystem>
#include <string>
#include <vector>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/io/json.h"
#include "qkv/systems/translator.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path golden() { return fs::path(QKV_SOURCE_DIR) / "tests/golden/ct2/m2m100"; }

/// The four hypotheses of each line of golden.json, from `text` of its entry.
template <class Text>
void expect_hypotheses(const Translator& translator, TranslateOptions options, Text&& text) {
  options.beam = options.n_best = 4;
  options.max_length = 8;
  for (const Json& entry : read_json(golden() / "golden.json")) {
    options.target_language = entry["language"].get<std::string>();
    const auto found = translator.translate(std::vector<std::string>{text(entry)}, options)[0].best;
    ASSERT_EQ(found.size(), entry["hypotheses"].size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(Json(found[i].tokens), entry["hypotheses"][i]) << entry["line"] << " " << i;
      EXPECT_NEAR(found[i].score, entry["scores"][i].get<double>(), 1e-5);
    }
  }
}

TEST(Ct2Golden, CutsTextsAsTheModelsTokeniser) {
  const Translator translator = Translator::load(golden());
  TranslateOptions options = translator.defaults();
  options.source_language = "en";
  expect_hypotheses(translator, options,
                    [](const Json& e) { return e["line"].get<std::string>(); });
  // The same from a directory of ours.
  const Temporary folder;
  translator.save(folder / "own");
  expect_hypotheses(Translator::load(folder / "own"), options,
                    [](const Json& e) { return e["line"].get<std::string>(); });
  options.target_language = "xx";
  try {
    (void)translator.translate(std::vector<std::string>{"the"}, options);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("'__xx__'"));
  }
}

TEST(Ct2Golden, ReadsTokensWhereNoPiecesLieThere) {
  const Temporary folder;
  fs::copy(golden(), folder / "m");
  fs::remove(folder / "m/sentencepiece.bpe.model");
  const Translator translator = Translator::load(folder / "m");
  expect_hypotheses(translator, translator.defaults(), [](const Json& e) {
    std::string text;
    for (const Json& token : e["tokens"]) text += token.get<std::string>() + " ";
    return text;
  });
}

}  // namespace
}  // namespace qkv
