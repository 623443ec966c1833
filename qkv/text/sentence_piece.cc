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

/// A text, and behind it the end.
Json ended(const std::string& end, const std::map<std::string, std::int32_t>& ids) {
  const auto found = ids.find(end);
  if (found == ids.end()) return nullptr;
  const auto text = [](const char* which) {
    return Json{{"Sequence", {{"id", which}, {"type_id", 0}}}};
  };
  const Json last = {{"SpecialToken", {{"id", end}, {"type_id", 0}}}};
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({text("A"), last})},
          {"pair", Json::array({text("A"), text("B"), last})},
          {"special_tokens", {{end, {{"id", end}, {"ids", {found->second}}, {"tokens", {end}}}}}}};
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

Json sentence_piece_json(const SentencePieceParts& parts) {
  const Json model = {{"type", "SentencePiece"},
                      {"model", pipeline::to_base64(parts.model)},
                      {"vocab", parts.ids},
                      {"unk_token", parts.unk_token},
                      {"languages", parts.languages}};
  Json decoder = {{"type", "SentencePiece"}};
  if (parts.own_spaces) {
    decoder = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}};
  }
  Json json = whole(model, added(parts.special), nullptr, decoder);
  json["post_processor"] = ended(parts.end_token, parts.ids);
  return json;
}

TokenPipeline sentence_piece_pipeline(const SentencePieceParts& parts, std::string_view path) {
  return read(sentence_piece_json(parts), path);
}

TokenPipeline without_token(const TokenPipeline& pipeline, std::int32_t id, std::string_view path) {
  Json json = Json::parse(pipeline.json());
  Json ids = Json::object(), added_tokens = Json::array();
  for (const auto& [piece, number] : json["model"]["vocab"].items()) {
    if (number != id) ids[piece] = number;
  }
  for (const Json& token : json["added_tokens"]) {
    if (token["id"] != id) added_tokens.push_back(token);
  }
  json["model"]["vocab"] = std::move(ids);
  json["added_tokens"] = std::move(added_tokens);
  return read(json, path);
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
