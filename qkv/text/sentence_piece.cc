#include "qkv/text/sentence_piece.h"

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/base64.h"

namespace qkv {
namespace {

using Json = nlohmann::json;

Json added(const std::map<std::string, std::int32_t>& tokens) {
  Json list = Json::array();
  for (const auto& [token, id] : tokens) {
    list.push_back({{"id", id},
                    {"content", token},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", true}});
  }
  return list;
}

Json whole(Json model, Json added_tokens, Json pre_tokenizer, Json decoder) {
  return {{"version", "1.0"},          {"truncation", nullptr},
          {"padding", nullptr},        {"added_tokens", std::move(added_tokens)},
          {"normalizer", nullptr},     {"pre_tokenizer", std::move(pre_tokenizer)},
          {"post_processor", nullptr}, {"decoder", std::move(decoder)},
          {"model", std::move(model)}};
}

TokenPipeline read(const Json& json, std::string_view path) {
  try {
    return TokenPipeline::from_json(json.dump(), path);
  } catch (const Json::exception&) {
    throw DataError(path, 0, "a token is not UTF-8");
  }
}

}  // namespace

TokenPipeline sentence_piece_pipeline(const SentencePieceParts& parts, std::string_view path) {
  const Json model = {{"type", "SentencePiece"},
                      {"model", pipeline::to_base64(parts.model)},
                      {"vocab", parts.ids},
                      {"unk_token", parts.unk_token},
                      {"languages", parts.languages}};
  Json decoder = {{"type", "SentencePiece"}};
  if (parts.own_spaces) {
    decoder = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}};
  }
  return read(whole(model, added(parts.special), nullptr, decoder), path);
}

std::optional<SentencePieceParts> sentence_piece_parts(const TokenPipeline& pipeline) {
  const Json json = Json::parse(pipeline.json(), nullptr, false);
  if (!json.is_object() || json["model"].value("type", "") != "SentencePiece") return {};
  const Json& model = json["model"];
  SentencePieceParts parts{.model = pipeline::from_base64(model["model"].get<std::string>()),
                           .ids = model["vocab"].get<std::map<std::string, std::int32_t>>(),
                           .unk_token = model.value("unk_token", "<unk>"),
                           .languages = model.value("languages", false),
                           .own_spaces = json["decoder"].value("type", "") == "Metaspace"};
  for (const Json& token : json["added_tokens"]) {
    parts.special[token["content"].get<std::string>()] = token["id"].get<std::int32_t>();
  }
  return parts;
}

TokenPipeline token_list_pipeline(const std::vector<std::string>& tokens,
                                  const std::string& unk_token, std::string_view path) {
  Json ids = Json::object();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!ids.emplace(tokens[i], i).second) {
      throw DataError(path, static_cast<std::int64_t>(i) + 1, "a token that is there before");
    }
  }
  const Json model = {{"type", "WordLevel"}, {"vocab", ids}, {"unk_token", unk_token}};
  return read(whole(model, Json::array(), {{"type", "WhitespaceSplit"}}, nullptr), path);
}

}  // namespace qkv
