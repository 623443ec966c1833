// The last product of a decoder, hidden states times vocabulary matrix, and the choice of tokens
// from its rows. Logits exist for one block of rows at a time.
#pragma once

#include <cstdint>

#include "qkv/decode/step_model.h"
#include "qkv/ops/loss.h"

namespace qkv {

class VocabularyHead {
 public:
  /// matrix [C V] or [V C] (then a transposed copy is made once), bias [V] or undefined; f32.
  VocabularyHead(const Tensor& matrix, VocabularyMatrix stored, const Tensor& bias);

  std::int64_t vocabulary() const { return projection_.dim(1); }
  /// StepState::choose for rows whose hidden states are hidden [rows C].
  void choose(const Tensor& hidden, const Choice& choice, std::int32_t* ids,
              float* log_probabilities) const;
  /// hidden [R C] -> [R V], for a few rows.
  Tensor logits(const Tensor& hidden) const;

 private:
  Tensor projection_;  // [C V]
  Tensor bias_;
};

/// The rows of a model that gives a hidden state a row: the next tokens are its head's.
class HiddenRows : public StepState {
 public:
  void choose(const Choice& choice, std::int32_t* ids, float* log_probabilities) final;
  Tensor logits() final;

 protected:
  explicit HiddenRows(const VocabularyHead& head) : head_(head) {}
  Tensor hidden_;  // [rows C] after the last token of each row, as the head takes them

 private:
  const VocabularyHead& head_;
};

}  // namespace qkv
