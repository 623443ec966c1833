// Translators of Hugging Face against what transformers made of the same weights.
#include <cmath>
#include <map>

#include "golden/golden.h"
#include "nn/random_tensor.h"
#include "systems/golden_folders.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/decode/step_model.h"
#include "qkv/io/json.h"
#include "qkv/ops/loss.h"
#include "qkv/systems/import/hf_translator.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/systems/translation_tokens.h"
#include "qkv/systems/translator.h"
#include "qkv/text/subword.h"
#include "qkv/train/translation.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using testing::distance;
using testing::Golden;
using ::testing::HasSubstr;
using testing::little_model;

class Foreign : public ::testing::Test {
 protected:
  /// A golden directory with tokenisers, which golden ones do not have.
  void make(const std::string& name) {
    marian_ = name != "m2m100";
    testing::make_golden_translator(name, folder_.path());
  }
  void change(const char* file, const std::function<void(Json&)>& how) {
    Json json = read_json(folder_ / file);
    how(json);
    write_json(folder_ / file, json);
  }
  std::string error() const {
    try {
      (void)Translator::load(folder_.path());
    } catch (const DataError& e) {
      return e.what();
    }
    return "no error";
  }

  Temporary folder_;
  bool marian_ = true;
};

class ForeignTranslatorTest : public Foreign, public ::testing::WithParamInterface<std::string> {};

/// The first columns of [rows V].
Tensor columns(const Tensor& x, std::int64_t count) {
  Tensor to = Tensor::empty({x.dim(0), count});
  for (std::int64_t r = 0; r < x.dim(0); ++r) {
    std::copy_n(x.data() + r * x.dim(1), count, to.data() + r * count);
  }
  return to;
}

TEST_P(ForeignTranslatorTest, HasTheStatesLogitsLossAndGradientsOfTransformers) {
  make(GetParam());
  change("config.json", [](Json& json) {
    for (const char* name : {"dropout", "attention_dropout", "activation_dropout"}) json[name] = 0;
  });
  const Golden golden(GetParam());
  const TranslationModel model = load_translation_model(folder_.path());
  const auto& network = std::get<Transformer>(model.network);
  const std::int64_t layers = network.config.encoder_layers, deep = network.config.decoder_layers;
  TranslationBatch batch;
  std::vector<std::int64_t> source_lengths, target_lengths;
  for (const char* n : {"0", "1"}) {
    SCOPED_TRACE(n);
    const std::string at(n);
    const auto ids = golden.ids(at + ".ids"), labels = golden.ids(at + ".labels");
    auto target = golden.ids(at + ".target");
    target[0] = model.tokens().start;
    const Segments from = Segments::one(static_cast<std::int64_t>(ids.size()));
    const Segments to = Segments::one(static_cast<std::int64_t>(target.size()));
    {
      const NoRecording off;
      const Tensor memory = network.encode(ids, from);
      EXPECT_LT(distance(memory, golden[fmt::format("{}.encoder.{}", n, layers)]), 1e-5);
      const Tensor hidden = network.decode(target, to, memory, from);
      EXPECT_LT(distance(hidden, golden[fmt::format("{}.decoder.{}", n, deep)]), 1e-5);
      const Tensor logits = qkv::logits(hidden, network.output_matrix(), network.output_stored(),
                                        network.output_bias);
      EXPECT_LT(distance(logits, columns(golden[at + ".logits"], logits.dim(1))), 1e-5);
    }
    batch.source.insert(batch.source.end(), ids.begin(), ids.end());
    batch.target_in.insert(batch.target_in.end(), target.begin(), target.end());
    batch.target_out.insert(batch.target_out.end(), labels.begin(), labels.end());
    source_lengths.push_back(from.total());
    target_lengths.push_back(to.total());
  }
  batch.source_segments = Segments(source_lengths);
  batch.target_segments = Segments(target_lengths);
  TranslationModel trained = model;
  auto& learning = std::get<Transformer>(trained.network);
  Tape tape;
  CrossEntropyResult loss;
  {
    const Recording on(tape);
    loss = learning.loss(batch, {});
  }
  tape.backward(loss.loss);
  const double rows = static_cast<double>(batch.target_out.size());
  EXPECT_NEAR(loss.nll_sum / rows, golden.number("loss"), 1e-5);
  for (const StateEntry& entry : translator_entries(learning, marian_)) {
    const std::string name = "grad." + entry.name;
    if (entry.parts.empty() || !entry.parts[0].defined() || !golden.has(name)) continue;
    SCOPED_TRACE(name);
    Tensor gradient =
        gradient_of(entry.parts[0]).clone();  // of the sum; the golden loss is the mean
    for (float& g : gradient.values()) g /= static_cast<float>(rows);
    const Tensor expected = entry.layout == StateLayout::linear && gradient.shape().rank() == 2
                                ? golden.matrix(name)
                                : golden[name].rows(0, gradient.dim(0));
    EXPECT_LT(distance(gradient, expected), 2e-5);
  }
}

/// What generate() gave, without start and end, as pieces.
std::vector<std::string> expected_pieces(const Golden& golden, const std::string& name,
                                         const TranslationModel& model) {
  auto ids = golden.ids(name);
  ids.erase(ids.begin());
  if (!ids.empty() && ids.back() == model.tokens().end) ids.pop_back();
  std::vector<std::string> pieces;
  for (const std::int32_t id : ids) pieces.push_back(model.target.piece(id));
  return pieces;
}

TEST_P(ForeignTranslatorTest, TranslatesAsGenerateDoes) {
  make(GetParam());
  const Golden golden(GetParam());
  const auto translator = Translator::load(folder_.path());
  const TranslationModel& model = translator.model();
  std::vector<Tokens> sources;
  for (const char* n : {"0.ids", "1.ids"}) {
    sources.push_back(golden.ids(n));
    sources.back().pop_back();  // its end
  }
  TranslateOptions options = translator.defaults();
  for (const auto& [beam, name] : {std::pair{1, "greedy"}, std::pair{4, "beam"}}) {
    SCOPED_TRACE(name);
    options.beam = beam;
    options.n_best = beam;
    const auto found = translator.translate_tokens(sources, options);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string at = fmt::format("{}.{}", i, name);
      EXPECT_EQ(found[i].best.front().tokens, expected_pieces(golden, at, model)) << at;
      if (beam > 1) {
        EXPECT_NEAR(found[i].score, golden.number(at + ".score"), 1e-5);
      }
      EXPECT_EQ(found[i].best.size(), static_cast<std::size_t>(beam));
    }
  }
}

TEST_P(ForeignTranslatorTest, IsTheSameAfterSaving) {
  make(GetParam());
  const auto translator = Translator::load(folder_.path());
  translator.save(folder_ / "own");
  const auto own = Translator::load(folder_ / "own");
  const std::vector<std::string> lines = {"the red boat", "a dog", "", "Zug"};
  const auto before = translator.translate(lines, translator.defaults());
  const auto after = own.translate(lines, own.defaults());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(before[i].text, after[i].text);
    EXPECT_EQ(before[i].score, after[i].score);
  }
  EXPECT_EQ(own.model().tokens().never, translator.model().tokens().never);
}

// Going on from it: the text is cut by its tokenisers, its start, ends and languages stand around
// it.
TEST_P(ForeignTranslatorTest, LearnsFurther) {
  make(GetParam());
  Split<TextPairs> texts;
  texts.train = {.source = {"the red boat", "a dog", "in the mill"},
                 .target = {"red", "a red dog", "the mill"}};
  texts.valid = texts.train;
  for (const std::int64_t rank : {0, 2}) {
    SCOPED_TRACE(rank);
    TranslationRecipe r = tuned_translation_recipe(folder_.path().string());
    r.tuning.lora = {.rank = rank, .targets = LoraTargets::all};
    r.train.schedule = {.kind = Schedule::Kind::constant, .rate = 5e-3, .warm_up = 0};
    r.train.epochs = 0;
    r.train.steps = 80;
    r.train.validate_every = 20;
    r.train.patience = 0;
    r.valid_bleu = 0;
    if (!marian_) {
      r.source_language = "en";
      r.target_language = "fr";
    }
    const Temporary folder;
    TrainingRun run({.model = (folder / "m").string()});
    std::vector<double> losses;
    const TrainWatch watch{.progress = {}, .line = [&losses](const std::string& line) {
                             if (const auto at = line.find("valid loss "); at != line.npos) {
                               losses.push_back(std::stod(line.substr(at + 11)));
                             }
                           }};
    train_translator(r, texts, run, watch);
    ASSERT_EQ(losses.size(), 4U);
    EXPECT_LT(losses.back(), 0.95 * losses.front());
    const Translator made = Translator::load(folder / "m");
    EXPECT_EQ(made.defaults().target_language, marian_ ? "" : "fr");
    const Translation t = made.translate("a dog", made.defaults());
    EXPECT_TRUE(std::isfinite(t.score));
    EXPECT_EQ(fs::exists(folder / "m" / "adapter_model.safetensors"), rank > 0);
    EXPECT_EQ(fs::exists(folder / "m" / "model.safetensors"), rank == 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, ForeignTranslatorTest,
                         ::testing::Values("marian", "marian-two-tables", "marian-two-tables-v5",
                                           "m2m100"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(Foreign, CutsTextWithTheSourcesModelAndLooksPiecesUp) {
  make("marian");
  const auto translator = Translator::load(folder_.path());
  const TranslationModel& m = translator.model();
  const Subword model = Subword::from_model(little_model(), "test");
  const std::string text = "the red boat";
  EXPECT_EQ(m.source.pieces(text), model.pieces(text));
  EXPECT_EQ(m.source.decode(m.source.encode(text)), text);
  EXPECT_EQ(m.source.encode("\xE4\xB8\xAD").back(), m.source.unk());
  EXPECT_EQ(m.source.size(), 39) << "pad is no token";
  EXPECT_TRUE(std::get<Transformer>(m.network).config.zero_start);
}

TEST_F(Foreign, HasTheTokeniserOfItsDirectory) {
  for (const char* name : {"marian", "marian-two-tables", "m2m100"}) {
    SCOPED_TRACE(name);
    make(name);
    write_json(folder_ / "special_tokens_map.json",
               {{"additional_special_tokens", Json::array({"__fr__", "__en__"})}});
    const TranslationModel model = load_translation_model(folder_.path());
    for (const auto& [side, own] :
         {std::pair{TextSide::source, &model.source}, std::pair{TextSide::target, &model.target}}) {
      const TokenPipeline pipeline = read_token_pipeline(folder_.path(), side);
      auto ids = pipeline.ids("the red boat");
      ASSERT_FALSE(ids.empty());
      EXPECT_EQ(ids.back(), model.tokens().end);
      ids.pop_back();
      EXPECT_EQ(own->encode("the red boat"), ids);
      EXPECT_EQ(own->decode(ids), pipeline.decode(ids));
    }
    fs::remove(folder_ / "target_vocab.json");
    fs::remove(folder_ / "special_tokens_map.json");
  }
}

TEST_F(Foreign, PutsTheTokenOfALanguageWhereTheModelWantsIt) {
  make("marian");
  const Translator marian = Translator::load(folder_.path());
  const auto& m = marian.model();
  const std::int32_t french = m.source.pipeline()->id(">>fra<<");
  EXPECT_EQ(encode_source(m, "a dog", {.target_language = "fra"}).front(), french);
  EXPECT_EQ(encode_source(m, ">>fra<< a dog", {}),
            encode_source(m, "a dog", {.target_language = "fra"}));
  EXPECT_EQ(m.source.encode("a >>fra<< dog"), m.source.encode("a  dog")) << "as Marian's own";
  EXPECT_THROW((void)marian.translate("a dog", {.target_language = "xyz"}), Error);
  make("m2m100");
  const Translator other = Translator::load(folder_.path());
  const auto options =
      TranslateOptions{.beam = 2, .source_language = "en", .target_language = "fr"};
  EXPECT_GT(other.model().source.encode("a >>fra<< dog").size(),
            other.model().source.encode("a  dog").size());
  const auto ids = encode_source(other.model(), "a dog", options);
  EXPECT_EQ(ids.front(), other.model().source.pipeline()->id("__en__"));
  EXPECT_EQ(target_begin(other.model(), options),
            Tokens{other.model().target.pipeline()->id("__fr__")});
  const Translation t = other.translate("a dog", options);
  const auto again =
      other.score(std::vector<std::string>{"a dog"}, std::vector<std::string>{""}, options);
  EXPECT_EQ(again.front().token_scores.size(), 1u) << "the language is no part of the target";
  EXPECT_EQ(t.best.front().token_scores.size(), t.best.front().tokens.size() + 1);
}

TEST_F(Foreign, RefusesByNameWhatMakesAnotherNetwork) {
  for (const auto& [field, value] :
       std::map<std::string, Json>{{"normalize_before", true},
                                   {"add_final_layer_norm", true},
                                   {"static_position_embeddings", false},
                                   {"decoder_ffn_dim", 8},
                                   {"activation_function", "mish"},
                                   {"d_model", "wide"},
                                   {"vocab_size", 1 << 29},
                                   {"encoder_layers", 1 << 29},
                                   {"bad_words_ids", 3},
                                   {"forced_eos_token_id", 5}}) {
    make("marian");
    change("config.json", [&key = field, &to = value](Json& json) { json[key] = to; });
    fs::remove(folder_ / "generation_config.json");
    EXPECT_NE(error(), "no error") << field;
  }
}

TEST_F(Foreign, SaysWhatItDoesNotKnowAndWhatDoesNotCount) {
  make("marian");
  change("config.json", [](Json& json) { json["mystery"] = 1; });
  change("generation_config.json", [](Json& json) {
    json["no_repeat_ngram_size"] = 3;
    json["diversity_penalty"] = 0.5;
  });
  std::string notes;
  for (const std::string& note : Translator::load(folder_.path()).info().notes)
    notes += note + "\n";
  EXPECT_THAT(notes, HasSubstr("mystery"));
  EXPECT_THAT(notes, HasSubstr("diversity_penalty"));
  EXPECT_THAT(notes, HasSubstr("'renormalize_logits' is true"));
  EXPECT_EQ(Translator::load(folder_.path()).defaults().no_repeat_ngram_size, 3);
}

/// What generate() made of sequence 0 when it was asked in several ways (ways.safetensors).
class Ways : public Foreign {
 protected:
  void make(const std::string& name) {
    Foreign::make(name);
    name_ = name;
  }
  Golden ways() const { return Golden(name_, "ways.safetensors"); }
  std::vector<Translation> translated(const TranslateOptions& options) const {
    std::vector<Tokens> sources = {Golden(name_).ids("0.ids")};
    sources[0].pop_back();  // its end
    return Translator::load(folder_.path()).translate_tokens(sources, options);
  }
  TranslateOptions wide() const {
    TranslateOptions options = Translator::load(folder_.path()).defaults();
    options.beam = 4;
    return options;
  }
  void expect(const std::string& way, const Translation& found) const {
    const TranslationModel model = load_translation_model(folder_.path());
    EXPECT_EQ(found.best.front().tokens, expected_pieces(ways(), way, model)) << way;
    EXPECT_NEAR(found.score, ways().number(way + ".score"), 1e-5) << way;
  }

  std::string name_;
};

TEST_F(Ways, AllHypothesesAreThoseOfGenerate) {
  for (const char* name : {"marian", "m2m100"}) {
    make(name);
    TranslateOptions options = wide();
    options.n_best = 4;
    const Translation found = translated(options).front();
    ASSERT_EQ(found.best.size(), 4u);
    const TranslationModel model = load_translation_model(folder_.path());
    for (std::size_t r = 0; r < 4; ++r) {
      const std::string at = fmt::format("best.{}", r);
      EXPECT_EQ(found.best[r].tokens, expected_pieces(ways(), at, model)) << name << at;
      EXPECT_NEAR(found.best[r].score, ways().number(at + ".score"), 1e-5) << name << at;
    }
  }
}

TEST_F(Ways, ForcedFirstTokenOfTheTarget) {
  for (const char* name : {"marian", "m2m100"}) {
    make(name);
    change("generation_config.json", [](Json& json) { json["forced_bos_token_id"] = 5; });
    const Translation found = translated(wide()).front();
    const TranslationModel model = load_translation_model(folder_.path());
    auto pieces = expected_pieces(ways(), "forced", model);
    EXPECT_EQ(pieces.front(), model.target.piece(5));
    pieces.erase(pieces.begin());  // it is no part of the text
    EXPECT_EQ(found.best.front().tokens, pieces);
    EXPECT_NEAR(found.score, ways().number("forced.score"), 1e-5);
  }
}

TEST_F(Ways, GoesOnFromABeginningOfTheTarget) {
  for (const char* name : {"marian", "m2m100"}) {
    make(name);
    const TranslationModel model = load_translation_model(folder_.path());
    // Words that the tokeniser cuts into the golden tokens need not exist: ask the search.
    const Tokens prefix = ways().ids("behind.prefix");
    SearchOptions search;
    set_special_tokens(model, search);
    search.beam = 4;
    search.stop = Stop::worst;
    search.at_limit = model.defaults.at_limit == LimitRule::free ? AtLimit::free : AtLimit::cut;
    search.max_factor = 1e6;
    search.max_length = model.defaults.max_length - std::ssize(prefix);
    search.prefix = prefix;
    Tokens source = Golden(name).ids("0.ids");
    source.pop_back();
    const auto decoder = decoder_of(model, {.source_eos = model.tokens().source_end});
    const Hypothesis h = qkv::search(*decoder, std::span<const Tokens>(&source, 1), search)[0][0];
    std::vector<std::string> pieces;
    for (const std::int32_t id : h.tokens) pieces.push_back(model.target.piece(id));
    EXPECT_EQ(pieces, expected_pieces(ways(), "behind", model));
    EXPECT_NEAR(h.score, ways().number("behind.score"), 1e-5);
    EXPECT_EQ(h.token_scores[0], 0.0f);
  }
  make("marian");
  const Translator translator = Translator::load(folder_.path());
  TranslateOptions options = wide();
  options.prefix = "the red";
  options.attention = true;
  const Translation t = translator.translate("a dog", options);
  EXPECT_THAT(t.text, ::testing::StartsWith("the red"));
  const TranslationCandidate& best = t.best.front();
  EXPECT_EQ(best.attention.size(),
            (best.tokens.size() + 1) * static_cast<std::size_t>(best.sources));
  options.sample = true;
  EXPECT_THAT(translator.translate("a dog", options).text, ::testing::StartsWith("the red"));
  const std::vector<std::string> one = {"a dog"};
  EXPECT_THROW((void)translator.score(one, one, options), UsageError);
}

TEST_F(Ways, BansWhatTheDirectoryBans) {
  make("m2m100");
  TranslateOptions options = wide();
  options.no_repeat_ngram_size = 2;
  expect("ngram.beam", translated(options).front());
  options.beam = 1;
  EXPECT_EQ(translated(options).front().best.front().tokens,
            expected_pieces(ways(), "ngram.greedy", load_translation_model(folder_.path())));
  const Tokens words = ways().ids("bad.words"), single = ways().ids("suppressed.ids");
  change("generation_config.json", [&](Json& json) {
    json["bad_words_ids"] = {{words[0], words[1]}, {words[2], words[3]}};
  });
  expect("bad", translated(wide()).front());
  Translator::load(folder_.path()).save(folder_ / "own");
  EXPECT_EQ(Translator::load(folder_ / "own").model().tokens().never_in_a_row,
            (std::vector<Tokens>{{words[0], words[1]}, {words[2], words[3]}}));
  change("generation_config.json", [&](Json& json) {
    json.erase("bad_words_ids");
    json["suppress_tokens"] = single;
  });
  expect("suppressed", translated(wide()).front());
}

TEST_F(Foreign, SurvivesDamage) {
  make("marian");
  // A .spm has no checksum: cut between two of its pieces it is another, smaller model.
  for (const char* file :
       {"config.json", "generation_config.json", "model.safetensors", "vocab.json"}) {
    const std::string whole = read_file(folder_ / file);
    for (std::size_t cut = 0; cut < whole.size();
         cut += std::max<std::size_t>(1, whole.size() / 9)) {
      write_file(folder_ / file, whole.substr(0, cut));
      EXPECT_THROW((void)Translator::load(folder_.path()), Error) << file << " cut at " << cut;
    }
    write_file(folder_ / file, whole);
  }
}

}  // namespace
}  // namespace qkv
