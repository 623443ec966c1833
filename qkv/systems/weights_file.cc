#include "qkv/systems/weights_file.h"

#include <utility>

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"

namespace qkv {

void save_weights(const std::vector<NamedTensor>& tensors, const std::filesystem::path& directory) {
  save_safetensors(directory / kWeightsFile, tensors, {{"format", "qkv"}, {"layout", "in,out"}});
}

WeightsFile::WeightsFile(const std::filesystem::path& directory, std::string config_path)
    : path_((directory / kWeightsFile).string()),
      config_path_(std::move(config_path)),
      file_(path_) {
  file_.verify();
  file_.check_finite();
  for (const std::string& name : file_.names()) numbers_ += file_.shape(name).count();
}

void WeightsFile::require(bool fits) const {
  if (fits) return;
  throw DataError(path_, 0,
                  fmt::format("holds {} numbers in {} tensors, not the model of {}", numbers_,
                              tensors(), config_path_));
}

Tensor WeightsFile::take(const std::string& name) {
  if (!file_.contains(name)) throw DataError(path_, 0, fmt::format("has no tensor '{}'", name));
  ++taken_;
  return file_.tensor(name);
}

Tensor WeightsFile::take(const std::string& name, const Shape& shape) {
  if (file_.contains(name) && file_.shape(name) != shape) {
    throw DataError(path_, 0,
                    fmt::format("tensor '{}' is {}, the model of {} expects {}", name,
                                to_string(file_.shape(name)), config_path_, to_string(shape)));
  }
  return take(name);
}

void WeightsFile::finish() const {
  if (taken_ == tensors()) return;
  throw DataError(path_, 0, fmt::format("holds {} tensors, the model has {}", tensors(), taken_));
}

}  // namespace qkv
