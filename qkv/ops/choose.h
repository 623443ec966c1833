// The likeliest tokens of hidden states: product with the vocabulary, softmax and ranking in one,
// a block of rows at a time. Not differentiable.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/tensor/tensor.h"

namespace qkv {

struct TokenChoice {
  int count = 1;                                  // candidates wanted a row
  std::span<const std::int32_t> suppressed = {};  // ids never chosen (they still count in the sum)
  /// Empty, or an id a row: where it is not −1 the row's only candidate is that id.
  std::span<const std::int32_t> forced = {};
};

/// hidden [R C] times projection [C V], plus bias [V] or undefined: for each row `count` ids and
/// their log p, best first, in ids and log_probabilities [R count]; −1 and 0 where there are no
/// more.
void choose_tokens(const Tensor& hidden, const Tensor& projection, const Tensor& bias,
                   const TokenChoice& choice, std::int32_t* ids, float* log_probabilities);
/// The same of logits [R V] that are there.
void choose_tokens(const Tensor& logits, const TokenChoice& choice, std::int32_t* ids,
                   float* log_probabilities);

}  // namespace qkv
