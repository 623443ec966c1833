// A package of Argos Translate, made of a network with random weights.
#include "systems/tiny_argos.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/systems/open.h"
#include "qkv/systems/translation_model.h"
#include "qkv/systems/translator_chain.h"

namespace qkv {
namespace {

using ::testing::HasSubstr;

class Argos : public ::testing::Test {
 protected:
  Argos() { tiny::make_argos(folder_.path()); }
  void put(const Json& more) { tiny::make_argos(folder_.path(), more); }
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
  EXPECT_TRUE(t.defaults().sentences);
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

/// Two packages, one behind the other.
class ArgosFiles : public ::testing::Test {
 protected:
  ArgosFiles() {
    tiny::make_argosmodel(folder_ / "en_xx.argosmodel", "en", "xx");
    tiny::make_argosmodel(folder_ / "xx_yy.argosmodel", "xx", "yy");
  }
  static TranslateOptions few(const Translator& t) {
    TranslateOptions options = t.defaults();
    options.max_length = 6;
    return options;
  }
  std::string error(const char* file) const {
    try {
      (void)open(folder_ / file);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  Temporary folder_;
};

TEST_F(ArgosFiles, AnswerAsTheirFolders) {
  tiny::make_argos(folder_ / "unpacked");
  const System system = open(folder_ / "en_xx.argosmodel");
  const auto& packed = std::get<Translator>(system);
  const auto unpacked = Translator::load(folder_ / "unpacked");
  const std::string text = "a dog. The mill.";
  EXPECT_EQ(packed.translate(text, few(packed)).text, unpacked.translate(text, few(packed)).text);
  EXPECT_EQ(packed.translate(text, few(packed)).score, unpacked.translate(text, few(packed)).score);
  packed.save(folder_ / "own");
  const auto own = Translator::load(folder_ / "own");
  EXPECT_EQ(own.translate(text, few(own)).text, packed.translate(text, few(packed)).text);
  EXPECT_EQ(own.model().from_code, "en");
  EXPECT_EQ(own.model().to_code, "xx");
}

TEST_F(ArgosFiles, TranslateParagraphsSentenceBySentence) {
  const auto t = Translator::load(folder_ / "en_xx.argosmodel");
  TranslateOptions one = few(t);
  one.sentences = false;
  const Translation a = t.translate("A dog waits.", one), b = t.translate("The mill?", one);
  const std::string text = "A dog waits. The mill?\n\n  A dog waits.\nThe mill?";
  const Translation whole = t.translate(text, few(t));
  EXPECT_EQ(whole.text, a.text + " " + b.text + "\n\n  " + a.text + "\n" + b.text);
  EXPECT_NEAR(whole.score, 2 * (a.score + b.score), 1e-9);
  EXPECT_NE(whole.text, t.translate(text, one).text) << "the rule must matter";
  const TranslationCandidate& c = whole.best.front();
  EXPECT_EQ(c.token_scores.size(), c.tokens.size() + 1);
  double sum = 0;
  for (const float p : c.token_scores) sum += static_cast<double>(p);
  EXPECT_NEAR(sum, c.log_probability, 1e-4);
  TranslateOptions more = few(t);
  more.n_best = 3;
  EXPECT_EQ(t.translate(text, more).best.size(), 3U);
  EXPECT_EQ(t.translate("", few(t)).text, "");
  EXPECT_EQ(t.translate(" \n ", few(t)).text, " \n ");
  // As a stream, the same.
  std::vector<std::string> lines = {"A dog waits. The mill?", "", "The mill?"}, found;
  std::size_t next = 0;
  const LineSource source{[&]() -> std::optional<std::string> {
    return next < lines.size() ? std::optional(lines[next++]) : std::nullopt;
  }};
  t.translate(source, few(t), [&](std::int64_t line, const Translation& x) {
    EXPECT_EQ(line, static_cast<std::int64_t>(found.size()));
    found.push_back(x.text);
  });
  EXPECT_EQ(found, (std::vector<std::string>{a.text + " " + b.text, "", b.text}));
  more.attention = true;
  EXPECT_THROW((void)t.translate(text, more), Error);
  EXPECT_THROW((void)t.translate_tokens({}, few(t)), Error);
}

TEST_F(ArgosFiles, GoOnWhereAnotherEnds) {
  const std::vector<std::filesystem::path> both = {folder_ / "en_xx.argosmodel",
                                                   folder_ / "xx_yy.argosmodel"};
  const auto chain = TranslatorChain::load(both);
  std::vector<TranslateOptions> options = chain.defaults();
  for (TranslateOptions& o : options) o.max_length = 6;
  const auto& steps = chain.steps();
  const std::vector<std::string> texts = {"A dog waits. The mill?", "", "a\nboat"};
  const auto found = chain.translate(texts, options);
  const auto through = [&](const std::string& sentence) {
    TranslateOptions whole = options[0];
    whole.sentences = false;
    const Translation first = steps[0].translate(sentence, whole);
    Translation second = steps[1].translate(first.text, options[1]);
    second.score += first.score;
    return second;
  };
  const Translation a = through("A dog waits."), b = through("The mill?");
  EXPECT_EQ(found[0].text, a.text + " " + b.text);
  EXPECT_NEAR(found[0].score, a.score + b.score, 1e-9);
  EXPECT_EQ(found[1].text, "");
  EXPECT_EQ(found[2].text, through("a").text + "\n" + through("boat").text);
  options[0].attention = true;
  EXPECT_THROW((void)chain.translate(texts, options), Error);
  EXPECT_THROW((void)chain.translate(texts, std::span(options).first(1)), Error);
}

TEST_F(ArgosFiles, FollowEachOtherByTheirLanguages) {
  const auto first = Translator::load(folder_ / "en_xx.argosmodel");
  const auto second = Translator::load(folder_ / "xx_yy.argosmodel");
  EXPECT_NO_THROW(TranslatorChain({first, second}));
  try {
    TranslatorChain({second, first});
    ADD_FAILURE() << "yy is not en";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("'yy'"));
    EXPECT_THAT(e.what(), HasSubstr("Argos en-xx"));
    EXPECT_THAT(e.what(), HasSubstr("'en'"));
  }
  tiny::make_argos(folder_ / "silent", {{"from_code", nullptr}, {"to_code", nullptr}});
  EXPECT_NO_THROW(TranslatorChain({second, Translator::load(folder_ / "silent"), first}));
  EXPECT_THROW(TranslatorChain({}), Error);
}

TEST_F(ArgosFiles, AreRefusedByNameWhenTheyAreNone) {
  write_file(folder_ / "other.zip", ZipBytes().add("a/readme", "x").whole());
  EXPECT_THAT(error("other.zip"), HasSubstr("none of a translator of Argos"));
  const std::string whole = read_file(folder_ / "en_xx.argosmodel");
  for (std::size_t cut = 0; cut < whole.size(); cut += whole.size() / 20) {
    write_file(folder_ / "cut", whole.substr(0, cut));
    EXPECT_NE(error("cut"), "no error") << cut;
  }
  for (std::size_t at = 0; at < whole.size(); at += whole.size() / 60) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    write_file(folder_ / "damaged", damaged);
    try {
      (void)Translator::load(folder_ / "damaged");
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("damaged")) << "names the file";
    }
  }
}

}  // namespace
}  // namespace qkv
