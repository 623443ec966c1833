#include "qkv/train/language.h"

#include <cmath>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/io/directory.h"

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const std::vector<std::string> kLines = {"to be or not to be", "that is the question", "",
                                         "or is it"};

Mpt::Config tiny(std::int64_t vocabulary) {
  Mpt::Config c{.d_model = 16, .n_heads = 2, .n_layers = 1, .max_seq_len = 32};
  c.vocab_size = vocabulary;
  return c;
}

LanguageModel model_of(LanguageKind kind, Tokeniser::Kind tokens, bool by_line = false) {
  LanguageModel m;
  m.tokeniser = train_language_tokeniser({.kind = tokens}, kLines);
  m.by_line = by_line;
  m.context = 8;
  if (kind == LanguageKind::rnn) {
    m.network =
        RnnLanguage::make(1, {.vocab_size = m.tokeniser.size(), .embedding = 6, .width = 10});
    return m;
  }
  Mpt::Config c = tiny(m.tokeniser.size());
  c.attn_config.linear = kind == LanguageKind::linear;
  if (c.attn_config.linear) {
    c.learned_pos_emb = false;
    c.attn_config.rope = true;
  }
  c.logit_scale = 0.7;
  c.attn_config.kv_n_heads = 1;
  m.network = Mpt::make(1, c);
  return m;
}

constexpr LanguageKind kKinds[] = {LanguageKind::transformer, LanguageKind::linear,
                                   LanguageKind::rnn};

TextStream stream_of(const LanguageModel& m) {
  return make_stream(kLines, m.encoder(), m.format());
}

TEST(Language, CharactersKnowTheirNewlineAndWordsEndWithEos) {
  const LanguageModel c = model_of(LanguageKind::rnn, Tokeniser::Kind::character);
  const TextStream s = stream_of(c);
  EXPECT_EQ(s.unknown, 0);
  EXPECT_EQ(c.tokeniser.decode(s.ids), "\nto be or not to be\nthat is the question\n\nor is it\n");
  EXPECT_EQ(s.predicted(), s.characters);
  EXPECT_EQ(c.tokeniser.decode(c.prompt("to be\nor")), "\nto be\nor");
  EXPECT_EQ(c.prompt("").size(), 1U);

  const LanguageModel w = model_of(LanguageKind::rnn, Tokeniser::Kind::space);
  const TextStream t = stream_of(w);
  EXPECT_EQ(t.predicted(), t.words);
  EXPECT_EQ(t.ids.front(), w.tokeniser.eos());
  EXPECT_EQ(w.prompt("to\nbe").size(), 4U);

  const LanguageModel l = model_of(LanguageKind::rnn, Tokeniser::Kind::space, true);
  EXPECT_EQ(stream_of(l).documents.size(), 4U);
  EXPECT_EQ(l.prompt("to be").front(), l.tokeniser.bos());
}

// A file with its own <unk>, as Penn Treebank's: the token is the tokeniser's unknown one.
TEST(Language, ATextsOwnUnknownWordIsTheUnknownToken) {
  const std::vector<std::string> lines = {"the <unk> sat", "a <unk>"};
  LanguageModel m;
  m.tokeniser = train_language_tokeniser({.kind = Tokeniser::Kind::space}, lines);
  EXPECT_EQ(m.tokeniser.size(), 4 + 3);
  EXPECT_EQ(make_stream(lines, m.encoder(), m.format()).unknown, 2);
}

TEST(Language, TokenScoresAddUpToTheLossWhateverTheBatch) {
  for (const LanguageKind kind : kKinds) {
    const LanguageModel m = model_of(kind, Tokeniser::Kind::character);
    const TextStream s = stream_of(m);
    const TextScore whole = score_text(m, s);
    EXPECT_EQ(whole.tokens, s.predicted());
    EXPECT_NEAR(whole.bits_per_character(), whole.loss() / std::log(2.0), 1e-12);
    EXPECT_NEAR(std::log(whole.word_perplexity()) * double(s.words), whole.nll, 1e-6);
    std::vector<float> one, many;
    const TextScore tokens =
        score_tokens(m, s, {.batch_tokens = 1}, [&](std::int64_t at, float log_probability) {
          EXPECT_EQ(at, static_cast<std::int64_t>(one.size()) + 1);
          one.push_back(log_probability);
        });
    (void)score_tokens(m, s, {}, [&](std::int64_t, float p) { many.push_back(p); });
    EXPECT_EQ(one, many) << "the same bits beside other windows";
    EXPECT_NEAR(tokens.nll, whole.nll, 1e-3);
    EXPECT_EQ(tokens.tokens, whole.tokens);
  }
}

TEST(Language, AStrideGivesContext) {
  const LanguageModel m = model_of(LanguageKind::linear, Tokeniser::Kind::character);
  const TextStream s = stream_of(m);
  // A window as long as the text gives every token all of it, whatever the stride of shorter ones.
  std::vector<float> all, part;
  (void)score_tokens(m, s, {.context = s.predicted()},
                     [&](std::int64_t, float p) { all.push_back(p); });
  (void)score_tokens(m, s, {.context = 20, .stride = 5},
                     [&](std::int64_t, float p) { part.push_back(p); });
  for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(part[i], all[i], 1e-5) << i;
  EXPECT_EQ(score_text(m, s, {.context = 20, .stride = 1}).tokens, s.predicted());
  const LanguageModel bounded = model_of(LanguageKind::transformer, Tokeniser::Kind::character);
  EXPECT_THROW((void)score_text(bounded, s, {.context = 33}), Error) << "32 learned positions";
}

// What is given sees all of itself, in windows as in the decoder; what follows is causal.
TEST(Language, APrefixModelReadsThePromptAsItsPrefix) {
  LanguageModel m = model_of(LanguageKind::transformer, Tokeniser::Kind::character);
  Mpt& mpt = std::get<Mpt>(m.network);
  mpt.config.n_layers = 2;  // one layer's keys know nothing of what they see
  mpt = Mpt::make(2, mpt.config);
  const TextStream s = stream_of(m);
  const std::vector<Window> given = {{.begin = 0, .end = 20, .scored = 12}};
  const std::vector<float> causal = m.log_probabilities(pack(s, given));
  mpt.config.attn_config.prefix_lm = true;
  mpt = Mpt::make(2, mpt.config);
  const std::vector<float> seen = m.log_probabilities(pack(s, given));
  for (std::size_t t = 0; t < 11; ++t) EXPECT_EQ(seen[t], 0.0f) << "given, not predicted";
  const auto decoder = m.decoder();
  const Tokens none;
  const Tokens* const source = &none;
  const auto state = decoder->start(std::span(&source, 1), false);
  const std::int32_t same = 0;
  const std::span<const std::int32_t> parents(&same, 1);
  state->read(parents, std::span(s.ids).first(12), Segments::one(12));
  for (std::size_t t = 11; t < 20; ++t) {
    const auto next = static_cast<std::size_t>(s.ids[t + 1]);
    const Tensor z = state->logits();
    const auto logits = z.values();
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x));
    EXPECT_NEAR(seen[t], static_cast<double>(logits[next]) - std::log(sum), 1e-4) << t;
    EXPECT_NE(seen[t], causal[t]) << t;
    state->advance(parents, std::span(s.ids).subspan(t + 1, 1));
  }
}

TEST(Language, ComesBackFromItsDirectory) {
  for (const LanguageKind kind : kKinds) {
    const Temporary folder;
    const LanguageModel m = model_of(kind, Tokeniser::Kind::character, kind == LanguageKind::rnn);
    save_language_model(m, folder / "m");
    const LanguageModel back = load_language_model(folder / "m");
    EXPECT_EQ(back.by_line, m.by_line);
    EXPECT_EQ(back.context, 8);
    EXPECT_EQ(parameter_count(back), parameter_count(m));
    EXPECT_EQ(score_text(back, stream_of(back)).nll, score_text(m, stream_of(m)).nll);
    save_language_model(back, folder / "again");
    for (const char* file : {kConfigFile, kWeightsFile}) {
      EXPECT_TRUE(read_file(folder / "m" / file) == read_file(folder / "again" / file)) << file;
    }
  }
}

TEST(Language, DamagedDirectoriesAreRefusedWithTheReason) {
  const Temporary folder;
  save_language_model(model_of(LanguageKind::transformer, Tokeniser::Kind::character),
                      folder / "m");
  const auto path = folder / "m" / kConfigFile;
  const Json good = read_json(path);
  const auto refused = [&](const char* message, auto&& change) {
    Json bad = good;
    change(bad);
    write_json(path, bad);
    EXPECT_THAT([&] { (void)load_language_model(folder / "m"); },
                ThrowsMessage<DataError>(HasSubstr(message)));
  };
  refused("no language model", [](Json& j) { j["task"] = "translate"; });
  refused("field 'architecture'", [](Json& j) { j["architecture"] = "gpt"; });
  refused("field 'context'", [](Json& j) { j["context"] = 0; });
  refused("field 'model.d_model'", [](Json& j) { j["model"]["d_model"] = "wide"; });
  refused("field 'model.attn_config.alibi'",
          [](Json& j) { j["model"]["attn_config"].erase("alibi"); });
  refused("field 'model.attn_config.alib", [](Json& j) { j["model"]["attn_config"]["alibj"] = 1; });
  refused("n_heads", [](Json& j) { j["model"]["n_heads"] = 3; });
  refused("'model.logit_scale'", [](Json& j) { j["model"]["logit_scale"] = "often"; });
  refused("files of two models", [](Json& j) { j["model"]["vocab_size"] = 7; });
  refused("not the model of", [](Json& j) { j["model"]["d_model"] = 1 << 20; });
  refused("not the model of", [](Json& j) { j["model"]["n_layers"] = 2; });
  refused("expects", [](Json& j) { j["model"]["max_seq_len"] = 16; });
  write_json(path, good);
  EXPECT_NO_THROW((void)load_language_model(folder / "m"));
}

/// Two lines again and again.
TEST(Language, EveryKindLearns) {
  struct OneThread {  // nothing here is large enough for two
    int before = threads();
    OneThread() { set_threads(1); }
    ~OneThread() { set_threads(before); }
  } one;
  const Temporary folder;
  std::vector<std::string> lines;
  for (int i = 0; i < 40; ++i) lines.push_back(i % 3 == 0 ? "abcd" : "xyz");
  for (const LanguageKind kind : kKinds) {
    LanguageModel m = model_of(kind, Tokeniser::Kind::character);
    m.tokeniser = train_language_tokeniser({.kind = Tokeniser::Kind::character}, lines);
    std::visit(
        [&](auto& network) {
          auto config = network.config;
          config.vocab_size = m.tokeniser.size();
          network = std::remove_cvref_t<decltype(network)>::make(1, config);
        },
        m.network);
    const TextStream stream = make_stream(lines, m.encoder(), m.format());
    const LanguageTraining training{
        .train = stream, .valid = stream, .loss = {}, .context = 16, .batch_tokens = 64};
    TrainOptions options;
    options.schedule = {.kind = Schedule::Kind::constant, .rate = 1e-2, .warm_up = 0};
    options.steps = 120;
    options.validate_every = 60;
    Optimiser optimiser(m, options.optimiser);
    const TrainReport report =
        train(language_task(m, training), optimiser, options, folder / "m", false);
    EXPECT_GT(report.best_score, -0.4);  // the order of the lines is learned too: 0 at best
    const LanguageModel kept = load_language_model(folder / "m");
    EXPECT_NEAR(score_text(kept, stream, {.context = 16}).loss(), -report.best_score, 1e-9);
  }
}

TEST(Language, PresetsAreModels) {
  for (const std::string_view name : language_preset_names()) {
    for (const LanguageKind kind : kKinds) {
      const LanguageRecipe r = language_recipe(name, kind);
      EXPECT_NO_THROW(r.check()) << name;
      EXPECT_EQ(r.architecture(),
                kind == LanguageKind::rnn ? LanguageArchitecture::rnn : LanguageArchitecture::mpt);
      const auto* mpt = std::get_if<Mpt::Config>(&r.network);
      EXPECT_EQ(mpt != nullptr && mpt->attn_config.linear, kind == LanguageKind::linear);
    }
  }
  EXPECT_THAT([] { (void)language_recipe("huge"); },
              ThrowsMessage<UsageError>(HasSubstr("char-tiny, char-small, words, base")));
  auto small = std::get<Mpt::Config>(language_recipe("char-small").network);
  small.vocab_size = 65 + 4;
  EXPECT_EQ(small.parameters(), 69 * 384 + 6 * (12 * 384 * 384 + 2 * 384) + 384);
}

TEST(Language, WordsOfPeopleAreWhatTheConfigurationHas) {
  for (const std::string_view name : language_preset_names()) {
    for (const LanguageKind kind : {LanguageKind::transformer, LanguageKind::linear}) {
      const auto before = std::get<Mpt::Config>(language_recipe(name, kind).network);
      Mpt::Config after = before;
      words_of(before).apply(after);
      EXPECT_EQ(after.attn_config.alibi, before.attn_config.alibi);
      EXPECT_EQ(after.attn_config.rope, before.attn_config.rope);
      EXPECT_EQ(after.learned_pos_emb, before.learned_pos_emb);
      EXPECT_EQ(after.no_bias, before.no_bias);
      EXPECT_EQ(after.logit_scale, before.logit_scale);
    }
  }
  Mpt::Config c;
  MptWords{.positions = LanguagePositions::rotary, .logit_scale = "0.25", .bias = true}.apply(c);
  EXPECT_TRUE(c.attn_config.rope);
  EXPECT_FALSE(c.learned_pos_emb || c.attn_config.alibi || c.no_bias);
  EXPECT_EQ(c.logit_scale, 0.25);
  MptWords{.positions = LanguagePositions::learned, .logit_scale = "inv_sqrt_d_model"}.apply(c);
  EXPECT_TRUE(c.learned_pos_emb && c.no_bias && c.logit_scale_inv_sqrt_d_model);
  EXPECT_EQ(words_of(c).logit_scale, "inv_sqrt_d_model");
  for (const char* scale : {"", "x", "nan", "1x"}) {
    EXPECT_THROW((MptWords{.logit_scale = scale}.apply(c)), UsageError) << scale;
  }
  RnnLanguage::Config rnn;
  RnnLanguageWords{.untied = true}.apply(rnn);
  EXPECT_FALSE(rnn.tie_output);
  EXPECT_TRUE(words_of(rnn).untied);
}

TEST(Language, ARecipeOutOfRangeIsNamedBeforeAnyTextIsRead) {
  LanguageRecipe r = language_recipe("char-tiny");
  r.context = 0;
  EXPECT_THAT([&] { r.check(); }, ThrowsMessage<UsageError>(HasSubstr("context: 0")));
  r.context = 8;
  std::get<Mpt::Config>(r.network).n_heads = 3;
  EXPECT_THAT([&] { r.check(); }, ThrowsMessage<Error>(HasSubstr("n_heads 3")));
}

TEST(Language, TheWholeRunGoesOnWithItsOwnTextOnly) {
  const Temporary folder;
  std::vector<std::string> lines(20, "abcd");
  lines[19] = "dcba";
  LanguageRecipe r = language_recipe("char-tiny");
  auto& mpt = std::get<Mpt::Config>(r.network);
  mpt.d_model = 8;
  mpt.n_heads = 2;
  mpt.n_layers = 1;
  r.context = 12;
  r.train.steps = r.train.schedule.steps = 2;
  std::string file;
  for (const std::string& line : lines) file += line + "\n";
  write_file(folder / "text", file);
  const LanguageTexts texts = read_language_texts({(folder / "text").string()}, {});
  EXPECT_EQ(texts.train.size(), 18U);
  EXPECT_EQ(texts.valid, (std::vector<std::string>{"abcd", "dcba"})) << "the last tenth";
  std::vector<std::string> said;
  const TrainWatch watch{.progress = {},
                         .line = [&](const std::string& line) { said.push_back(line); }};
  TrainingRun begun({.model = (folder / "m").string()});
  EXPECT_EQ(train_language(r, texts, begun, watch).steps, 2);
  EXPECT_THAT(said, testing::Contains(HasSubstr("train: 18 lines")));
  const LanguageModel model = load_language_model(folder / "m");
  EXPECT_EQ(model.mpt()->config.max_seq_len, 12);
  EXPECT_EQ(model.context, 12);

  TrainingRun again({.model = (folder / "m").string(), .resume = true});
  r.train.steps = r.train.schedule.steps = 3;
  EXPECT_EQ(train_language(r, texts, again, watch).steps, 3);
  LanguageTexts other = texts;
  other.valid[0] = "bbbb";
  TrainingRun last({.model = (folder / "m").string(), .resume = true});
  EXPECT_THAT([&] { (void)train_language(r, other, last, watch); },
              ThrowsMessage<Error>(HasSubstr("--valid")));
}

}  // namespace
}  // namespace qkv
