#include "qkv/systems/adapter.h"

#include <algorithm>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/random.h"
#include "qkv/io/safetensors.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBaseField = "base_model_name_or_path";
constexpr const char* kChecksumField = "base_checksum";

/// Whether a model may be read from a file of this name.
bool is_of_a_model(const fs::path& file) {
  const std::string name = file.filename().string(), end = file.extension().string();
  if (name.starts_with('.')) return false;
  if (end == ".bin") return name == "model.bin";  // CTranslate2's; pickles are not read
  const std::initializer_list<std::string_view> ends = {
      ".json", ".safetensors", ".txt", ".model", ".spm", ".vocab", ".npz", ".yml", ".yaml"};
  return std::ranges::find(ends, end) != ends.end();
}

/// The files of a model: in its directory, and in folders there (Argos, sentence-transformers).
std::set<fs::path> files_of_model(const fs::path& directory) {
  std::set<fs::path> files;
  fs::recursive_directory_iterator entry(directory), end;
  for (; entry != end; ++entry) {
    const fs::path& path = entry->path();
    const bool hidden = path.filename().string().starts_with('.');
    if (entry->is_directory() && (entry.depth() > 0 || hidden)) entry.disable_recursion_pending();
    if (entry->is_regular_file() && is_of_a_model(path)) files.insert(path);
  }
  return files;
}

/// Where the base may lie: where it lay, or beside the model or the run that the directory is of.
std::vector<fs::path> places_of(const fs::path& base, const fs::path& directory) {
  std::error_code code;
  const fs::path own = fs::weakly_canonical(directory, code);
  std::vector<fs::path> places = {base, own.parent_path() / base.filename()};
  if (own.filename() == kStateFolder) {
    places.push_back(own.parent_path().parent_path() / base.filename());
  }
  return places;
}

}  // namespace

std::string model_checksum(const fs::path& directory) {
  std::error_code code;
  if (!fs::is_directory(directory, code)) return fmt::format("{:08x}", file_checksum(directory));
  if (fs::exists(directory / kConfigFile, code) && ModelDirectory(directory).has_manifest()) {
    return fmt::format("{:08x}", file_checksum(directory / kConfigFile));
  }
  std::uint64_t sum = 0;
  for (const fs::path& file : files_of_model(directory)) {
    sum = key_of(sum, checksum(file.lexically_relative(directory).string()), file_checksum(file));
  }
  return fmt::format("{:016x}", sum);
}

AdapterBase adapter_on(const fs::path& base, const LoraOptions& options) {
  std::error_code code;
  const fs::path config = base / kConfigFile;
  if (fs::exists(config, code)) {
    if (const Json json = read_json(config); json.is_object() && json.contains(kAdapterField)) {
      fail("{}: is a model of adapters itself; make it a whole one with qkv import first",
           base.string());
    }
  }
  fs::path whole = fs::canonical(base);
  return {whole.string(), model_checksum(whole), options};
}

void save_adapter(const AdapterBase& base, const StateEntries& adapters, const fs::path& folder,
                  Json& config) {
  std::vector<NamedTensor> tensors;
  std::set<std::string> modules;
  for (auto& [name, tensor] : read_state(adapters)) {
    const std::string path = name.substr(0, name.find(".lora_"));
    modules.insert(path.substr(path.rfind('.') + 1));
    tensors.push_back({name, std::move(tensor)});
  }
  save_safetensors(folder / kAdapterFile, tensors, {{"format", "pt"}});
  const LoraOptions& o = base.lora;
  write_json(folder / kAdapterConfigFile, {{"peft_type", "LORA"},
                                           {kBaseField, base.directory},
                                           {"r", o.rank},
                                           {"lora_alpha", o.scale() * double(o.rank)},
                                           {"lora_dropout", o.dropout},
                                           {"target_modules", modules},
                                           {"bias", "none"},
                                           {"inference_mode", true}});
  config[kAdapterField] = {{kChecksumField, base.checksum}, {"targets", name_of(o.targets)}};
}

AdapterBase read_adapter(const ModelDirectory& directory, FieldReader said) {
  AdapterBase base;
  base.checksum = said.text(kChecksumField);
  base.lora.targets = static_cast<LoraTargets>(said.choice("targets", names_of<LoraTargets>()));
  said.finish();
  const std::string path = directory.file(kAdapterConfigFile).string();
  const Json json = read_json(path);
  FieldReader reader(json, path);
  if (reader.text("peft_type") != "LORA") reader.wrong("peft_type", "\"LORA\"");
  const fs::path lay = reader.text(kBaseField);
  base.lora.rank = reader.integer("r", {.least = 1, .most = 4096});
  base.lora.alpha = reader.number("lora_alpha", {1e-6, 1e6});
  base.lora.dropout = reader.number("lora_dropout", {0, 0.999});
  if (reader.text("bias") != "none") reader.wrong("bias", "\"none\"");
  for (const char* known : {"target_modules", "inference_mode"}) (void)reader.has(known);
  reader.finish();
  std::string changed;
  for (const fs::path& place : places_of(lay, directory.path())) {
    if (std::error_code code; !fs::exists(place, code)) continue;
    if (model_checksum(place) == base.checksum) {
      base.directory = fs::canonical(place).string();
      return base;
    }
    if (changed.empty()) changed = place.string();
  }
  if (!changed.empty()) {
    throw DataError(changed, 0,
                    fmt::format("is not the model any more that {} was trained on (its checksum is "
                                "not {}); put that one there, or train again",
                                directory.path().string(), base.checksum));
  }
  fail<FileError>(
      "{}: is not there, but {} is a change of the model that lay there; put it there or "
      "beside it",
      lay.string(), directory.path().string());
}

namespace detail {

AdapterTensors read_adapter_tensors(const ModelDirectory& directory) {
  const SafetensorsFile file(directory.file(kAdapterFile));
  file.verify();
  file.check_finite();
  file.verify_header();
  directory.know(kAdapterFile, file.bytes(), file.checksum());
  AdapterTensors given;
  for (const std::string& name : file.names()) {
    given.state.emplace_back(name, file.float_tensor(name));
    given.numbers += file.shape(name).count();
  }
  return given;
}

void wrong_adapter(const ModelDirectory& directory, const std::string& reason) {
  throw DataError(directory.file(kAdapterFile).string(), 0, reason);
}

std::string adapter_note(const AdapterBase& base, Adapters how) {
  return fmt::format("adapters of rank {} {} {}", base.lora.rank,
                     how == Adapters::merged ? "merged into" : "beside", base.directory);
}

}  // namespace detail
}  // namespace qkv
