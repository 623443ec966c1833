#include "qkv/text/pipeline/directory_files.h"

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/pipeline/write_parts.h"

namespace qkv::pipeline {

using Path = std::filesystem::path;

AddedToken named(std::string_view content, bool lstrip) {
  return {.content = std::string(content), .special = true, .lstrip = lstrip};
}

PieceIds read_vocabulary_file(const Path& path) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(read_file(path));
  } catch (const nlohmann::json::exception&) {
    throw DataError(path.string(), 0, "truncated, or no JSON");
  }
  const std::string name = path.string();
  const JsonPart part(json, name, "");
  if (!json.is_object()) part.refuse("is no object of pieces and numbers");
  PieceIds ids;
  for (const auto& entry : json.items()) {
    ids.emplace(entry.key(), JsonPart(entry.value(), name, "'" + entry.key() + "'").id());
  }
  return ids;
}

std::int32_t required(const PieceIds& ids, const std::string& token, const Path& path) {
  const auto found = ids.find(token);
  if (found == ids.end()) {
    throw DataError(path.string(), 0, fmt::format("has no token '{}'", token));
  }
  return found->second;
}

Parts finish(nlohmann::json json, const PieceIds& ids, const Notes& notes, const Defaults& defaults,
             const Path& path) {
  for (const AddedToken& token : notes.added(defaults, ids)) {
    json["added_tokens"].push_back(added_json(token));
  }
  Parts parts = read_whole(json, path.string());
  notes.set_roles(defaults, parts);
  return parts;
}

void refuse_settings(const Notes& notes) {
  if (const auto settings = notes.setting("sp_model_kwargs");
      settings && !settings->json().empty()) {
    settings->refuse("settings of SentencePiece are not supported");
  }
}

}  // namespace qkv::pipeline
