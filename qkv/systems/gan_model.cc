#include "qkv/systems/gan_model.h"

#include <set>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/nn/buffers.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

constexpr const char* kTask = "gan";

std::vector<std::string> labels_of(FieldReader& reader, const Json& config) {
  constexpr const char* kExpected = "a list of different names";
  if (!reader.has("labels") || !config["labels"].is_array()) reader.wrong("labels", kExpected);
  std::vector<std::string> labels;
  std::set<std::string> seen;
  for (const Json& label : config["labels"]) {
    if (!label.is_string() || !seen.insert(label.get<std::string>()).second) {
      reader.wrong("labels", kExpected);
    }
    labels.push_back(label.get<std::string>());
  }
  return labels;
}

GanModel read_gan_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string path = directory.config_path();
  FieldReader reader(config, path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != kTask) {
    throw DataError(path, 0, fmt::format("is no generator of pictures (task '{}')", task));
  }
  GanModel model;
  model.labels = labels_of(reader, config);
  const auto sizes = config_from<SaganConfig>(reader.object("model"), path);
  reader.finish();
  const auto labels = static_cast<std::int64_t>(model.labels.size());
  if (labels == 0 ? sizes.classes != 1 : labels != sizes.classes) {
    throw DataError(
        path, 0, fmt::format("{} labels do not fit a model of {} classes", labels, sizes.classes));
  }
  WeightsFile weights(directory);
  model.network = weights.network<SaganGenerator>(sizes);
  weights.take_all(model.network);
  for_each_buffer(model.network, [&](std::string_view name, Tensor& buffer) {
    const Tensor stored = weights.take(std::string(name));
    if (stored.shape() != buffer.shape()) {
      throw DataError(weights.path(), 0,
                      fmt::format("tensor '{}' is {}, expected {}", name, to_string(stored.shape()),
                                  to_string(buffer.shape())));
    }
    buffer = stored.clone();  // memory of its own, which training writes to
  });
  weights.finish();
  return model;
}

}  // namespace

void save_gan_model(const GanModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  std::vector<NamedTensor> tensors;
  for_each_saved(model.network, [&](std::string_view path, const Tensor& tensor) {
    tensors.push_back({std::string(path), tensor});
  });
  save_weights(tensors, writer.folder());
  writer.commit(
      {{"task", kTask}, {"labels", model.labels}, {"model", config_json(model.network.config)}});
}

GanModel load_gan_model(const std::filesystem::path& directory) {
  return read_whole(directory, read_gan_model);
}

}  // namespace qkv
