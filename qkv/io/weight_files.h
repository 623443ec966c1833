// The weights in a directory as Hugging Face lays them out: model.safetensors, or shards and
//   model.safetensors.index.json   {"metadata": {"total_size": bytes},
//                                   "weight_map": {"tensor": "model-00001-of-00003.safetensors",
//                                   …}}
// Other forms of weights are refused by name, with the way out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/io/safetensors.h"

namespace qkv {

constexpr const char* kWeightsIndexFile = "model.safetensors.index.json";

/// What an index says, checked in itself: every file is a plain name in the same directory.
struct WeightsIndex {
  std::map<std::string, std::set<std::string>> shards;  // file: its tensors; none is empty
  std::optional<std::uint64_t> total_size;              // bytes of all numbers; advice only

  /// Throws DataError with `name` for what is no index, and for a file whose name leads elsewhere.
  static WeightsIndex parse(std::string_view text, const std::string& name);
};

/// All weights of a directory, from one file or many. Copies share the maps.
class WeightFiles {
 public:
  /// Opens model.safetensors or, when there is none, what its index names; checksums and finite
  /// numbers are checked. Every tensor must be in just the file that the index says. FileError when
  /// there is nothing (naming what cannot be read, see refuse_foreign_weights()) or a shard is
  /// missing, DataError for damage.
  explicit WeightFiles(const std::filesystem::path& directory);

  /// The file or the index, for messages.
  const std::string& path() const { return path_; }
  bool sharded() const { return path_.ends_with(kWeightsIndexFile); }
  const std::vector<SafetensorsFile>& files() const { return files_; }

  /// File by file; what a shard holds beside the index is left out.
  const std::vector<std::string>& names() const { return names_; }
  bool contains(std::string_view name) const { return of_.contains(name); }
  /// The file that holds a tensor; its shape(), float_tensor(), … Throws DataError when none does.
  const SafetensorsFile& file_of(std::string_view name) const;

  /// For people: tensors that no index names, a size that differs, and which types become f32.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void open_shards(const std::filesystem::path& directory, const WeightsIndex& index);
  void add(SafetensorsFile file, const std::set<std::string>* listed);
  void note_types();

  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::vector<std::string> names_, notes_;
  std::map<std::string, std::size_t, std::less<>> of_;  // tensor: index of its file
};

/// Why a file of weights of another kind is not read, and what to do: "is a pickle, …". By its
/// name: .bin, .pt, .pth, .ckpt, .h5, .msgpack, .onnx, .gguf and their relatives; nothing for all
/// others.
std::optional<std::string> why_refused(const std::filesystem::path& file);
/// Throws FileError naming the first such file of a directory, in the order of that list; returns
/// when there is none. For directories without model.safetensors.
void refuse_foreign_weights(const std::filesystem::path& directory);

}  // namespace qkv
