#include "qkv/systems/import/decoder_files.h"

#include <algorithm>
#include <cmath>
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

std::int64_t whole(ForeignFields& f, const char* name, std::int64_t fallback) {
  const auto value = f.number(name);
  if (!value) return fallback;
  if (*value < 0 || *value > 1e9 || std::floor(*value) != *value) {
    f.refuse(name, "expected a whole number from 0");
  }
  return static_cast<std::int64_t>(*value);
}

double positive_number(ForeignFields& f, const char* name, double most) {
  const double value = f.number(name).value_or(1.0);
  if (!(value > 0 && value <= most)) f.refuse(name, "makes no sense");
  return value;
}

/// How the file wants texts written. As there, what is for draws counts only where it draws; where
/// it does not say, qkv draws.
GeneratorOptions read_wishes(ForeignFields& f, std::vector<std::string>& unused) {
  GeneratorOptions o;
  const auto pass_over = [&](const char* name) {
    unused.push_back(fmt::format("{} {}", name, f[name].dump(-1, ' ', true)));
  };
  const bool said = f.has("do_sample"), draws = f.boolean("do_sample").value_or(true);
  const std::int64_t beams = whole(f, "num_beams", 1);
  if (beams > 1 && !(said && draws) && beams <= 1024) o.beam = static_cast<int>(beams);
  if (beams > 1 && o.beam == 0) pass_over("num_beams");
  const double temperature = positive_number(f, "temperature", 1e9);
  const std::int64_t top_k = whole(f, "top_k", said && draws ? 50 : 0);  // 50: there the default
  const double top_p = positive_number(f, "top_p", 1.0);
  const double repetition = positive_number(f, "repetition_penalty", 1e9);
  const double length_penalty = f.number("length_penalty").value_or(1.0);
  if (o.beam > 0) {
    o.length_penalty = length_penalty;
    if (repetition != 1.0) pass_over("repetition_penalty");
  } else {
    o.repetition_penalty = repetition;
    o.temperature = draws ? temperature : 0.0;
    if (draws) o.top_k = top_k, o.top_p = top_p;
  }
  o.no_repeat_ngram_size = whole(f, "no_repeat_ngram_size", 0);
  o.tokens = whole(f, "max_new_tokens", o.tokens);
  return o;
}

/// The rest of the file is named, unless it says what is done anyway.
void name_rest(const Json& json, const std::string& path, std::vector<std::string>& unused,
               std::vector<std::string>& notes) {
  static constexpr std::string_view kKnown[] = {"do_sample",      "num_beams",
                                                "temperature",    "top_k",
                                                "top_p",          "repetition_penalty",
                                                "length_penalty", "no_repeat_ngram_size",
                                                "max_new_tokens", "transformers_version",
                                                "use_cache",      "pad_token_id",
                                                "bos_token_id",   "eos_token_id"};
  const Json plain = {{"early_stopping", false},
                      {"min_length", 0},
                      {"num_return_sequences", 1},
                      {"output_attentions", false},
                      {"output_hidden_states", false}};
  for (const auto& [name, value] : json.items()) {
    const bool known = name.starts_with('_') || std::ranges::count(kKnown, name) > 0;
    if (known || value.is_null() || (plain.contains(name) && plain[name] == value)) continue;
    unused.push_back(fmt::format("{} {}", name, value.dump(-1, ' ', true)));
  }
  if (unused.empty()) return;
  notes.push_back(fmt::format("{}: does not count here: {}", path, listed(unused)));
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
    std::vector<std::string> unused;
    files.defaults = read_wishes(g, unused);
    name_rest(json, path.string(), unused, files.notes);
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
