// How a tokeniser is saved and loaded.
#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/tokeniser.h"

namespace qkv {
namespace {

using Kind = TokeniserOptions::Kind;
using Table = std::shared_ptr<const Vocabulary>;

constexpr std::uint64_t kVersion = 1;
constexpr std::array<std::string_view, 8> kFields = {"format", "version", "kind",  "nfkc",
                                                     "lower",  "bytes",   "crc32", "roles"};
constexpr std::string_view kFormat = "qkv tokeniser";

std::uint32_t checksum(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::filesystem::path description_path(const std::filesystem::path& directory,
                                       std::string_view stem) {
  return directory / fmt::format("{}.tokeniser.json", stem);
}

std::filesystem::path payload_path(const std::filesystem::path& directory, std::string_view stem,
                                   Kind kind) {
  const std::string_view end = kind == Kind::pipeline ? "tokenizer.json"
                               : is_subword(kind)     ? "model"
                                                      : "vocab";
  return directory / fmt::format("{}.{}", stem, end);
}

struct Description {
  Kind kind = Kind::word;
  Normalisation normalise;
  std::uint64_t bytes = 0;
  std::uint64_t crc32 = 0;
  TokenRoles roles = {};
};

/// A field of the description, or the reason why it is none, as an Error.
const nlohmann::json& field_of(const nlohmann::json& json, const char* name,
                               bool (nlohmann::json::*is)() const noexcept, const char* what) {
  const auto found = json.find(name);
  if (found == json.end()) fail("has no {}; is it truncated?", name);
  if (!((*found).*is)()) {
    const std::string text = found->is_primitive() ? found->dump(-1, ' ', true) : "a structure";
    fail("{} is {}, not {}", name, text.substr(0, 40), what);
  }
  return *found;
}

nlohmann::ordered_json json_of(const TokenRoles& roles) {
  nlohmann::ordered_json json;
  TokenRoles::each(roles, [&json](const char* name, std::int32_t id) { json[name] = id; });
  return json;
}

TokenRoles roles_of(const nlohmann::json& description) {
  TokenRoles roles;
  const auto json = description.find("roles");
  if (json == description.end()) return roles;
  TokenRoles::each(roles, [&json](const char* name, std::int32_t& id) {
    const auto number = field_of(*json, name, &nlohmann::json::is_number_integer, "a whole number")
                            .get<std::int64_t>();
    if (number < -1 || number > INT32_MAX)
      fail("{} is {}, not the number of a token", name, number);
    id = static_cast<std::int32_t>(number);
  });
  return roles;
}

// What a description says; anything unexpected throws nlohmann's exceptions or Error.
Description parse(const std::string& text) {
  using Json = nlohmann::json;
  const Json json = Json::parse(text);
  if (!json.is_object()) fail("not the description of a tokeniser");
  const auto whole = [&json](const char* name) {
    return field_of(json, name, &Json::is_number_unsigned, "a whole number").get<std::uint64_t>();
  };
  const auto text_of = [&json](const char* name) {
    return field_of(json, name, &Json::is_string, "a text").get<std::string>();
  };
  const auto flag = [&json](const char* name) {
    return field_of(json, name, &Json::is_boolean, "true or false").get<bool>();
  };
  if (text_of("format") != kFormat) fail("not a qkv tokeniser");
  if (const std::uint64_t version = whole("version"); version != kVersion) {
    fail("version {} of the tokeniser, this program reads version {}", version, kVersion);
  }
  for (const auto& entry : json.items()) {
    if (std::ranges::find(kFields, entry.key()) == kFields.end()) {
      fail("has a field '{}' that this program does not know", entry.key().substr(0, 40));
    }
  }
  const Kind kind = kind_of(text_of("kind"));
  if (json.contains("roles") != (kind == Kind::pipeline)) {
    fail("roles of tokens belong to a pipeline, and to nothing else");
  }
  return {kind, {flag("nfkc"), flag("lower")}, whole("bytes"), whole("crc32"), roles_of(json)};
}

}  // namespace

std::string Tokeniser::payload() const {
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->model();
  if (const auto* table = std::get_if<Table>(&table_)) return (*table)->to_text();
  return std::get<TokenPipeline>(table_).json();
}

void Tokeniser::save(const std::filesystem::path& directory, std::string_view stem) const {
  const std::string payload = this->payload();
  nlohmann::ordered_json json = {{"format", kFormat},         {"version", kVersion},
                                 {"kind", name_of(kind_)},    {"nfkc", normalise_.nfkc},
                                 {"lower", normalise_.lower}, {"bytes", payload.size()},
                                 {"crc32", checksum(payload)}};
  if (const TokenPipeline* p = pipeline()) json["roles"] = json_of(p->roles());
  write_file(payload_path(directory, stem, kind_), payload);
  write_file(description_path(directory, stem), json.dump(2) + "\n");
}

Tokeniser Tokeniser::load(const std::filesystem::path& directory, std::string_view stem) {
  const std::filesystem::path path = description_path(directory, stem);
  const std::string text = read_file(path);
  Description description;
  try {
    description = parse(text);
  } catch (const nlohmann::json::exception&) {
    throw DataError(path.string(), 0, "truncated or not the description of a tokeniser");
  } catch (const Error& error) {
    throw DataError(path.string(), 0, error.what());
  }
  const std::filesystem::path payload = payload_path(directory, stem, description.kind);
  std::string bytes = read_file(payload);
  if (bytes.size() != description.bytes || checksum(bytes) != description.crc32) {
    throw DataError(payload.string(), 0,
                    fmt::format("truncated, or not the file that {} belongs to; copy both again",
                                path.filename().string()));
  }
  Tokeniser tokeniser;
  tokeniser.kind_ = description.kind;
  tokeniser.normalise_ = description.normalise;
  if (description.kind == Kind::pipeline) {
    const TokenPipeline pipeline = TokenPipeline::from_json(bytes, payload.string());
    try {
      tokeniser.table_ = pipeline.with_roles(description.roles);
    } catch (const Error& error) {
      throw DataError(path.string(), 0, error.what());
    }
  } else if (is_subword(description.kind)) {
    const Subword model = Subword::from_model(std::move(bytes), payload.string());
    for (const auto& [name, id] :
         {std::pair{"<pad>", model.pad()}, std::pair{"<unk>", model.unk()},
          std::pair{"<bos>", model.bos()}, std::pair{"<eos>", model.eos()}}) {
      if (id >= 0) continue;
      throw DataError(
          payload.string(), 0,
          fmt::format("has no {}, without which no model can work; train it again", name));
    }
    tokeniser.table_ = model;
  } else {
    tokeniser.table_ =
        std::make_shared<const Vocabulary>(Vocabulary::from_text(bytes, payload.string()));
  }
  return tokeniser;
}

}  // namespace qkv
