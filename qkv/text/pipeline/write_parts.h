// Parts of a tokenizer.json as JSON, the opposite of read_parts.h: what readers of other files make
// their pipelines of, so that each of them can be saved.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "qkv/text/pipeline/added_tokens.h"
#include "qkv/text/pipeline/models.h"

namespace qkv::pipeline {

/// A whole one; what is null is not done.
struct PartsJson {
  nlohmann::json normaliser, pre_tokeniser, around, decoder, model;
};
nlohmann::json whole_json(PartsJson parts);

nlohmann::json added_json(const AddedToken& token);
nlohmann::json vocabulary_json(const PieceIds& ids);
/// [[piece, score], …] of a unigram model, whose scores are read again to the bit.
nlohmann::json scores_json(const std::vector<std::pair<std::string, double>>& pieces);
nlohmann::json merges_json(const std::vector<std::pair<std::string, std::string>>& merges);

/// What stands around texts: "A" and "B" are the texts, other names tokens.
struct TemplateJson {
  using Items = std::vector<std::pair<std::string, int>>;  // with types
  Items single, pair;
  std::map<std::string, std::int32_t> tokens;  // numbers of those that are no texts
};
nlohmann::json template_json(const TemplateJson& around);

}  // namespace qkv::pipeline
