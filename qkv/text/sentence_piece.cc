#include "qkv/text/sentence_piece.h"

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/base64.h"
#include "qkv/text/pipeline/write_parts.h"

namespace qkv {
namespace {

using Json = nlohmann::json;

Json added(const std::map<std::string, std::int32_t>& tokens) {
  Json list = Json::array();
  for (const auto& [token, id] : tokens) {
    list.push_back(pipeline::added_json({.id = id, .content = token, .special = true}));
  }
  return list;
}

/// A text, and behind it the end.
Json ended(const std::string& end, const std::map<std::string, std::int32_t>& ids) {
  const auto found = ids.find(end);
  if (found == ids.end()) return nullptr;
  return pipeline::template_json({.single = {{"A", 0}, {end, 0}},
                                  .pair = {{"A", 0}, {"B", 0}, {end, 0}},
                                  .tokens = {{end, found->second}}});
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
  Json json = pipeline::whole_json(
      {.around = ended(parts.end_token, parts.ids), .decoder = decoder, .model = model});
  json["added_tokens"] = added(parts.special);
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
  return read(
      pipeline::whole_json({.pre_tokeniser = {{"type", "WhitespaceSplit"}}, .model = model}), path);
}

}  // namespace qkv
