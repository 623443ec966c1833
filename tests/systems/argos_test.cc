// A package of Argos Translate, made of a network with random weights.
#include "fuzz/ct2.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/json.h"
#include "qkv/systems/open.h"
#include "qkv/systems/translation_model.h"
#include "qkv/text/subword.h"

namespace qkv {
namespace {

using ::testing::HasSubstr;

class Argos : public ::testing::Test {
 protected:
  Argos() {
    make_folder(folder_ / "model");
    const std::vector<std::string> text = {"the red boat", "a dog in the mill"};
    write_file(folder_ / "sentencepiece.model",
               Subword::train({.unigram = true, .vocabulary_size = 24}, text).model());
    write_file(folder_ / "model/model.bin", ct2_seed(6));
    write_file(folder_ / "model/source_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\na\nt\n");
    write_file(folder_ / "model/target_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\nx\n");
    put(Json::object());
  }
  void put(const Json& more) {
    Json json = {{"from_code", "en"}, {"to_code", "xx"}, {"package_version", "1.0"}};
    json.update(more);
    write_json(folder_ / "metadata.json", json);
  }
  std::string error() const {
    try {
      (void)Translator::load(folder_.path());
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  Temporary folder_;
};

TEST_F(Argos, ReadsAnglesAsText) {
  const Translator t = Translator::load(folder_.path());
  const Tokeniser& source = t.model().source;  // ">>fra<<" is Marian's alone
  EXPECT_GT(source.encode("a >> a dog << a").size(), source.encode("a  a").size());
}

TEST_F(Argos, IsATranslatorWithTheProgramsDefaults) {
  const System system = open(folder_.path());
  const auto& t = std::get<Translator>(system);
  EXPECT_EQ(t.defaults().beam, 4);
  EXPECT_EQ(t.defaults().length_penalty, 0.2);
  EXPECT_TRUE(t.defaults().replace_unknown);
  EXPECT_THAT(t.info().summary, HasSubstr("Argos en-xx"));
  TranslateOptions few = t.defaults();
  few.max_length = 6;
  const Translation found = t.translate("a dog", few);
  EXPECT_EQ(found.text.find("<unk>"), std::string::npos);
  t.save(folder_ / "own");
  EXPECT_EQ(Translator::load(folder_ / "own").translate("a dog", few).text, found.text);
}

TEST_F(Argos, JoinsPiecesByTheirSigns) {
  const auto t = Translator::load(folder_.path());
  EXPECT_EQ(t.model().target.join({"\u2581the", "\u2581red", "s"}), "the reds");
  EXPECT_EQ(t.model().source.pieces("\u4E2D").back(), "\u2581\u4E2D") << "unknown: as it stands";
}

TEST_F(Argos, BeginsTargetsWithThePrefix) {
  put({{"target_prefix", "x"}});
  const auto t = Translator::load(folder_.path());
  EXPECT_EQ(t.model().tokens().target_begin, std::vector<std::int32_t>{4});
  put({{"target_prefix", "y"}});
  EXPECT_THAT(error(), HasSubstr("target_prefix"));
}

TEST_F(Argos, RefusesByNameWhatItIsNot) {
  put({{"type", "sbd"}});
  EXPECT_THAT(error(), HasSubstr("type"));
  put({{"mystery", 1}});
  EXPECT_THAT(Translator::load(folder_.path()).info().notes.back(), HasSubstr("mystery"));
  std::filesystem::rename(folder_ / "sentencepiece.model", folder_ / "bpe.model");
  EXPECT_THAT(error(), HasSubstr("bpe.model"));
}

}  // namespace
}  // namespace qkv
