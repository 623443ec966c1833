// The shapes of `qkv bench attention` by their names.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/attention/mask.h"

namespace qkv::bench {

/// Written b1-h8/2-n128:1024-d64-causal: sequences, query heads (/ key heads), queries (: keys) a
/// sequence, width of a head, and the mask: full, causal, window256 (causal, the last 256 keys) or
/// lengths (the first keys of each sequence, a quarter to all of them).
struct AttentionShape {
  std::string name;
  std::int64_t batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, dim = 64, window = 0;
  std::string mask = "full";
};
/// Throws UsageError for a name that says no shape.
AttentionShape shape_named(const std::string& name);
/// "all", "large", "mixed" and "small" replaced by the shapes that they stand for.
std::vector<std::string> shapes_chosen(std::span<const std::string> words);
Mask mask_of(const AttentionShape& shape);

}  // namespace qkv::bench
