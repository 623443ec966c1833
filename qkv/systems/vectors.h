// Word vectors as a user holds them: neighbours by cosine, and sums and differences of words.
//
// After load() nothing is written: any number of threads may ask one of them at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/systems/system.h"

namespace qkv {

struct VectorModel;  // vector_model.h: what training makes

struct Neighbour {
  std::string word;
  double cosine = 0;
};

class WordVectors {
 public:
  /// Throws FileError or DataError when the directory holds no word vectors, or is damaged.
  static WordVectors load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit WordVectors(VectorModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  std::int64_t width() const;
  /// The word's numbers; nothing for a word without a vector.
  std::optional<std::vector<float>> vector(std::string_view word) const;
  /// The words nearest to a word, or to a sum and difference of some: {"king", "-", "man", "+",
  /// "woman"}, each counted with length 1; those asked about are left out. Throws Error that names
  /// the word without a vector, or when nothing is left to look for.
  std::vector<Neighbour> similar(std::span<const std::string> words, std::int64_t count = 10) const;
  Info info() const;
  const VectorModel& model() const { return *model_; }

 private:
  std::shared_ptr<const VectorModel> model_;
  LoadOptions options_;
};

}  // namespace qkv
