// A model that is a trained change of another one (nn/lora.h), as it lies in a directory:
//   config.json                  as any model's, and "adapter": what adapters stand on
//   adapter_config.json          PEFT's fields: where the base lies, rank, alpha
//   adapter_model.safetensors    the adapters, PEFT's kind of names, matrices [out, in]
// beside what else was trained (the heads of a labeller). The base is another directory that is
// only read; its checksum is kept, and a base that has changed is refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "qkv/base/random.h"
#include "qkv/io/directory.h"
#include "qkv/nn/lora.h"

namespace qkv {

constexpr const char* kAdapterFile = "adapter_model.safetensors";
constexpr const char* kAdapterConfigFile = "adapter_config.json";
constexpr const char* kAdapterField = "adapter";  // of config.json

/// What adapters stand on.
struct AdapterBase {
  std::string directory;
  std::string checksum;
  LoraOptions lora;
};

/// What becomes of adapters when a model is loaded: a part of the matrices, which makes it a model
/// as any other; or they stay apart, to be trained on.
enum class Adapters : std::uint8_t { merged, apart };

/// Which model a directory holds: of one with a manifest the checksum of its config.json, of
/// another program's that of all files a model is read from, an archive's its own.
std::string model_checksum(const std::filesystem::path& directory);

/// Adapters on the model in `base`. Throws Error when that is one of adapters itself.
AdapterBase adapter_on(const std::filesystem::path& base, const LoraOptions& options);

/// Puts fresh adapters beside the matrices of a model that was loaded from `base`.
template <class Model>
void begin_adapter(Model& model, const std::filesystem::path& base, const LoraOptions& options,
                   std::uint64_t seed) {
  AdapterBase on = adapter_on(base, options);
  add_lora(model, options, Initialiser(seed).branch(hash_name("lora")));
  model.adapter = std::move(on);
}

/// Writes the two files of adapters into a folder, and the field of config.json.
void save_adapter(const AdapterBase& base, const StateEntries& adapters,
                  const std::filesystem::path& folder, Json& config);
/// What a directory's adapters stand on, from its field `said`. The base is looked for where it
/// lay, and by its name beside the directory. Throws FileError when it is not there, DataError when
/// it has changed.
AdapterBase read_adapter(const ModelDirectory& directory, FieldReader said);

namespace detail {

/// The adapters of a directory, with finite numbers.
struct AdapterTensors {
  StateDict state;
  std::int64_t numbers = 0;
};
AdapterTensors read_adapter_tensors(const ModelDirectory& directory);
[[noreturn]] void wrong_adapter(const ModelDirectory& directory, const std::string& reason);
std::string adapter_note(const AdapterBase& base, Adapters how);

}  // namespace detail

/// Puts a directory's adapters beside the matrices of its base, or into them; `model` has notes,
/// and keeps `base` when they stay apart. Throws DataError.
template <class Model>
void take_adapter(Model& model, const AdapterBase& base, const ModelDirectory& directory,
                  Adapters how) {
  detail::AdapterTensors given = detail::read_adapter_tensors(directory);
  try {
    add_lora(model, base.lora,
             Initialiser::within(given.numbers, static_cast<std::int64_t>(given.state.size())));
    write_state(lora_entries(model), given.state);
  } catch (const Error& e) {
    detail::wrong_adapter(directory, e.what());
  }
  model.notes.push_back(detail::adapter_note(base, how));
  if (how == Adapters::merged) {
    merge_lora(model);
  } else {
    model.adapter = base;
  }
}

}  // namespace qkv
