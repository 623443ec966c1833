#include "qkv/systems/weights_file.h"

#include <fmt/core.h>

#include "qkv/base/error.h"

namespace qkv {

void save_weights(const std::vector<NamedTensor>& tensors, const std::filesystem::path& folder) {
  save_safetensors(folder / kWeightsFile, tensors, {{"format", "qkv"}, {"layout", "in,out"}});
}

void know(const ModelDirectory& directory, const SafetensorsFile& file) {
  file.verify_header();
  if (!directory.has_manifest()) return;
  // A better message than that of the checksum: qkv writes its models in f32.
  for (const std::string& name : file.names()) {
    if (file.dtype(name) == "F32") continue;
    throw DataError(
        directory.file(kWeightsFile).string(), 0,
        fmt::format("tensor '{}' is {}, but the model was saved in F32; the file is not "
                    "the one of the manifest in {}",
                    name, file.dtype(name), directory.config_path()));
  }
  directory.know(kWeightsFile, file.bytes(), file.checksum());
}

WeightsFile::WeightsFile(const ModelDirectory& directory)
    : directory_(directory),
      path_(directory.file(kWeightsFile).string()),
      config_path_(directory.config_path()),
      file_(path_) {
  file_.verify();
  file_.check_finite();
  for (const std::string& name : file_.names()) numbers_ += file_.shape(name).count();
}

Tensor WeightsFile::take(const std::string& name) {
  if (!file_.contains(name)) throw DataError(path_, 0, fmt::format("has no tensor '{}'", name));
  ++taken_;
  return file_.float_tensor(name);
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
  if (taken_ != tensors()) {
    throw DataError(path_, 0, fmt::format("holds {} tensors, the model has {}", tensors(), taken_));
  }
  know(directory_, file_);
}

}  // namespace qkv
