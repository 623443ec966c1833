// Marian's own translators against their definition, written out by tools/golden_marian.py.
#include "fuzz/marian.h"

#include "golden/golden.h"
#include "io/zip_bytes.h"
#include "nn/random_tensor.h"
#include "text/spm_bytes.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/ops/loss.h"
#include "qkv/systems/open.h"
#include "qkv/systems/translation_model.h"
#include "qkv/systems/translation_tokens.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using testing::distance;
using testing::Golden;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(QKV_SOURCE_DIR) / "tests/golden/marian";

class MarianGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(MarianGolden, HasTheStatesAndLogitsOfTheDefinition) {
  const Golden golden(std::string("../marian/") + GetParam());
  const TranslationModel model = load_translation_model(kGolden / GetParam());
  const auto& network = std::get<Transformer>(model.network);
  for (const std::string n : {"0", "1"}) {
    SCOPED_TRACE(n);
    const auto ids = golden.ids(n + ".ids"), target = golden.ids(n + ".target");
    const Segments from = Segments::one(static_cast<std::int64_t>(ids.size()));
    const Segments to = Segments::one(static_cast<std::int64_t>(target.size()));
    const NoRecording off;
    const Tensor memory = network.encode(ids, from);
    EXPECT_LT(distance(memory, golden[n + ".encoder"]), 1e-5);
    const Tensor hidden = network.decode(target, to, memory, from);
    EXPECT_LT(distance(hidden, golden[n + ".decoder"]), 1e-5);
    const Tensor logits =
        qkv::logits(hidden, network.output_matrix(), network.output_stored(), network.output_bias);
    EXPECT_LT(distance(logits, golden[n + ".logits"]), 1e-5);
  }
}

TEST_P(MarianGolden, IsTheSameAfterSaving) {
  const System system = open(kGolden / GetParam());
  const auto& translator = std::get<Translator>(system);
  const Temporary folder;
  translator.save(folder / "own");
  const auto own = Translator::load(folder / "own");
  const std::vector<std::string> lines = {"piece9 piece10 nothing piece11", ""};
  TranslateOptions options = translator.defaults();
  options.max_length = 8;
  const auto before = translator.translate(lines, options), after = own.translate(lines, options);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(before[i].text, after[i].text);
    EXPECT_EQ(before[i].score, after[i].score);
  }
  EXPECT_FALSE(before[0].text.empty());
  EXPECT_EQ(own.defaults().beam, 6);
  EXPECT_EQ(own.defaults().length_penalty, 1);
}

INSTANTIATE_TEST_SUITE_P(Golden, MarianGolden, ::testing::Values("tied", "two-tables"),
                         [](const auto& model) {
                           return std::string(
                               *model.param == 't' && model.param[1] == 'i' ? "tied" : "twotables");
                         });

class Marian : public ::testing::Test {
 protected:
  Marian() { fs::copy(kGolden / "tied", folder_ / "model"); }
  void put(const char* file, const std::string& bytes) {
    write_file(folder_ / "model" / file, bytes);
  }
  std::string text(const char* file) const { return read_file(folder_ / "model" / file); }
  Translator load() const { return Translator::load(folder_ / "model"); }
  std::string error() const {
    try {
      (void)load();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  Temporary folder_;
};

TEST_F(Marian, NeverProducesTheUnknownTokenUnlessAllowed) {
  EXPECT_EQ(load().model().tokens().never, std::vector<std::int32_t>{1});
  put("decoder.yml", text("decoder.yml") + "allow-unk: true\n");
  EXPECT_TRUE(load().model().tokens().never.empty());
}

TEST_F(Marian, ReadsVocabulariesHoweverTheyAreQuoted) {
  const Translator t = load();
  const TokenPipeline& p = *t.model().source.pipeline();
  for (const auto& [piece, id] :
       {std::pair{",", 2}, std::pair{"it's", 3}, std::pair{"\u2581the", 4}, std::pair{"\"", 5},
        std::pair{">>fra<<", 6},
        std::pair{"\u2581"
                  "a",
                  7}}) {
    EXPECT_EQ(p.id(piece), id) << piece;
  }
}

TEST_F(Marian, CutsTextsWithTheModelsBesideAndTakesLanguages) {
  for (const char* side : {"source.spm", "target.spm"}) put(side, letters_model({"a", "\u2581"}));
  const Translator t = load();
  EXPECT_EQ(t.model().source.encode("a").back(), t.model().source.unk()) << "no letter alone";
  const auto ids = encode_source(t.model(), ">>fra<< a", {});
  EXPECT_EQ(ids.front(), 6);
  EXPECT_EQ(ids, encode_source(t.model(), " a", {.target_language = "fra"}));
}

TEST_F(Marian, TakesVocabulariesThatCutTexts) {
  std::vector<std::string> letters;
  for (char c = 'A'; c < 'A' + 36; ++c) letters.emplace_back(1, c);  // with <unk>, <s>, </s>: 39
  put("vocab.spm", letters_model(letters));
  put("decoder.yml", "models: [model.npz]\nvocabs: [vocab.spm, vocab.spm]\n");
  const Translator t = load();
  EXPECT_EQ(t.model().source.encode("AB"), (std::vector<std::int32_t>{3, 4}));
  EXPECT_EQ(t.model().tokens().end, 2);
  EXPECT_EQ(t.defaults().beam, 12);
  EXPECT_EQ(t.defaults().length_penalty, 0);
}

TEST_F(Marian, IsFoundWithoutSettings) {
  fs::remove(folder_ / "model/decoder.yml");
  EXPECT_EQ(load().defaults().beam, 12);
  fs::copy(folder_ / "model/model.npz", folder_ / "model/other.npz");
  EXPECT_THAT(error(), HasSubstr("model.npz, other.npz"));
  put("decoder.yml", "models: [/home/me/other.npz]\n");
  EXPECT_EQ(error(), "no error");
  put("decoder.yml", "models: [model.npz, other.npz]\n");
  EXPECT_THAT(error(), HasSubstr("several at once"));
}

TEST_F(Marian, IsReadFromTheZipThatItIsPublishedIn) {
  write_file(folder_ / "opus.zip", zip_of(folder_ / "model", "opus"));
  const std::vector<std::string> line = {"piece9 piece10"};
  const auto packed = Translator::load(folder_ / "opus.zip");
  EXPECT_EQ(packed.translate(line, packed.defaults())[0].score,
            load().translate(line, packed.defaults())[0].score);
  try {
    (void)open(folder_ / "model/model.npz");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("name the model directory"));
  }
}

TEST_F(Marian, RefusesByNameHowItSearchesWhatIsNotDone) {
  put("decoder.yml", text("decoder.yml") + "mystery: 1\n");
  EXPECT_THAT(load().info().notes.back(), HasSubstr("mystery"));
  for (const char* line :
       {"word-penalty: 0.5", "shortlist: [lex.s2t, 50, 50]", "n-best: true", "beam-size: 0"}) {
    put("decoder.yml", std::string("models: [model.npz]\n") + line + "\n");
    EXPECT_THAT(error(), HasSubstr(std::string(line).substr(0, 6))) << line;
  }
  put("decoder.yml", "vocabs: [../vocab.yml, none.yml]\n");
  EXPECT_THAT(error(), HasSubstr("none.yml"));
}

TEST_F(Marian, NeedsItsVocabulary) {
  put("vocab.yml", "</s>: 0\n<unk>: 1\n");
  EXPECT_THAT(error(), HasSubstr("has 2 tokens, the model expects 39"));
  put("vocab.yml", "</s>: 0\nx: 1\n");
  EXPECT_THAT(error(), HasSubstr("<unk>"));
  put("vocab.yml", "</s>: 0\n<unk>: x\n");
  EXPECT_THAT(error(), HasSubstr("has no number"));
  put("source.bpe", "codes");
  EXPECT_THAT(error(), HasSubstr("source.bpe"));
}

/// What the network of some weights is refused for.
std::string refused(const std::function<void(MarianWeights&)>& change) {
  MarianWeights w = marian_weights();
  w.config = parse_flat_yaml(marian_seeds()[0], "it");
  change(w);
  TranslateOptions options;
  std::vector<std::string> notes;
  try {
    (void)marian_network(w, options, notes);
  } catch (const DataError& e) {
    return e.what();
  }
  return "no error";
}

TEST(MarianSettings, OfOtherNetworksAreRefusedByName) {
  EXPECT_EQ(refused([](MarianWeights&) {}), "no error");
  for (const auto& [name, value] :
       std::map<std::string, Json>{{"type", "s2s"},
                                   {"transformer-preprocess", "n"},
                                   {"transformer-postprocess", "da"},
                                   {"transformer-postprocess-top", "n"},
                                   {"transformer-postprocess-emb", "nd"},
                                   {"transformer-decoder-autoreg", "rnn"},
                                   {"transformer-no-projection", true},
                                   {"transformer-train-position-embeddings", true},
                                   {"transformer-ffn-depth", 3},
                                   {"transformer-ffn-activation", "mish"},
                                   {"transformer-heads", 3},
                                   {"transformer-tied-layers", {1, 1}},
                                   {"right-left", true},
                                   {"dim-emb", 8},
                                   {"dim-vocabs", {5, 6}},
                                   {"enc-depth", 2},
                                   {"dec-depth", 1000000000},
                                   {"tied-embeddings-all", false}}) {
    const std::string error =
        refused([&key = name, &to = value](MarianWeights& w) { w.config[key] = to; });
    EXPECT_NE(error, "no error") << name;
  }
  EXPECT_THAT(refused([](MarianWeights& w) { w.config.erase("type"); }), HasSubstr("'type'"));
  EXPECT_THAT(refused([](MarianWeights& w) { w.tensors.erase("encoder_l1_self_Wq"); }),
              HasSubstr("encoder_l1_self_Wq"));
  EXPECT_THAT(refused([](MarianWeights& w) {
                w.tensors.emplace("Wpos", Tensor::full({5, 4}, 1));
              }),
              HasSubstr("Wpos"));
}

}  // namespace
}  // namespace qkv
