#include "qkv/train/state.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/io/safetensors.h"

namespace qkv {
namespace {

constexpr const char* kPosition = "qkv.position";
constexpr const char* kModel = "qkv.model";  // the checksum of the config.json beside the file
constexpr std::int64_t kMost = std::int64_t{1} << 53;  // of anything that is counted

std::string model_beside(const std::filesystem::path& file) {
  const std::filesystem::path config = file.parent_path() / kConfigFile;
  std::error_code code;
  if (!std::filesystem::exists(config, code)) return "";
  return fmt::format("{:08x}", file_checksum(config));
}

Json json_of(const Position& at) {
  return {{"step", at.step},
          {"epoch", at.epoch},
          {"batch", at.batch},
          {"tokens", at.tokens},
          {"best_step", at.best_step},
          {"stale", at.stale},
          {"validated", at.validated},
          {"best_score", std::isfinite(at.best_score) ? Json(at.best_score) : Json()},
          {"best_second", std::isfinite(at.best_second) ? Json(at.best_second) : Json()},
          {"seconds", at.seconds}};
}

Position position_from(const Json& json, const std::string& file) {
  constexpr IntegerRange kCount{.least = 0, .most = kMost};
  FieldReader r(json, file, "position.");
  Position at;
  at.step = r.integer("step", kCount);
  at.epoch = r.integer("epoch", kCount);
  at.batch = r.integer("batch", kCount);
  at.tokens = r.integer("tokens", kCount);
  at.best_step = r.integer("best_step", {.least = 0, .most = at.step});
  at.stale = r.integer("stale", kCount);
  at.validated = r.integer("validated", {.least = -1, .most = at.step});
  if (r.has("best_score") && !json["best_score"].is_null()) at.best_score = r.number("best_score");
  if (r.has("best_second") && !json["best_second"].is_null()) {
    at.best_second = r.number("best_second");
  }
  at.seconds = r.number("seconds", {0, static_cast<double>(kMost)});
  r.finish();
  return at;
}

constexpr std::string_view kHeld = "held.";

void check_finite(HeldTensors held) {
  for (const auto& [name, tensor] : held) {
    for (const float x : tensor.values()) {
      if (!std::isfinite(x)) fail<NumericError>("{} is {}", name, x);
    }
  }
}

void restore_held(const SafetensorsFile& file, const std::string& path, HeldTensors held) {
  for (const auto& [name, tensor] : held) {
    const std::string stored = std::string(kHeld) + name;
    if (!file.contains(stored) || file.shape(stored) != tensor.shape()) {
      throw DataError(path, 0,
                      fmt::format("tensor '{}' {}: this model has it as {}", stored,
                                  file.contains(stored) ? "is " + to_string(file.shape(stored))
                                                        : std::string("is missing"),
                                  to_string(tensor.shape())));
    }
    Tensor to = tensor;
    std::ranges::copy(file.tensor(stored).values(), to.values().begin());
  }
}

}  // namespace

void save_state(const std::filesystem::path& file, const Position& at, const Optimiser& optimiser,
                const std::deque<Tensor>& snapshots, HeldTensors held) {
  optimiser.check_finite();
  check_finite(held);
  std::vector<NamedTensor> tensors;
  for (auto& [name, tensor] : optimiser.state()) tensors.push_back({name, tensor});
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    tensors.push_back({fmt::format("snapshot.{:03}", i), snapshots[i]});
  }
  for (const auto& [name, tensor] : held) tensors.push_back({std::string(kHeld) + name, tensor});
  save_safetensors(file, tensors, {{kPosition, json_of(at).dump()}, {kModel, model_beside(file)}});
}

Position load_state(const std::filesystem::path& path, Optimiser& optimiser,
                    std::deque<Tensor>& snapshots, HeldTensors held) {
  const std::string name = path.string();
  const SafetensorsFile file(path);
  file.verify();
  file.check_finite();
  const std::map<std::string, std::string>& meta = file.metadata();
  const auto found = meta.find(kPosition);
  if (found == meta.end()) throw DataError(name, 0, "holds no training position");
  const Position at = position_from(parse_json(found->second, name), name);
  std::vector<std::pair<std::string, Tensor>> numbers;
  snapshots.clear();
  for (const std::string& tensor : file.names()) {
    if (file.dtype(tensor) != "F32") {
      throw DataError(
          name, 0,
          fmt::format("tensor '{}' is {}, training numbers are F32", tensor, file.dtype(tensor)));
    }
    if (tensor.starts_with(kHeld)) continue;
    if (!tensor.starts_with("snapshot.")) {
      numbers.emplace_back(tensor, file.tensor(tensor));
    } else if (file.shape(tensor) != Shape({optimiser.count()})) {
      throw DataError(name, 0,
                      fmt::format("tensor '{}' is {}, this model has {} numbers", tensor,
                                  to_string(file.shape(tensor)), optimiser.count()));
    } else {
      snapshots.push_back(file.tensor_copy(tensor));
    }
  }
  const auto model = meta.find(kModel);
  if (!file.verify_header() && model != meta.end()) {
    throw DataError(name, 0, "its header has lost its checksum; damaged, copy it again");
  }
  if (model != meta.end() && model->second != model_beside(path)) {
    throw DataError(name, 0,
                    fmt::format("belongs to another model than the {} beside it; copy the whole "
                                "folder again",
                                kConfigFile));
  }
  try {
    optimiser.restore(at.step, numbers);
  } catch (const Error& e) {
    throw DataError(name, 0, e.what());
  }
  restore_held(file, name, held);
  return at;
}

}  // namespace qkv
