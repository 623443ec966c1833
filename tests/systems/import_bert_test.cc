// BERTs of other programs: what stands beside the weights is used, known to change nothing, or
// refused by name.
#include <cmath>
#include <map>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/systems/bert_model.h"

namespace qkv {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

constexpr const char* kPieces =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\nd\nthe\nred\nboat\n.\nA\n";

BertModel small_model() {
  BertConfig c;
  c.vocab_size = 14;
  c.hidden_size = 8;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.intermediate_size = 16;
  c.max_position_embeddings = 12;
  BertModel m;
  m.network = Bert::make(7, c, {.pooler = true, .words = true, .next = false});
  m.pieces = WordPiece::from_text(kPieces, "vocab.txt", true);
  return m;
}

/// A directory as Hugging Face writes it.
class ForeignBert : public testing::Test {
 protected:
  ForeignBert() {
    config_ = bert_config_json(small_model().network.bert.config);
    config_["architectures"] = {"BertForMaskedLM"};
    config_["transformers_version"] = "4.40.2";
    for (auto& [name, tensor] : bert_state(small_model().network)) {
      tensors_.push_back({name, tensor});
    }
    write_file(folder_ / "vocab.txt", kPieces);
    write();
  }
  void write() {
    write_json(folder_ / "config.json", config_);
    save_safetensors(folder_ / "model.safetensors", tensors_, {{"format", "pt"}});
  }
  void put(const std::string& name, const Json& json) {
    make_folder((folder_ / name).parent_path());
    write_json(folder_ / name, json);
  }
  BertModel load() const { return load_bert_model(folder_.path()); }
  std::string error() const {
    try {
      (void)load();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::string notes() const {
    std::string all;
    for (const std::string& note : load().notes) all += note + "\n";
    return all;
  }
  std::vector<float> vectors(const EmbedOptions& options = {}) const {
    const std::vector<std::string> texts = {"the red boat", "ab c d .", ""};
    const Tensor v = embed_texts(load(), texts, options);
    return {v.values().begin(), v.values().end()};
  }
  static std::vector<float> expected(TextVector how, bool unit) {
    const BertModel m = small_model();
    const std::vector<std::string> texts = {"the red boat", "ab c d .", ""};
    const Tensor v = text_vectors(m, rows_of(m, texts), how);
    std::vector<float> all(v.values().begin(), v.values().end());
    for (std::size_t i = 0; unit && i < all.size(); i += 8) {
      double squares = 0;
      for (std::size_t c = i; c < i + 8; ++c) {
        squares += static_cast<double>(all[c]) * static_cast<double>(all[c]);
      }
      for (std::size_t c = i; c < i + 8; ++c) all[c] *= static_cast<float>(1 / std::sqrt(squares));
    }
    return all;
  }
  static Json modules(bool normalise) {
    Json list = {
        {{"idx", 0}, {"path", ""}, {"type", "sentence_transformers.models.Transformer"}},
        {{"idx", 1}, {"path", "1_Pooling"}, {"type", "sentence_transformers.models.Pooling"}}};
    if (normalise) {
      list.push_back({{"idx", 2},
                      {"path", "2_Normalize"},
                      {"type", "sentence_transformers.models.Normalize"}});
    }
    return list;
  }

  Temporary folder_;
  Json config_;
  std::vector<NamedTensor> tensors_;
};

TEST_F(ForeignBert, LoadsWithoutANote) {
  EXPECT_EQ(vectors(), expected(TextVector::mean, false));
  EXPECT_EQ(notes(), "");
}

TEST_F(ForeignBert, PoolsAndNormalisesAsTheDirectorySays) {
  put("modules.json", modules(true));
  put("1_Pooling/config.json", {{"word_embedding_dimension", 8},
                                {"pooling_mode_cls_token", true},
                                {"pooling_mode_mean_tokens", false}});
  EXPECT_EQ(vectors(), expected(TextVector::cls, true));
  EXPECT_EQ(vectors({.pooling = TextVector::mean, .normalise = false}),
            expected(TextVector::mean, false))
      << "the command line wins";
  put("modules.json", modules(false));
  EXPECT_EQ(vectors(), expected(TextVector::cls, false));
  put("1_Pooling/config.json", {{"embedding_dimension", 8}, {"pooling_mode", "cls"}});
  EXPECT_EQ(vectors(), expected(TextVector::cls, false)) << "version 6";
  put("1_Pooling/config.json", {{"pooling_mode", Json::array({"mean"})}});
  EXPECT_EQ(vectors(), expected(TextVector::mean, false));
  put("1_Pooling/config.json", Json::object());
  EXPECT_EQ(vectors(), expected(TextVector::mean, false));
}

TEST_F(ForeignBert, WhatItCannotPoolIsRefusedWhenAskedFor) {
  put("modules.json", modules(false));
  for (const Json& bad :
       {Json{{"pooling_mode_max_tokens", true}},
        Json{{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}},
        Json{{"pooling_mode", "lasttoken"}}}) {
    put("1_Pooling/config.json", bad);
    try {
      (void)vectors();
      ADD_FAILURE() << bad.dump();
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), AllOf(HasSubstr("1_Pooling"), HasSubstr("--pooling")));
    }
    EXPECT_EQ(vectors({.pooling = TextVector::cls}), expected(TextVector::cls, false));
  }
  put("1_Pooling/config.json", Json::object());
  Json other = modules(false);
  other.push_back({{"idx", 2}, {"path", "2_LSTM"}, {"type", "sentence_transformers.models.LSTM"}});
  put("modules.json", other);
  EXPECT_THROW((void)vectors(), Error);
  fs::remove_all(folder_ / "1_Pooling");
  put("modules.json", modules(false));
  EXPECT_THAT(error(), HasSubstr("1_Pooling"));
}

TEST_F(ForeignBert, CutsAndPromptsAsTheDirectorySays) {
  const BertModel plain = small_model();
  put("sentence_bert_config.json", {{"max_seq_length", 4}, {"do_lower_case", false}});
  const std::vector<std::string> longer = {"the red boat a c d"}, cut = {"the red"};
  const Tensor a = embed_texts(load(), longer), b = embed_texts(plain, cut);
  EXPECT_TRUE(std::ranges::equal(a.values(), b.values()));
  EXPECT_EQ(load().room(), 12) << "of embeddings only";
  fs::remove(folder_ / "sentence_bert_config.json");
  put("tokenizer_config.json", {{"model_max_length", 5}});
  EXPECT_EQ(load().room(), 5);
  put("tokenizer_config.json",
      Json::parse(R"({"model_max_length": 1000000000000000019884624838656})"));
  EXPECT_EQ(load().room(), 12);
  put("config_sentence_transformers.json",
      {{"prompts", {{"query", "red "}}}, {"default_prompt_name", "query"}});
  const std::vector<std::string> with = {"boat"}, without = {"red boat"};
  const Tensor c = embed_texts(load(), with), d = embed_texts(plain, without);
  EXPECT_TRUE(std::ranges::equal(c.values(), d.values()));
  put("config_sentence_transformers.json", {{"default_prompt_name", "other"}});
  EXPECT_THAT(error(), HasSubstr("no prompt 'other'"));
}

TEST_F(ForeignBert, FieldsThatMakeAnotherNetworkAreRefused) {
  const Json good = config_;
  for (const auto& [field, value] :
       std::map<std::string, Json>{{"is_decoder", true},
                                   {"add_cross_attention", true},
                                   {"is_encoder_decoder", true},
                                   {"tie_word_embeddings", false},
                                   {"embedding_size", 4},
                                   {"position_embedding_type", "relative_key"},
                                   {"hidden_act", "mish"},
                                   {"pruned_heads", {{"0", {1}}}},
                                   {"quantization_config", {{"bits", 8}}},
                                   {"auto_map", {{"AutoModel", "own.py"}}},
                                   {"rope_scaling", {{"factor", 2}}}}) {
    config_ = good;
    config_[field] = value;
    write();
    EXPECT_THAT(error(), AllOf(HasSubstr("config.json"), HasSubstr(field)));
  }
  config_ = good;
  config_["pruned_heads"] = Json::object();
  config_["embedding_size"] = 8;
  config_["id2label"] = {{"0", "LABEL_0"}};
  config_["surprise"] = 1;
  write();
  EXPECT_THAT(notes(), AllOf(HasSubstr("config.json"), HasSubstr("'surprise'"),
                             testing::Not(HasSubstr("id2label"))));
}

TEST_F(ForeignBert, FieldsOfTheTokeniserAreHonouredOrRefused) {
  for (const auto& [field, value] :
       std::map<std::string, Json>{{"tokenize_chinese_chars", false},
                                   {"do_basic_tokenize", false},
                                   {"tokenizer_class", "BertJapaneseTokenizer"},
                                   {"strip_accents", false},
                                   {"truncation_side", "left"},
                                   {"never_split", {"a"}},
                                   {"mask_token", "<mask>"},
                                   {"cls_token", {{"content", "<s>"}}},
                                   {"do_lower_case", 1},
                                   {"model_max_length", 2}}) {
    put("tokenizer_config.json", {{field, value}});
    EXPECT_THAT(error(), AllOf(HasSubstr("tokenizer_config.json"), HasSubstr(field)));
  }
  put("tokenizer_config.json", {{"do_lower_case", false},
                                {"strip_accents", nullptr},
                                {"mask_token", {{"content", "[MASK]"}, {"lstrip", true}}},
                                {"additional_special_tokens", {"[NAME]"}},
                                {"surprise", 1}});
  EXPECT_FALSE(load().pieces.lower());
  EXPECT_THAT(notes(), AllOf(HasSubstr("'[NAME]'"), HasSubstr("'surprise'")));
  fs::remove(folder_ / "tokenizer_config.json");
  put("special_tokens_map.json", {{"unk_token", "<unk>"}});
  EXPECT_THAT(error(), AllOf(HasSubstr("special_tokens_map.json"), HasSubstr("unk_token")));
}

/// tokenizer.json as Hugging Face writes it for these pieces.
Json tokenizer() {
  Json vocabulary = Json::object();
  const WordPiece pieces = WordPiece::from_text(kPieces, "vocab.txt", true);
  for (std::int32_t id = 0; id < pieces.size(); ++id) vocabulary[pieces.piece(id)] = id;
  const auto special = [](const char* id) { return Json{{"SpecialToken", {{"id", id}}}}; };
  return {{"version", "1.0"},
          {"truncation", {{"max_length", 4}}},
          {"padding", nullptr},
          {"added_tokens", {{{"id", 4}, {"content", "[MASK]"}}}},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", true},
            {"strip_accents", nullptr},
            {"lowercase", true}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", {special("[CLS]"), {{"Sequence", {{"id", "A"}}}}, special("[SEP]")}}}},
          {"decoder", {{"type", "WordPiece"}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 3},
            {"vocab", vocabulary}}}};
}

TEST_F(ForeignBert, ReadsTokenizerJson) {
  put("tokenizer.json", tokenizer());
  EXPECT_EQ(notes(), "");
  EXPECT_EQ(load().pieces.word_piece()->pieces("boat"), (std::vector<std::string>{"[UNK]"}))
      << "beyond 3 letters";
  fs::remove(folder_ / "vocab.txt");
  EXPECT_EQ(load().pieces.word_piece()->to_text(), kPieces) << "alone";
}

TEST_F(ForeignBert, TokenizerJsonThatContradictsIsRefused) {
  const auto refused = [&](const char* pointer, const Json& value, const char* word) {
    Json json = tokenizer();
    json[Json::json_pointer(pointer)] = value;
    put("tokenizer.json", json);
    EXPECT_THAT(error(), AllOf(HasSubstr("tokenizer.json"), HasSubstr(word))) << pointer;
  };
  refused("/model/type", "BPE", "type");
  refused("/model/vocab/boat", 99, "number");
  refused("/model/vocab/other", 14, "vocab.txt");
  refused("/model/unk_token", "<unk>", "unk_token");
  refused("/model/continuing_subword_prefix", "@@", "continuing_subword_prefix");
  refused("/normalizer/type", "NFC", "type");
  refused("/normalizer/handle_chinese_chars", false, "handle_chinese_chars");
  refused("/pre_tokenizer/type", "Whitespace", "type");
  refused("/post_processor/single", Json::array(), "single");
  refused("/post_processor/type", "RobertaProcessing", "type");
  put("tokenizer_config.json", {{"do_lower_case", false}});
  refused("/normalizer/lowercase", true, "lowercase");
  fs::remove(folder_ / "tokenizer_config.json");
  Json cased = tokenizer();
  cased["normalizer"]["lowercase"] = false;
  put("tokenizer.json", cased);
  EXPECT_FALSE(load().pieces.lower()) << "where nobody else says it";
}

TEST_F(ForeignBert, SpareRowsOfTheVocabularyAreNeverAnAnswer) {
  const std::vector<std::string> text = {"the [MASK] boat"};
  const auto filled = [&] {
    const BertModel m = load();
    return fill_masks(m, rows_of(m, text, true), 20).front();
  };
  const auto before = filled();
  const auto vectors_before = vectors();
  config_["vocab_size"] = 16;
  for (NamedTensor& t : tensors_) {
    if (t.name != "bert.embeddings.word_embeddings.weight" && t.name != "cls.predictions.bias") {
      continue;
    }
    Shape shape = t.tensor.shape();
    shape[0] = 16;
    Tensor padded = Tensor::full(shape, 9);  // would win every time
    std::ranges::copy(t.tensor.values(), padded.data());
    t.tensor = padded;
  }
  write();
  const auto after = filled();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].id, before[i].id);
    EXPECT_EQ(after[i].probability, before[i].probability);
  }
  EXPECT_EQ(vectors(), vectors_before);
  EXPECT_THAT(notes(), HasSubstr("2 rows of the vocabulary"));
  config_["vocab_size"] = 13;
  write();
  EXPECT_THAT(error(), HasSubstr("has 14 pieces"));
}

TEST_F(ForeignBert, CopiesThatAreNoneAreRefused) {
  const std::vector<NamedTensor> good = tensors_;
  const Tensor words = small_model().network.bert.words;
  tensors_.push_back({"cls.predictions.decoder.weight", words});
  tensors_.push_back({"cls.predictions.decoder.bias", Tensor::zeros({14})});
  write();
  EXPECT_EQ(notes(), "") << "true copies";
  tensors_.back().tensor = Tensor::full({14}, 1);
  write();
  EXPECT_THAT(error(), HasSubstr("cls.predictions.decoder.bias"));
  tensors_ = good;
  Tensor other = words.clone();
  other.data()[5] += 1;
  tensors_.push_back({"cls.predictions.decoder.weight", other});
  write();
  EXPECT_THAT(error(), HasSubstr("cls.predictions.decoder.weight"));
  tensors_ = good;
  for (NamedTensor& t : tensors_) {
    if (t.name == "cls.predictions.bias") t.name = "cls.predictions.decoder.bias";
  }
  write();
  EXPECT_EQ(notes(), "") << "the bias under its other name";
  tensors_.push_back({"classifier.weight", Tensor::zeros({2, 8})});
  tensors_.push_back({"bert.encoder.layer.7.output.dense.bias", Tensor::zeros({8})});
  write();
  EXPECT_THAT(notes(), AllOf(HasSubstr("2 tensors"), HasSubstr("'classifier.weight'")));
  EXPECT_EQ(vectors(), expected(TextVector::mean, false));
}

TEST_F(ForeignBert, ReadsShards) {
  const auto half = tensors_.size() / 2;
  const std::span<const NamedTensor> all = tensors_;
  save_safetensors(folder_ / "model-1.safetensors", all.first(half), {});
  save_safetensors(folder_ / "model-2.safetensors", all.subspan(half), {});
  Json map = Json::object();
  for (std::size_t i = 0; i < all.size(); ++i) {
    map[all[i].name] = i < half ? "model-1.safetensors" : "model-2.safetensors";
  }
  const Json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", map}};
  put("model.safetensors.index.json", index);
  fs::remove(folder_ / "model.safetensors");
  EXPECT_EQ(vectors(), expected(TextVector::mean, false));
  const auto refused = [&](const std::string& tensor, const Json& file) {
    Json bad = index;
    bad["weight_map"][tensor] = file;
    put("model.safetensors.index.json", bad);
    return error();
  };
  EXPECT_THAT(refused("bert.pooler.dense.bias", "model-3.safetensors"), HasSubstr("model-3"));
  EXPECT_THAT(refused("bert.pooler.dense.bias", "../model-1.safetensors"), HasSubstr("weight_map"));
  EXPECT_THAT(refused("bert.pooler.dense.bias", 5), HasSubstr("weight_map"));
  EXPECT_THAT(refused("other", "model-1.safetensors"), HasSubstr("model-1.safetensors"));
  put("model.safetensors.index.json", index);
  fs::remove(folder_ / "model-2.safetensors");
  EXPECT_THAT(error(), HasSubstr("model-2.safetensors: is missing"));
  fs::remove(folder_ / "model.safetensors.index.json");
  write_file(folder_ / "pytorch_model.bin", "x");
  EXPECT_THAT(error(), HasSubstr("pytorch_model.bin"));
}

TEST_F(ForeignBert, SpecialTokensAloneAreNoVocabulary) {
  write_file(folder_ / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[unused1]\n");
  EXPECT_THAT(error(), HasSubstr("special tokens only"));
}

TEST_F(ForeignBert, WeightsThatRanAwayGiveNoAnswer) {
  for (NamedTensor& t : tensors_) {
    for (std::int64_t i = 0; i < t.tensor.count(); ++i) t.tensor.data()[i] = i % 2 ? 3e38F : -3e38F;
  }
  write();
  const BertModel m = load();
  const std::vector<std::string> text = {"the [MASK] boat"};
  EXPECT_THROW((void)fill_masks(m, rows_of(m, text, true), 3), NumericError);
  EXPECT_THROW((void)embed_texts(m, text), NumericError);
}

}  // namespace
}  // namespace qkv
