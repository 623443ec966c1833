// A model is a directory:
//   config.json         {"format": 1, …}: what the model is
//   model.safetensors   its weights
//   metrics.jsonl       one object a report of the training
//   state/              what training needs to go on; not needed to use the model
// and the files of its tokenisers.
#pragma once

#include <filesystem>

#include "qkv/io/json.h"

namespace qkv {

constexpr const char* kConfigFile = "config.json";
constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kMetricsFile = "metrics.jsonl";
constexpr const char* kStateFolder = "state";

/// The version of the directory's layout that this library writes, and the only one that it reads.
constexpr int kModelFormat = 1;

/// The configuration of the model in `directory`. FileError when the directory or its config.json
/// is missing or no directory, DataError when config.json is damaged or of another format.
Json require_model_directory(const std::filesystem::path& directory);

}  // namespace qkv
