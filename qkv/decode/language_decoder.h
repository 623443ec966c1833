// Language models one token after the other. A recurrent or linear-attention model carries a state
// of constant size; one with softmax keeps keys and values, whose number can be bounded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/decode/vocabulary_head.h"
#include "qkv/models/mpt.h"
#include "qkv/models/rnn_language.h"

namespace qkv {

/// One text under way; used by one thread. The model (f32) must outlive it and keep its weights.
class LanguageDecoder {
 public:
  virtual ~LanguageDecoder() = default;

  virtual std::int64_t vocabulary() const = 0;
  /// Reads more tokens of the text, at least one, and gives the logits [V] of the next; they stay
  /// until the next call.
  virtual std::span<const float> read(std::span<const std::int32_t> tokens) = 0;
};

/// `context` > 0 bounds how many tokens back softmax attention looks: when the cache is full, the
/// last half of it is read again into an empty one, so a token costs at most twice what it costs
/// with a full cache. 0: the model's max_seq_len where it has learned positions, otherwise no
/// bound. To a model with prefix_lm what is read first, the prompt or such a half, is the prefix.
/// Linear attention without learned positions needs none and takes none.
class MptDecoder final : public LanguageDecoder {
 public:
  explicit MptDecoder(const Mpt& model, std::int64_t context = 0);

  std::int64_t vocabulary() const override { return head_.vocabulary(); }
  std::span<const float> read(std::span<const std::int32_t> tokens) override;

 private:
  void extend(std::span<const std::int32_t> tokens);

  const Mpt& model_;
  std::int64_t context_;  // 0: no bound
  VocabularyHead head_;
  MptCache cache_{1};
  std::vector<std::int32_t> recent_;  // what the cache holds, where it is bounded
  Tensor last_;                       // [1 C]: the last hidden state
  Tensor logits_;
};

class RnnLanguageDecoder final : public LanguageDecoder {
 public:
  explicit RnnLanguageDecoder(const RnnLanguage& model);

  std::int64_t vocabulary() const override { return head_.vocabulary(); }
  std::span<const float> read(std::span<const std::int32_t> tokens) override;

 private:
  const RnnLanguage& model_;
  VocabularyHead head_;
  RecurrentStates states_;
  Tensor logits_;
};

}  // namespace qkv
