// qkv's and imported models as directories of transformers: read again, every number is the same,
// and so is every answer; what no class has is refused by name.
#include "qkv/systems/export/export.h"

#include <algorithm>
#include <map>

#include "golden/golden.h"
#include "systems/golden_folders.h"
#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/systems/gan_model.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Every number of a system under its name.
std::map<std::string, std::string> numbers_of(const System& system) {
  std::map<std::string, std::string> numbers;
  std::visit(
      [&](const auto& s) {
        if constexpr (requires { s.model(); }) {
          for (const NamedTensor& t : named_parameters(s.model())) {
            numbers[t.name] = to_string(t.tensor.shape()) + tiny::bits(t.tensor.values());
          }
        }
      },
      system);
  return numbers;
}

std::map<std::string, std::string> tensors_in(const fs::path& weights) {
  const SafetensorsFile file(weights);
  std::map<std::string, std::string> tensors;
  for (const std::string& name : file.names()) {
    tensors[name] = to_string(file.shape(name)) + tiny::bits(file.float_tensor(name).values());
  }
  return tensors;
}

std::string error_of(const System& system, const ExportOptions& options = {}) {
  const Temporary folder;
  try {
    (void)export_huggingface(system, folder / "hf", options);
  } catch (const Error& e) {
    EXPECT_FALSE(fs::exists(folder / "hf"));
    EXPECT_TRUE(fs::is_empty(folder.path()));
    return e.what();
  }
  return "no error";
}

class GoldenExport : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenExport, GivesBackWhatWasRead) {
  const std::string name = GetParam();
  const Temporary folder;
  const fs::path from = folder / "from", to = folder / "to";
  const Json config = read_json(testing::golden_folder(name) / "config.json");
  if (config.contains("d_model") && config["model_type"] != "mpt") {
    testing::make_golden_translator(name, from);
  } else if (fs::exists(testing::golden_folder(name) / "generation_config.json") &&
             !name.starts_with("bert")) {
    testing::make_golden_decoder(name, from);
  } else {
    testing::make_golden_bert(name, from);
  }
  const System before = open(from);
  const Exported done = export_huggingface(before, to);
  EXPECT_EQ(done.form, config["architectures"][0]);
  if (config.contains("problem_type") && !config["problem_type"].is_null()) {
    EXPECT_EQ(read_json(to / "config.json")["problem_type"], config["problem_type"]);
  }
  const System after = open(to);
  EXPECT_EQ(before.index(), after.index());
  EXPECT_THAT(info_of(after).notes, IsEmpty());
  const auto here = numbers_of(before), there = numbers_of(after);
  ASSERT_FALSE(here.empty());
  EXPECT_TRUE(here == there);
  // Under transformers' names, too, and with nothing that it would not know.
  const auto golden = tensors_in(from / "model.safetensors");
  const auto shape = [](const std::string& t) { return t.substr(0, t.find(']')); };
  for (const auto& [tensor, bits] : tensors_in(to / "model.safetensors")) {
    ASSERT_TRUE(golden.contains(tensor)) << tensor;
    // Both languages' tables get as many rows; those of pad and beyond the tokens were any numbers.
    const bool grown = name.starts_with("marian-two-tables") &&
                       (tensor == "lm_head.weight" || tensor == "final_logits_bias" ||
                        tensor.ends_with("embed_tokens.weight"));
    if (grown) continue;
    EXPECT_EQ(shape(bits), shape(golden.at(tensor))) << tensor;
    if (tensor != "final_logits_bias") {
      EXPECT_TRUE(bits == golden.at(tensor)) << tensor;
    }
  }
  // Once more gives the same files.
  (void)export_huggingface(after, folder / "again");
  EXPECT_EQ(tiny::files_in(folder / "again"), tiny::files_in(to));
  for (const std::string& file : tiny::files_in(to)) {
    EXPECT_EQ(read_file(folder / "again" / file), read_file(to / file)) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, GoldenExport,
    ::testing::Values("bert-bare", "bert-dense", "bert-dense-many", "bert-pretraining",
                      "bert-masked", "bert-tags", "bert-classes", "bert-pairs", "bert-several",
                      "distilbert-masked", "distilbert-masked-sinusoid", "distilbert-classes",
                      "distilbert-tags", "roberta-masked", "xlm-roberta-tags",
                      "xlm-roberta-classes", "albert-masked", "gpt2", "gpt2-flags", "gpt-neo",
                      "llama", "llama-all-keys", "llama-head-dim", "llama-linear", "llama-llama3",
                      "llama-one-key", "mpt", "mpt-three-heads", "marian", "marian-two-tables",
                      "m2m100", "bert-masked-v5", "llama-linear-v5", "llama-llama3-v5", "mpt-v5",
                      "marian-two-tables-v5"),
    [](const auto& param) {
      std::string name = param.param;
      std::erase(name, '-');
      return name;
    });

// Models made here.

/// What is said of the exported model that is not said of every such file.
std::vector<std::string> notes_of(const System& system) {
  std::vector<std::string> notes = info_of(system).notes;
  std::erase_if(notes, [](const std::string& note) {
    return note.find("suppress_tokens") != note.npos || note.find("to no token") != note.npos;
  });
  return notes;
}

/// A system through an export: what `ask` says of it before and after.
template <class Ask>
Exported expect_same(const System& before, const Ask& ask, const std::string& form) {
  const Temporary folder;
  const Exported done = export_huggingface(before, folder / "hf");
  EXPECT_EQ(done.form, form);
  const System after = open(folder / "hf");
  EXPECT_THAT(notes_of(after), IsEmpty());
  const std::string here = ask(before);
  EXPECT_FALSE(here.empty());
  EXPECT_EQ(here, ask(after));
  return done;
}

const std::vector<std::string> kText = {"the red boat waits", "a dog runs to the mill .", "boat",
                                        "the red dog , a boat"};

Transformer::Config little(std::int64_t vocabulary) {
  return {.source_vocabulary = vocabulary,
          .target_vocabulary = vocabulary,
          .width = 8,
          .heads = 2,
          .feed_forward = 12,
          .encoder_layers = 1,
          .decoder_layers = 2,
          .max_length = 24};
}

TranslationModel translation(const std::function<void(Transformer::Config&)>& change,
                             Tokeniser::Kind kind = Tokeniser::Kind::bpe) {
  TranslationModel m;
  m.joint = true;
  m.source = m.target = Tokeniser::train({.kind = kind, .vocabulary_size = 40}, kText);
  Transformer::Config c = little(m.source.size());
  change(c);
  m.network = Transformer::make(3, c);
  return m;
}

std::string translations(const System& system) {
  const auto& t = std::get<Translator>(system);
  TranslateOptions options = t.defaults();
  options.beam = 3;
  options.max_length = 8;
  options.at_limit = LimitRule::cut;
  std::string said;
  for (const Translation& found : t.translate(kText, options)) {
    said += fmt::format("{} {:a}\n", found.text, found.score);
  }
  return said;
}

class TranslatorExport : public ::testing::TestWithParam<int> {};

TEST_P(TranslatorExport, TranslatesTheSame) {
  const auto change = [](Transformer::Config& c) {
    const int n = GetParam();
    if (n == 1) c.sinusoid = Sinusoid::blocks;
    if (n == 2) c.positions = PositionKind::learned;
    if (n == 3) c.scale_embedding = false, c.tie_output = false, c.output_bias = true;
    if (n == 4) c.zero_start = true, c.sinusoid = Sinusoid::halves;
    if (n == 5) c.share_embeddings = false, c.positions = PositionKind::none;
    if (n == 6) c.activation = Activation::silu;
  };
  const auto kind = GetParam() % 2 == 0 ? Tokeniser::Kind::bpe : Tokeniser::Kind::unigram;
  expect_same(Translator(translation(change, kind)), translations, "MarianMTModel");
}

INSTANTIATE_TEST_SUITE_P(Networks, TranslatorExport, ::testing::Range(0, 7));

TEST(TranslatorExport, HasAVocabularyForEachLanguage) {
  for (const auto& [source, target] : {std::pair{40, 34}, std::pair{34, 40}}) {
    TranslationModel m;
    m.source = Tokeniser::train({.kind = Tokeniser::Kind::bpe, .vocabulary_size = source}, kText);
    m.target =
        Tokeniser::train({.kind = Tokeniser::Kind::unigram, .vocabulary_size = target}, kText);
    ASSERT_NE(m.source.size(), m.target.size());
    Transformer::Config c = little(m.source.size());
    c.target_vocabulary = m.target.size();
    c.share_embeddings = false;
    m.network = Transformer::make(3, c);
    expect_same(Translator(m), translations, "MarianMTModel");
  }
}

TEST(TranslatorExport, IsRefusedWithoutItsTablesOfPositions) {
  const Temporary folder;
  const Exported done = export_huggingface(Translator(translation([](auto&) {})), folder / "hf");
  EXPECT_THAT(done.notes, Contains(HasSubstr("_keys_to_ignore_on_save")));
  // As transformers saves it.
  const SafetensorsFile file(folder / "hf" / "model.safetensors");
  std::vector<NamedTensor> kept;
  for (const std::string& name : file.names()) {
    if (name.find("embed_positions") == name.npos) kept.push_back({name, file.tensor_copy(name)});
  }
  EXPECT_EQ(kept.size() + 2, file.names().size());
  save_safetensors(folder / "hf" / "model.safetensors", kept, {{"format", "pt"}});
  try {
    (void)open(folder / "hf");
    FAIL();
  } catch (const DataError& e) {
    EXPECT_THAT(e.what(), HasSubstr("no tables of positions"));
  }
}

TEST(TranslatorExport, NamesWhatMarianHasNot) {
  const auto with = [](const std::function<void(Transformer::Config&)>& change) {
    return error_of(Translator(translation(change)));
  };
  EXPECT_THAT(with([](auto& c) { c.norm = NormPlacement::pre, c.final_norm = true; }),
              HasSubstr("before the layers"));
  EXPECT_THAT(with([](auto& c) { c.attention_output = false; }), HasSubstr("W_O"));
  EXPECT_THAT(with([](auto& c) { c.relu_projections = true; }), HasSubstr("ReLU"));
  EXPECT_THAT(with([](auto& c) { c.norm_eps = 1e-8; }), HasSubstr("epsilon"));
  EXPECT_THAT(error_of(Translator(translation([](auto&) {}, Tokeniser::Kind::word))),
              HasSubstr("--tokeniser bpe"));
  const Temporary folder;
  tiny::make_translator(folder / "rnn", true);
  EXPECT_THAT(error_of(open(folder / "rnn")), HasSubstr("recurrent"));
  TranslationModel lower = translation([](auto&) {});
  lower.source = lower.target = Tokeniser::train(
      {.kind = Tokeniser::Kind::bpe, .vocabulary_size = 40, .normalise = {.lower = true}}, kText);
  EXPECT_THAT(error_of(Translator(lower)), HasSubstr("--lower"));
}

LanguageModel language(const std::function<void(Mpt::Config&)>& change,
                       Tokeniser::Kind kind = Tokeniser::Kind::bpe, bool by_line = false) {
  LanguageModel m;
  m.tokeniser =
      train_language_tokeniser({.kind = kind, .vocabulary_size = is_subword(kind) ? 40 : 0}, kText);
  m.context = 8;
  m.by_line = by_line;
  Mpt::Config c = {.d_model = 8,
                   .n_heads = 2,
                   .n_layers = 2,
                   .max_seq_len = 16,
                   .vocab_size = m.tokeniser.size()};
  change(c);
  m.network = Mpt::make(1, c);
  return m;
}

/// What follows, and how likely lines are, token by token.
std::string continuations(const System& system) {
  const auto& g = std::get<Generator>(system);
  std::string said;
  for (const char* prompt : {"the red boat", "a dog\nthe", "boat"}) {
    for (const std::int32_t id : g.model().prompt(prompt)) said += fmt::format("{} ", id);
  }
  const auto score = g.score(kText, {.context = 8}, [&](std::string_view, float log_p) {
    said += fmt::format("{:a} ", log_p);
  });
  return said + fmt::format("{} {:a}", score.tokens, score.nll);
}

TEST(DecoderExport, TakesTheClassThatComputesTheNetwork) {
  using C = Mpt::Config;
  const auto alibi = [](C& c) {
    c.learned_pos_emb = false;
    c.no_bias = true;
    c.attn_config.alibi = true;
  };
  expect_same(Generator(language([](C&) {})), continuations, "GPT2LMHeadModel");
  expect_same(Generator(language(alibi)), continuations, "MptForCausalLM");
  expect_same(Generator(language([&](C& c) { alibi(c), c.attn_config.clip_qkv = 2.0; })),
              continuations, "MptForCausalLM");
  for (const auto& more : std::vector<std::function<void(C&)>>{
           [](C& c) { c.attn_config.kv_n_heads = 1; },
           [](C& c) { c.attn_config.alibi_bias_max = 4; }, [](C& c) { c.attn_config.qk_ln = true; },
           [](C& c) { c.expansion_ratio = 2; }, [](C& c) { c.logit_scale = 0.5; },
           [](C& c) { c.logit_scale_inv_sqrt_d_model = true; },
           [](C& c) { c.learned_pos_emb = true; },
           [](C& c) { c.attn_config.alibi = false, c.attn_config.rope = true; }}) {
    const Exported done = expect_same(Generator(language([&](C& c) { alibi(c), more(c); })),
                                      continuations, "MPTForCausalLM");
    EXPECT_THAT(done.notes, ElementsAre(HasSubstr("llm-foundry")));
  }
  expect_same(Generator(language([](C& c) {
                c.learned_pos_emb = false;
                c.no_bias = true;
                c.attn_config.rope = true;
                c.attn_config.kv_n_heads = 1;
                c.parts.norm = NormKind::rms;
                c.parts.ffn_gated = true;
                c.parts.ffn_act = Activation::silu;
              })),
              continuations, "LlamaForCausalLM");
}

TEST(DecoderExport, CutsTextAsTheModelDoes) {
  for (const auto kind : {Tokeniser::Kind::bpe, Tokeniser::Kind::unigram,
                          Tokeniser::Kind::character, Tokeniser::Kind::space}) {
    SCOPED_TRACE(name_of(kind));
    expect_same(Generator(language([](Mpt::Config&) {}, kind)), continuations, "GPT2LMHeadModel");
  }
}

TEST(DecoderExport, KeepsTheEndOfALineThatIsAText) {
  const Temporary folder;
  const Generator lines(language([](Mpt::Config&) {}, Tokeniser::Kind::bpe, true));
  const Exported done = export_huggingface(lines, folder / "hf");
  EXPECT_THAT(done.notes, ElementsAre(HasSubstr("lines")));
  const Json generation = read_json(folder / "hf" / "generation_config.json");
  EXPECT_EQ(generation["eos_token_id"], lines.model().tokeniser.eos());
  EXPECT_EQ(generation["bos_token_id"], lines.model().tokeniser.bos());
  const Generator read = Generator::load(folder / "hf");
  EXPECT_EQ(read.model().prompt("the red"), lines.model().prompt("the red"));
  EXPECT_THAT(read.model().ends, ElementsAre(lines.model().tokeniser.eos()));
}

TEST(DecoderExport, NamesWhatNoClassHas) {
  EXPECT_THAT(error_of(Generator(language([](auto& c) { c.attn_config.linear = true; }))),
              HasSubstr("linear true"));
  EXPECT_THAT(error_of(Generator(language([](auto&) {}, Tokeniser::Kind::word))),
              HasSubstr("--tokeniser bpe"));
  const Temporary folder;
  tiny::make_language(folder / "rnn", true);
  EXPECT_THAT(error_of(open(folder / "rnn")), HasSubstr("recurrent"));
}

std::string vectors(const System& system) {
  return std::visit(
      [](const auto& s) -> std::string {
        if constexpr (std::is_base_of_v<BertSystem, std::decay_t<decltype(s)>>) {
          return tiny::bits(embed_texts(s.model(), kText).values());
        }
        return {};
      },
      system);
}

TEST(BertExport, KeepsHeadsAndSettings) {
  BertModel pairs = tiny::bert();
  pairs.network = Bert::make(7, pairs.network.bert.config, {});
  expect_same(MaskedModel(pairs), vectors, "BertForPreTraining");
  const Exported masked = expect_same(MaskedModel(tiny::bert()), vectors, "BertForMaskedLM");
  EXPECT_THAT(masked.notes, ElementsAre(HasSubstr("pooler")));
  BertModel sentences = tiny::bert();
  sentences.network =
      Bert::make(7, sentences.network.bert.config, {.pooler = true, .words = false, .next = false});
  sentences.sentence.normalise = true;
  sentences.sentence.pooling = TextVector::cls;
  sentences.sentence.prompt = "the ";
  sentences.sentence.longest = 6;
  sentences.longest = 10;
  EXPECT_THAT(expect_same(Encoder(sentences), vectors, "BertModel").notes, IsEmpty());
  BertModel odd = tiny::bert();
  odd.network.bert.config.pooler_act = Activation::relu;
  EXPECT_THAT(error_of(MaskedModel(odd)), HasSubstr("pooler_act"));
}

TEST(BertExport, WritesATokeniserThatCutsTheSame) {
  const Temporary folder;
  const MaskedModel model(tiny::bert());
  (void)export_huggingface(model, folder / "hf");
  const TokenPipeline written = read_token_pipeline(folder / "hf");
  for (const char* line : {"the red boat", "The DÓG, waits. ab a王b", "", "  to\tthe\n mill"}) {
    EXPECT_EQ(written.ids(line, false), model.model().pieces.encode(line)) << line;
  }
  EXPECT_EQ(written.ids("the").front(), model.model().pieces.cls());
  EXPECT_EQ(written.roles().mask, model.model().pieces.mask());
}

LabellerModel labeller(const std::function<void(Labeller::Config&, LabellerModel&)>& change) {
  LabellerModel m;
  const BertModel b = tiny::bert();
  m.pieces = b.pieces;
  m.word_options = {.lowercase = true, .cut = WordCut::text};
  Labeller::Config c = {.encoder = LabelEncoder::bert,
                        .width = 8,
                        .crf = false,
                        .pooling = Pooling::token,
                        .bert = b.network.bert.config};
  change(c, m);
  c.tags = m.tags.size() > Vocabulary::kSpecials ? label_count(m.tags) : 0;
  c.classes = m.classes.size() > Vocabulary::kSpecials ? label_count(m.classes) : 0;
  m.network = Labeller::make(3, c);
  return m;
}

std::string labels(const System& system) {
  std::vector<std::vector<std::string>> sentences;
  for (const std::string& line : kText) sentences.push_back(cut_words(line, WordCut::space));
  std::string said;
  std::visit(
      [&](const auto& s) {
        if constexpr (std::is_base_of_v<LabelSystem, std::decay_t<decltype(s)>>) {
          for (const Labelled& l : label_sentences(s.model(), sentences)) {
            said += fmt::format("{} {} {:a}", l.label, fmt::join(l.tags, " "), l.tag_score);
            for (const double p : l.class_probabilities) said += fmt::format(" {:a}", p);
          }
        }
      },
      system);
  return said;
}

TEST(LabelExport, GivesTheSameLabels) {
  const auto tags = [](auto&, LabellerModel& m) { m.tags = tiny::vocabulary({"O", "B-x", "I-x"}); };
  const auto classes = [](auto&, LabellerModel& m) { m.classes = tiny::vocabulary({"in", "out"}); };
  const Exported done = expect_same(Tagger(labeller(tags)), labels, "BertForTokenClassification");
  EXPECT_THAT(done.notes, ElementsAre(HasSubstr("is_split_into_words")));
  EXPECT_THAT(
      expect_same(Classifier(labeller(classes)), labels, "BertForSequenceClassification").notes,
      IsEmpty());
}

TEST(LabelExport, NamesWhatNoClassHas) {
  const auto tags = [](Labeller::Config& c, LabellerModel& m) {
    m.tags = tiny::vocabulary({"O", "B-x"});
    c.crf = true;
  };
  EXPECT_THAT(error_of(Tagger(labeller(tags))), HasSubstr("CRF"));
  EXPECT_THAT(error_of(Tagger(labeller([](auto&, LabellerModel& m) {
                m.tags = tiny::vocabulary({"O", "S-x"});
              }))),
              HasSubstr("iob2"));
  LabellerModel ruled = labeller([](auto&, LabellerModel& m) {
    m.tags = tiny::vocabulary({"O", "B-x"});
  });
  ruled.network.set_rules({.transition = {1, 1, 1, 1}, .start = {1, 1}, .end = {1, 1}});
  EXPECT_THAT(error_of(Tagger(ruled)), HasSubstr("--drop-rules"));
  EXPECT_EQ(error_of(Tagger(ruled), {.drop_rules = true}), "no error");
  EXPECT_THAT(error_of(Classifier(labeller([](Labeller::Config& c, LabellerModel& m) {
                m.classes = tiny::vocabulary({"in", "out"});
                c.pooling = Pooling::mean;
              }))),
              HasSubstr("mean"));
  EXPECT_THAT(error_of(IntentModel(labeller([](auto&, LabellerModel& m) {
                m.tags = tiny::vocabulary({"O", "B-x"});
                m.classes = tiny::vocabulary({"in", "out"});
              }))),
              HasSubstr("slots"));
}

TEST(Export, RefusesWhatIsNoNetworkOfTransformersAndWhatIsThere) {
  const Temporary folder;
  tiny::make_vectors(folder / "vectors");
  EXPECT_THAT(error_of(open(folder / "vectors")), HasSubstr("word vectors"));
  tiny::make_action(folder / "action", ActionArchitecture::act);
  EXPECT_THAT(error_of(open(folder / "action")), HasSubstr("skeletons"));
  const MaskedModel model(tiny::bert());
  EXPECT_THROW((void)export_huggingface(model, folder / "vectors"), FileError);
  fs::create_directory(folder / "empty");
  EXPECT_NO_THROW((void)export_huggingface(model, folder / "empty/"));
  EXPECT_EQ(open(folder / "empty").index(), System(model).index());
}

}  // namespace
}  // namespace qkv
