// The texts of a collection that are nearest to others, by an encoder's vectors and its directory's
// similarity: exact, every text is compared.
//
//   const qkv::NearestTexts index(encoder, lines);
//   for (const auto& near : index.nearest(queries).front()) … index.text(near.index)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "qkv/systems/encoder.h"

namespace qkv {

struct NearText {
  std::int64_t index = 0;  // in the collection, from 0
  double score = 0;        // larger is nearer: a cosine, a product, or a distance below 0
};

struct NearestOptions {
  std::int64_t top = 10;
  EmbedOptions embed = {};
  std::optional<Similarity> similarity = {};  // unset: as the directory says
};

class NearestTexts {
 public:
  /// Keeps the texts and a vector of each: 4 bytes a number; what a search needs beside them does
  /// not grow with the collection. Throws Error when it is empty. The encoder is copied (copies
  /// share its weights).
  NearestTexts(Encoder encoder, std::vector<std::string> texts, const NearestOptions& options = {});

  /// For each query up to `top` texts, the nearest first, among equals the earlier one. A query
  /// gets the same answer whatever stands beside it.
  std::vector<std::vector<NearText>> nearest(std::span<const std::string> queries) const;
  const std::string& text(std::int64_t index) const;
  std::int64_t size() const { return static_cast<std::int64_t>(texts_.size()); }
  Similarity similarity() const { return similarity_; }

 private:
  Encoder encoder_;
  std::vector<std::string> texts_;
  NearestOptions options_;
  Similarity similarity_;
  Tensor vectors_;  // [N C], of length 1 for cosines
};

}  // namespace qkv
