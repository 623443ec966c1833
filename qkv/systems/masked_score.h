// How well a BERT finds hidden words, and tells pairs of sentences.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/data/batching.h"
#include "qkv/data/masked_text.h"
#include "qkv/systems/bert_model.h"

namespace qkv {

/// Throws Error for pieces without [MASK].
MaskVocabulary mask_vocabulary(const BertPieces& pieces);
std::vector<ExampleLength> lengths_of(std::span<const MaskedExample> examples);
BertLoss loss_of(const BertModel& model, const MaskedBatch& batch, const BertLossOptions& options);

/// Sums over hidden words and over pairs.
struct MaskedScore {
  double word_nll = 0, next_nll = 0;
  std::int64_t words = 0, right_words = 0, pairs = 0, right_pairs = 0;

  double loss() const;  // nats a hidden word
};
MaskedScore score_masked(const BertModel& model, std::span<const MaskedExample> examples,
                         std::int64_t batch_tokens);

}  // namespace qkv
