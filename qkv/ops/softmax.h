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

/// x[r j] · exp(−(j − centre[r])² / 2σ²), columns counted from 0: weights [N L] that fade with the
/// distance from centre [N 1] (Luong et al. 2015). Differentiable in both.
Tensor bell_columns(const Tensor& x, const Tensor& centre, double deviation);

/// Cross-entropy of logits [T C] that are there already.
CrossEntropyResult cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                                 const CrossEntropyOptions& options = {});

}  // namespace qkv
