#include "qkv/systems/import/decoder_files.h"

#include <optional>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

constexpr const char* kGeneration = "generation_config.json";

/// What one of the two files says.
struct Ids {
  std::optional<std::int32_t> bos, pad;
  std::optional<std::vector<std::int32_t>> ends;
};

std::int32_t id_of(ForeignFields& f, const char* name, const Json& value, std::int64_t vocabulary) {
  if (!value.is_number_integer()) f.refuse(name, "is no number of a token");
  if (value < 0 || value >= vocabulary) {
    f.refuse(name, fmt::format("is {}, outside a vocabulary of {}", value.dump(), vocabulary));
  }
  return value.get<std::int32_t>();
}

Ids read_ids(ForeignFields& f, std::int64_t vocabulary) {
  Ids ids;
  const auto one = [&](const char* name) -> std::optional<std::int32_t> {
    if (!f.has(name)) return {};
    return id_of(f, name, f[name], vocabulary);
  };
  ids.bos = one("bos_token_id");
  // −1 is what some wrote where there is no such token.
  ids.pad = f["pad_token_id"] == -1 ? std::nullopt : one("pad_token_id");
  if (f.has("eos_token_id")) {
    ids.ends.emplace();
    const Json& eos = f["eos_token_id"];
    if (eos.is_array()) {
      for (const Json& id : eos) ids.ends->push_back(id_of(f, "eos_token_id", id, vocabulary));
    } else {
      ids.ends->push_back(id_of(f, "eos_token_id", eos, vocabulary));
    }
  }
  return ids;
}

/// What else the file wants of a generation: people may give it, nothing applies it unasked.
void note_settings(const Json& json, const std::string& path, std::vector<std::string>& notes) {
  std::vector<std::string> settings;
  for (const auto& [name, value] : json.items()) {
    if (name.starts_with('_') || name == "transformers_version" || name == "use_cache" ||
        name.ends_with("os_token_id") || name == "pad_token_id" || value.is_null()) {
      continue;
    }
    settings.push_back(fmt::format("{} {}", name, value.dump(-1, ' ', true)));
  }
  if (settings.empty()) return;
  notes.push_back(fmt::format("{}: its defaults are not applied, give them as options: {}", path,
                              listed(settings)));
}

TokenRoles roles_of(const TokenPipeline& pipeline, const Ids& ids) {
  TokenRoles roles = pipeline.roles();
  const auto take = [&](std::int32_t id, std::int32_t& role) {
    if (pipeline.has(id)) role = id;
  };
  if (ids.bos) take(*ids.bos, roles.bos);
  if (ids.pad) take(*ids.pad, roles.pad);
  if (ids.ends && !ids.ends->empty()) take(ids.ends->front(), roles.eos);
  return roles;
}

}  // namespace

DecoderFiles read_decoder_files(const std::filesystem::path& directory, const Json& config,
                                std::int64_t vocabulary) {
  DecoderFiles files;
  ForeignFields f(config, (directory / kConfigFile).string());
  Ids ids = read_ids(f, vocabulary);
  if (const auto path = directory / kGeneration; std::filesystem::exists(path)) {
    const Json json = read_json(path);
    ForeignFields g(json, path.string());
    const Ids over = read_ids(g, vocabulary);
    if (over.bos) ids.bos = over.bos;
    if (over.pad) ids.pad = over.pad;
    if (over.ends) ids.ends = over.ends;
    note_settings(json, path.string(), files.notes);
  }
  const TokenPipeline pipeline = read_token_pipeline(directory);
  if (pipeline.size() > vocabulary) {
    throw DataError(directory.string(), 0,
                    fmt::format("its tokeniser has {} tokens, its model {}; files of two models "
                                "mixed?",
                                pipeline.size(), vocabulary));
  }
  if (!ids.ends && pipeline.roles().eos >= 0) ids.ends = {pipeline.roles().eos};
  if (ids.ends) files.ends = *ids.ends;
  files.tokeniser = Tokeniser(pipeline.with_roles(roles_of(pipeline, ids)));
  return files;
}

}  // namespace qkv
