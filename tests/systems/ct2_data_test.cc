// A translator that CTranslate2 was tested with, in three precisions, against what that program
// gives for it.
#include <filesystem>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/systems/translator.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

class Transliterator : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!fs::exists(directory() / "model.bin")) GTEST_SKIP() << directory() << " is not there";
  }
  fs::path directory() const {
    return fs::path(QKV_DATA_DIR) / "real-models" /
           (std::string("aren-transliteration") + GetParam());
  }
};

TEST_P(Transliterator, GivesTheHypothesesAndScoresOfItsProgram) {
  const auto t = Translator::load(directory());
  TranslateOptions options = t.defaults();
  options.beam = options.n_best = 4;
  const std::vector<std::string> lines = {"آ ت ز م و ن", "آ ت ش ي س و ن"};
  const auto found = t.translate(lines, options);
  EXPECT_EQ(found[0].best[0].text, "a t z m o n");
  EXPECT_EQ(found[0].best[1].text, "a t z u m o n");
  EXPECT_EQ(found[1].text, "a c h i s o n");
  if (std::string(GetParam()).empty()) {
    EXPECT_NEAR(found[0].best[0].score, -0.15167, 1e-4);
    EXPECT_NEAR(found[0].best[1].score, -0.26603, 1e-4);
  }
  const auto scored =
      t.score(std::vector<std::string>{lines[0]}, std::vector<std::string>{"a t z m o n"}, options);
  EXPECT_NEAR(scored[0].score, found[0].score, 1e-6);
}

TEST_P(Transliterator, IsTheSameAfterSaving) {
  const auto t = Translator::load(directory());
  const Temporary folder;
  t.save(folder / "own");
  const auto own = Translator::load(folder / "own");
  const std::vector<std::string> lines = {"آ ت ز م و ن", "", "آ x ن"};
  const auto before = t.translate(lines, t.defaults()),
             after = own.translate(lines, own.defaults());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(before[i].text, after[i].text);
    EXPECT_EQ(before[i].score, after[i].score);
  }
}

TEST_P(Transliterator, ReplacesUnknownTokensAndShowsAlignment) {
  const auto t = Translator::load(directory());
  TranslateOptions options = t.defaults();
  options.attention = options.replace_unknown = true;
  const Translation one = t.translate("آ ت ز م و ن", options);
  const TranslationCandidate& c = one.best.front();
  EXPECT_EQ(c.sources, 6) << "no end is put at the source";
  EXPECT_EQ(c.attention.size(), (c.tokens.size() + 1) * 6);
  EXPECT_EQ(one.text.find("<unk>"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Precisions, Transliterator, testing::Values("", "-i16", "-i8"),
                         [](const auto& form) {
                           return std::string(*form.param ? form.param + 1 : "f32");
                         });

}  // namespace
}  // namespace qkv
