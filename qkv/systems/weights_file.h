// The weights of a model directory: written from a module's parameters, and read back into a blank
// one with every name, type, shape and number checked. For the files that save and load models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/nn/buffers.h"
#include "qkv/nn/module.h"

namespace qkv {

/// All parameters under the names that for_each_parameter gives them.
template <class M>
std::vector<NamedTensor> named_parameters(const M& module) {
  std::vector<NamedTensor> tensors;
  for_each_parameter(module, [&](std::string_view path, const Tensor& p) {
    tensors.push_back({std::string(path), p});
  });
  return tensors;
}
/// The same with the module's buffers behind them.
template <class M>
std::vector<NamedTensor> named_saved(const M& module) {
  std::vector<NamedTensor> tensors = named_parameters(module);
  for_each_buffer(module, [&](std::string_view path, const Tensor& value) {
    tensors.push_back({std::string(path), value});
  });
  return tensors;
}
void save_weights(const std::vector<NamedTensor>& tensors, const std::filesystem::path& folder);

/// Verifies the header of a model's weights, whose numbers are verified already, and tells the
/// directory their checksum.
void know(const ModelDirectory& directory, const SafetensorsFile& weights);

/// Network::make(init, what…), blank, and taking no more numbers and tensors than `path` holds;
/// throws DataError where the configuration asks for more, or for what makes no model.
template <class Network, class... What>
Network network_within(const ModelDirectory& directory, const std::string& path,
                       std::int64_t numbers, std::int64_t tensors, const What&... what) {
  try {
    return Network::make(Initialiser::within(numbers, tensors), what...);
  } catch (const TooLarge&) {
    throw DataError(path, 0,
                    fmt::format("holds {} numbers in {} tensors, not the model of {}", numbers,
                                tensors, directory.config_path()));
  } catch (const Error& e) {
    throw DataError(directory.config_path(), 0, e.what());
  }
}

/// Takes each tensor of a file once; whatever does not fit throws DataError with the file's name.
class WeightsFile {
 public:
  /// Verifies the file and that all its numbers are finite.
  explicit WeightsFile(const ModelDirectory& directory);

  std::int64_t numbers() const { return numbers_; }
  std::int64_t tensors() const { return static_cast<std::int64_t>(file_.names().size()); }
  /// Network::make(init, config), blank, of no more than the file holds. Throws DataError.
  template <class Network>
  Network network(const typename Network::Config& config) const {
    return network_within<Network>(directory_, path_, numbers(), tensors(), config);
  }

  bool contains(const std::string& name) const { return file_.contains(name); }
  /// f32, whatever floating type the file has.
  Tensor take(const std::string& name);
  /// Takes every parameter of a module that has its shapes, or every one that is `wanted`.
  template <class M, class Wanted>
  void take_all(M& module, Wanted&& wanted) {
    for_each_parameter(module, [&](std::string_view name, Tensor& p) {
      if (wanted(name)) p = parameter(take(std::string(name), p.shape()));
    });
  }
  template <class M>
  void take_all(M& module) {
    take_all(module, [](std::string_view) { return true; });
  }
  /// Takes every buffer of a module that has its shapes.
  template <class M>
  void take_buffers(M& module) {
    for_each_buffer(module, [&](std::string_view name, Tensor& value) {
      value = take(std::string(name), value.shape()).clone();
    });
  }
  /// Throws when tensors are left. The directory then knows the file's checksum.
  void finish() const;

  const std::string& path() const { return path_; }

 private:
  Tensor take(const std::string& name, const Shape& shape);

  const ModelDirectory& directory_;
  std::string path_, config_path_;
  SafetensorsFile file_;
  std::int64_t numbers_ = 0, taken_ = 0;
};

}  // namespace qkv
