// Probabilities of rows that are there as a whole: for heads with few columns. (A vocabulary's loss
// is in qkv/ops/loss.h, attention's softmax in qkv/attention.)
#pragma once

#include <cstdint>
#include <span>

#include "qkv/ops/loss.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// Along the last axis of x [N C]; the row's maximum is taken out first.
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

/// log(x + shift), element by element.
Tensor logarithm(const Tensor& x, double shift = 0.0);

/// Cross-entropy of logits [T C] that are there already.
CrossEntropyResult cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                                 const CrossEntropyOptions& options = {});

}  // namespace qkv
