// Systems: any directory opens as what it holds, answers like its verb, says what it is, comes back
// from a copy to the same bits, and may be asked by many threads at once.
#include "qkv/systems/open.h"

#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/systems/document.h"

namespace qkv {
namespace {

using ::testing::HasSubstr;

/// Whatever a system says of some text, in numbers whose bits count.
struct Ask {
  std::string operator()(const Translator& t) const {
    std::string answer;
    for (const Translation& r : t.translate(tiny::kLines, {.beam = 2, .max_length = 6})) {
      answer += fmt::format("{} {:a}\n", r.text, r.score);
    }
    return answer;
  }
  std::string operator()(const Generator& g) const {
    std::string answer;
    for (const GeneratedText& t : g.generate(tiny::kLines, {.tokens = 12, .seed = 7})) {
      answer += t.text + "|";
    }
    return answer + fmt::format("{:a}", g.score(tiny::kLines).nll);
  }
  std::string operator()(const LabelSystem& l) const {
    std::string answer;
    for (const LabelledSentence& s : l.label(tiny::kLines)) {
      answer +=
          fmt::format("{} {:a} {} {:a}\n", s.label, s.probability, s.tags.size(), s.tag_score);
    }
    return answer;
  }
  std::string operator()(const Encoder& e) const {
    return tiny::bits(e.embed(tiny::kLines).values());
  }
  std::string operator()(const MaskedModel& m) const {
    std::string answer;
    const FilledText filled = m.fill("the [MASK] boat");
    for (const MaskCandidate& c : filled.masks.at(0)) {
      answer += fmt::format("{} {:a} ", c.piece, c.probability);
    }
    return answer;
  }
  std::string operator()(const WordVectors& v) const {
    std::string answer;
    const std::vector<std::string> words = {"boat"};
    for (const Neighbour& n : v.similar(words, 3))
      answer += fmt::format("{} {:a} ", n.word, n.cosine);
    return answer;
  }
  std::string operator()(const ActionRecogniser& a) const {
    std::string answer;
    for (const RecognisedAction& r : a.recognise(tiny::clips())) {
      answer += fmt::format("{} {:a} ", r.label, r.probability);
    }
    return answer;
  }
  std::string operator()(const PictureGenerator& g) const {
    std::string answer;
    for (const MadePicture& made : g.generate({.count = 2})) {
      answer += made.label + std::string(made.picture.bytes.begin(), made.picture.bytes.end());
    }
    return answer;
  }
  std::string operator()(const NodeClassifier& c) const {
    std::string answer;
    for (const ClassifiedNode& n : c.classify(tiny::graph_of_nodes())) {
      answer += fmt::format("{} {:a} ", n.label, n.probability);
    }
    return answer;
  }
  std::string operator()(const PictureClassifier& c) const {
    std::string answer;
    for (const ClassifiedPicture& p : c.classify(tiny::pictures().pictures)) {
      answer += fmt::format("{} {:a} ", p.label, p.probability);
    }
    return answer;
  }
  std::string operator()(const Upscaler& u) const {
    const Picture made = u.upscale(tiny::noise_picture(3, 5, 6));
    return {made.bytes.begin(), made.bytes.end()};
  }
  std::string operator()(const SoundClassifier& c) const {
    const SoundLabel l = c.classify(tiny::noise_sound(8000, 1600, 2));
    return fmt::format("{} {:a}", l.label, l.probability);
  }
  std::string operator()(const SoundTagger& t) const {
    std::string answer;
    for (const SoundStretch& s : t.tag(tiny::noise_sound(8000, 1600, 2)).stretches) {
      answer += fmt::format("{} {:a} ", s.label, s.probability);
    }
    return answer;
  }
  std::string operator()(const Transcriber& t) const {
    const Transcript said = t.transcribe(tiny::noise_sound(8000, 1600, 2));
    return fmt::format("{} {:a}", said.text, said.log_probability);
  }
};

struct Save {
  std::filesystem::path to;
  template <class S>
  void operator()(const S& system) const {
    system.save(to);
  }
};

TEST(Systems, OpenGivesWhatADirectoryHolds) {
  for (const tiny::Kind& kind : tiny::kinds()) {
    const Temporary folder;
    kind.make(folder / "model");
    const System system = open(folder / "model");
    const Info info = info_of(system);
    EXPECT_GT(info.parameters, 0) << kind.name;
    EXPECT_FALSE(info.summary.empty()) << kind.name;
    EXPECT_FALSE(info.options.empty()) << kind.name;
    EXPECT_FALSE(info.tensors.empty()) << kind.name;
    EXPECT_FALSE(std::visit(Ask{}, system).empty()) << kind.name << " " << verb_of(system);
  }
}

TEST(Systems, ACopyAnswersWithTheSameBits) {
  for (const tiny::Kind& kind : tiny::kinds()) {
    const Temporary folder;
    kind.make(folder / "model");
    const System system = open(folder / "model");
    std::visit(Save{folder / "copy"}, system);
    EXPECT_EQ(std::visit(Ask{}, open(folder / "copy")), std::visit(Ask{}, system)) << kind.name;
  }
}

TEST(Systems, EightThreadsGetTheSameBits) {
  for (const tiny::Kind& kind : tiny::kinds()) {
    const Temporary folder;
    kind.make(folder / "model");
    const System shared = open(folder / "model", {.threads = 2});
    constexpr std::size_t kAskers = 8;
    std::vector<std::string> answers(kAskers);
    std::latch start(kAskers);
    std::vector<std::thread> askers;
    for (std::size_t i = 0; i < kAskers; ++i) {
      askers.emplace_back([&, i] {
        start.arrive_and_wait();
        answers[i] = std::visit(Ask{}, shared);
      });
    }
    for (std::thread& t : askers) t.join();
    const std::string alone = std::visit(Ask{}, open(folder / "model", {.threads = 1}));
    for (const std::string& answer : answers) EXPECT_EQ(answer, alone) << kind.name;
  }
}

TEST(Systems, OneTextAnswersAsAmongMany) {
  const Temporary folder;
  tiny::make_translator(folder / "model", false);
  const auto translator = Translator::load(folder / "model");
  const auto all = translator.translate(tiny::kLines);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Translation one = translator.translate(tiny::kLines[i]);
    EXPECT_EQ(one.text, all[i].text);
    EXPECT_EQ(one.score, all[i].score);
  }
}

TEST(Systems, AnotherKindSaysWhichVerbItIsFor) {
  const Temporary folder;
  tiny::make_labeller(folder / "tagger", false);
  const System tagger = open(folder / "tagger");
  try {
    (void)Classifier::load(folder / "tagger");
    ADD_FAILURE() << "loaded a " << info_of(tagger).task;
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("use qkv " + std::string(verb_of(tagger))));
  }
  EXPECT_THROW((void)Translator::load(folder / "tagger"), DataError);
  EXPECT_THROW((void)open(folder / "nothing"), FileError);
}

TEST(Systems, AttentionHasAMapForEveryLayerAndHead) {
  const Temporary folder;
  tiny::make_translator(folder / "model", false);
  const auto translator = Translator::load(folder / "model");
  const AttentionMaps maps = translator.attention("the red boat", "a b");
  EXPECT_EQ(maps.maps.size(), 6U);  // encoder, decoder and cross, two heads each
  const AttentionMap cross = select(maps, AttentionMap::Kind::cross, 0, kMeanHead);
  for (std::int64_t row = 0; row < cross.weights.dim(0); ++row) {
    double sum = 0;
    const Tensor weights = cross.weights.rows(row, row + 1);
    for (const float w : weights.values()) sum += static_cast<double>(w);
    EXPECT_NEAR(sum, 1.0, 1e-5);
  }
}

TEST(Systems, DocumentsKeepTheWhiteSpaceBetweenSentences) {
  const Temporary folder;
  tiny::make_translator(folder / "model", true);
  const auto translator = Translator::load(folder / "model");
  const TranslateOptions options{.beam = 1, .max_length = 4};
  const std::string a = translator.translate("The red boat waits.", options).text;
  const std::string b = translator.translate("A dog runs.", options).text;
  DocumentReport report;
  EXPECT_EQ(translate_document(TranslatorChain({translator}),
                               "The red boat\nwaits.  A dog runs.\n\n\tA dog runs.\n",
                               std::vector{options}, {}, &report),
            a + "  " + b + "\n\n\t" + b + "\n");
  EXPECT_EQ(report.sentences, 3);
}

}  // namespace
}  // namespace qkv
