// How well the vectors of an encoder say which texts belong together. Pairs with scores: how their
// cosines go with the scores. Pairs without: where each text finds its partner among the seconds
// (and negatives) of up to 1,000 pairs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "qkv/data/sentence_pairs.h"
#include "qkv/eval/correlation.h"
#include "qkv/systems/bert_model.h"

namespace qkv {

struct PairScores {
  /// Of partners.
  struct Ranks {
    std::int64_t pairs = 0;
    std::int64_t first = 0;    // partners that are nearest of all
    double reciprocal = 0;     // Σ 1/rank
    std::int64_t longest = 0;  // candidates of the largest block
    double accuracy() const;   // per cent
    double mean_reciprocal() const;
  };
  std::optional<NumberReport> scores;  // cosines against the scores; their errors say nothing
  std::optional<Ranks> ranks;

  /// What decides which model is kept: 100·Spearman, or 100·mean reciprocal rank.
  double score() const;
  std::string line() const;
  std::string text() const;
  std::string json() const;
};

/// By the vectors that embed_texts() gives. The partner of a text counts behind every other
/// candidate that is as near; candidates with the text of the partner, or with its own, are left
/// out.
PairScores score_pairs(const BertModel& model, const SentencePairs& pairs,
                       const EmbedOptions& options = {});

/// For each of the first texts [begin, end) and each candidate (the second texts of the same range,
/// then its negatives) whether it is the same text once more: 1 for what no comparison should hold
/// against the partner. Empty when there is none.
std::vector<std::uint8_t> repeated_texts(const SentencePairs& pairs,
                                         std::span<const std::int64_t> index);

}  // namespace qkv
