// The models of tests/golden/hf (tools/golden_hf.py says what is in them).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "qkv/io/safetensors.h"

namespace qkv::testing {

/// tests/golden/hf, or in its place what QKV_GOLDEN_HF names: the same models of another release of
/// transformers.
inline std::filesystem::path golden_folder(const std::string& model) {
  const char* other = std::getenv("QKV_GOLDEN_HF");
  const std::filesystem::path here(QKV_SOURCE_DIR);
  return (other != nullptr ? other : here / "tests/golden/hf") / model;
}

/// A file of a golden model: golden.safetensors, or the weights.
class Golden {
 public:
  explicit Golden(const std::string& model, const char* file = "golden.safetensors")
      : file_(golden_folder(model) / file) {}

  bool has(const std::string& name) const { return file_.contains(name); }
  Tensor operator[](const std::string& name) const { return file_.tensor_copy(name); }
  /// [out in], as torch keeps the matrices of linear maps, as [in out].
  Tensor matrix(const std::string& name) const {
    const Tensor from = file_.tensor_copy(name);
    const std::int64_t rows = from.dim(0), cols = from.dim(1);
    Tensor to = Tensor::empty({cols, rows});
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < cols; ++c) to.data()[c * rows + r] = from.data()[r * cols + c];
    }
    return to;
  }
  std::vector<std::int32_t> ids(const std::string& name) const {
    std::vector<std::int32_t> ids;
    const Tensor numbers = file_.tensor_copy(name);
    for (const float x : numbers.values()) ids.push_back(static_cast<std::int32_t>(x));
    return ids;
  }
  double number(const std::string& name) const {
    return static_cast<double>(file_.tensor_copy(name).values()[0]);
  }

 private:
  SafetensorsFile file_;
};

}  // namespace qkv::testing
