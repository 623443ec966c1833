// sentence-transformers' modules behind pooling: Dense and Normalize.
#include "qkv/base/error.h"
#include "qkv/io/weight_files.h"
#include "qkv/systems/import/bert_files.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// Release 6 says what a module reads and writes.
void read_ends(ForeignFields& f, SentenceSettings& s) {
  for (const char* name : {"module_input_name", "module_output_name"}) {
    const auto said = f.text(name);
    if (!said || *said == "sentence_embedding") continue;
    s.refuse(f.file(), fmt::format("field '{}' is '{}', not 'sentence_embedding'", name, *said));
  }
}

std::int64_t features(ForeignFields& f, const char* name) {
  const auto count = f.number(name);
  if (!count || !(*count >= 1 && *count < 1e9)) f.refuse(name, "is no number of features");
  return static_cast<std::int64_t>(*count);
}

/// What config.json says of the shapes must be what the file has.
void compare(ForeignFields& f, const SentenceDense& dense, const std::string& weights) {
  const std::int64_t in = features(f, "in_features"), out = features(f, "out_features");
  if (dense.in() != in || dense.out() != out) {
    throw DataError(weights, 0,
                    fmt::format("tensor 'linear.weight' is [{} {}], but {} says out_features {}, "
                                "in_features {}",
                                dense.out(), dense.in(), f.file(), out, in));
  }
  const bool bias = f.boolean("bias").value_or(true);
  if (bias != dense.linear.bias.defined()) {
    throw DataError(weights, 0,
                    fmt::format("{} tensor 'linear.bias', but {} says bias {}",
                                bias ? "has no" : "has a", f.file(), bias));
  }
}

}  // namespace

void read_dense(const fs::path& folder, SentenceSettings& s, std::vector<std::string>& notes) {
  const fs::path path = folder / "config.json";
  if (!is_file(path)) {
    throw DataError(path.string(), 0, "is missing, but modules.json names its folder");
  }
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  const WeightFiles files(folder);
  notes.insert(notes.end(), files.notes().begin(), files.notes().end());
  StateDict state;
  for (const std::string& name : files.names()) {
    state.emplace_back(name, files.file_of(name).float_tensor(name));
  }
  try {
    std::optional<SentenceDense> dense = blank_dense(state, "");
    if (!dense) fail("has no tensor 'linear.weight'");
    dense->adds_residual = f.boolean("use_residual").value_or(false);
    compare(f, *dense, files.path());
    take_state(*dense, dense_entries(*dense), state);
    const std::string name =
        f.text("activation_function")
            .value_or(std::string(torch_activation(Activation::tanh)));  // the default there
    const auto activation = torch_activation(name);
    if (!activation) s.refuse(f.file(), fmt::format("activation '{}' is not supported", name));
    dense->activation = activation.value_or(Activation::none);
    // A Normalize that stood last so far is one before this module.
    dense->length_one = std::exchange(s.normalise, false);
    s.dense.push_back(std::move(*dense));
  } catch (const DataError&) {
    throw;
  } catch (const Error& e) {
    throw DataError(files.path(), 0, e.what());
  }
  read_ends(f, s);
  f.note_unknown(notes);
}

void read_normalize(const fs::path& folder, SentenceSettings& s, std::vector<std::string>& notes) {
  s.normalise = true;
  const fs::path path = folder / "config.json";  // as from release 6 on
  if (!is_file(path)) return;
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  read_ends(f, s);
  f.note_unknown(notes);
}

}  // namespace qkv
