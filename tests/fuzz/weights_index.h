// Any bytes as an index of shards.
#pragma once

#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/io/weight_files.h"

namespace qkv {

inline void fuzz_weights_index(std::string_view bytes) {
  try {
    const WeightsIndex index = WeightsIndex::parse(bytes, "fuzz");
    fuzz_require(!index.shards.empty(), "an index of nothing");
    for (const auto& [file, tensors] : index.shards) {
      fuzz_require(!tensors.empty(), "a file of nothing");
      fuzz_require(file.ends_with(".safetensors") && file.front() != '.' &&
                       file.find("..") == file.npos && file.find('/') == file.npos &&
                       file.find('\0') == file.npos,
                   "a file that is elsewhere");
    }
  } catch (const Error&) {
  }
}

inline std::vector<std::string> weights_index_seeds() {
  return {R"({"weight_map": {"a": "m-1.safetensors"}})",
          R"({"metadata": {"total_size": 72}, "weight_map": {"a.b": "m-1.safetensors",)"
          R"( "c": "m-2.safetensors"}})",
          R"({"weight_map": {"a": "../x.safetensors"}})"};
}

}  // namespace qkv
