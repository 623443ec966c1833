#include "qkv/systems/export/tokenizer_json.h"

#include <algorithm>
#include <map>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/systems/export/parts.h"

namespace qkv {
namespace {

Json added_token(std::int32_t id, const std::string& content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

Json token_item(const std::string& name, int type) {
  return {{"SpecialToken", {{"id", name}, {"type_id", type}}}};
}

Json text_item(const char* name, int type) {
  return {{"Sequence", {{"id", name}, {"type_id", type}}}};
}

Json token_ids(const std::string& name, std::int32_t id) {
  return {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
}

Json whole(Json added, Json normaliser, Json pre_tokeniser, Json around, Json decoder, Json model) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", std::move(normaliser)},
          {"pre_tokenizer", std::move(pre_tokeniser)},
          {"post_processor", std::move(around)},
          {"decoder", std::move(decoder)},
          {"model", std::move(model)}};
}

/// [CLS] A [SEP], and [CLS] A [SEP] B [SEP].
Json bert_template(const WordPiece& p) {
  const std::string &cls = p.piece(p.cls()), &sep = p.piece(p.sep());
  return {{"type", "TemplateProcessing"},
          {"single", {token_item(cls, 0), text_item("A", 0), token_item(sep, 0)}},
          {"pair",
           {token_item(cls, 0), text_item("A", 0), token_item(sep, 0), text_item("B", 1),
            token_item(sep, 1)}},
          {"special_tokens", {{cls, token_ids(cls, p.cls())}, {sep, token_ids(sep, p.sep())}}}};
}

}  // namespace

Json tokenizer_json(const TokenPipeline& pipeline) {
  Json json = parse_json(pipeline.json(), "tokenizer.json");
  json["truncation"] = json["padding"] = nullptr;
  return json;
}

Json tokenizer_json(const WordPiece& p) {
  Json added = Json::array(), vocabulary = Json::object();
  for (std::int32_t id = 0; id < p.size(); ++id) {
    vocabulary[p.piece(id)] = id;
    if (p.is_special(id)) added.push_back(added_token(id, p.piece(id), true));
  }
  return whole(std::move(added),
               {{"type", "BertNormalizer"},
                {"clean_text", true},
                {"handle_chinese_chars", true},
                {"strip_accents", nullptr},
                {"lowercase", p.lower()}},
               {{"type", "BertPreTokenizer"}}, bert_template(p),
               {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}},
               {{"type", "WordPiece"},
                {"unk_token", p.piece(p.unk())},
                {"continuing_subword_prefix", "##"},
                {"max_input_chars_per_word", p.longest_word()},
                {"vocab", std::move(vocabulary)}});
}

void save_token_names(const NamedTokens& tokens, std::int64_t longest, bool types,
                      const std::filesystem::path& folder) {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false},
                 {"model_input_names", {"input_ids", "attention_mask"}}};
  if (longest > 0) config["model_max_length"] = longest;
  if (types) config["model_input_names"].push_back("token_type_ids");
  Json map = Json::object();
  for (const auto& [role, token] : tokens) {
    if (!token.empty()) config[role] = map[role] = token;
  }
  write_json(folder / "tokenizer_config.json", config);
  write_json(folder / "special_tokens_map.json", map);
}

void save_bert_pieces(const BertPieces& pieces, BertFamily family, std::int64_t longest,
                      const std::filesystem::path& folder) {
  const auto name = [&](std::int32_t id) { return id < 0 ? std::string() : pieces.piece(id); };
  NamedTokens tokens = {{"unk_token", name(pieces.unk())},
                        {"pad_token", name(pieces.pad())},
                        {"cls_token", name(pieces.cls())},
                        {"sep_token", name(pieces.sep())},
                        {"mask_token", name(pieces.mask())}};
  if (pieces.word_piece() != nullptr) {
    write_file(folder / kPiecesFile, pieces.word_piece()->to_text());
    write_json(folder / kTokenizerFile, tokenizer_json(*pieces.word_piece()));
  } else {
    tokens.emplace_back("bos_token", name(pieces.cls()));
    tokens.emplace_back("eos_token", name(pieces.sep()));
    write_json(folder / kTokenizerFile, tokenizer_json(*pieces.pipeline()));
  }
  save_token_names(tokens, longest, family == BertFamily::bert || family == BertFamily::albert,
                   folder);
}

}  // namespace qkv
