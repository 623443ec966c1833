#include "qkv/train/run_record.h"

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"

namespace qkv {
namespace {

std::map<std::string, std::string> texts_of(const Json& json, const char* name,
                                            const std::string& path) {
  std::map<std::string, std::string> texts;
  if (!json.contains(name) || !json[name].is_object()) {
    throw DataError(path, 0, fmt::format("field '{}': expected an object", name));
  }
  for (const auto& [key, value] : json[name].items()) {
    if (!value.is_string()) {
      throw DataError(path, 0, fmt::format("field '{}.{}': expected a text", name, key));
    }
    texts[key] = value.get<std::string>();
  }
  return texts;
}

}  // namespace

RunRecord RunRecord::load(const std::filesystem::path& state_folder) {
  const std::filesystem::path path = state_folder / kRunFile;
  RunRecord record;
  if (!std::filesystem::exists(path)) return record;
  const Json json = read_json(path);
  if (!json.is_object()) throw DataError(path.string(), 0, "expected an object");
  record.options = texts_of(json, "options", path.string());
  record.data = texts_of(json, "data", path.string());
  return record;
}

void RunRecord::save(const std::filesystem::path& folder) const {
  write_json(folder / kRunFile, {{"options", options}, {"data", data}});
}

std::string fingerprint(std::span<const std::string> lines) {
  std::uint64_t sum = 0;
  for (const std::string& line : lines) sum = key_of(sum, checksum(line));
  return fmt::format("{} lines, {:016x}", lines.size(), sum);
}

std::string fingerprint(std::span<const std::vector<std::string>> texts) {
  std::uint64_t sum = 0;
  for (const auto& text : texts) {
    for (const std::string& line : text) sum = key_of(sum, checksum(line));
    sum = key_of(sum, text.size());
  }
  return fmt::format("{} texts, {:016x}", texts.size(), sum);
}

void require_same_data(const RunRecord& begun, const RunRecord& now,
                       const std::filesystem::path& directory) {
  for (const auto& [flag, was] : begun.data) {
    const auto found = now.data.find(flag);
    if (found == now.data.end() || found->second == was) continue;
    fail("--{}: {}, but the run in {} was begun with {}; resume with the same files", flag,
         found->second, directory.string(), was);
  }
}

}  // namespace qkv
