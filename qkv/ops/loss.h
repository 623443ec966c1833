// Cross-entropy of a projection onto a vocabulary. The logits exist for one block of rows at a time
// and log-probabilities never: while a block is in cache its gradient is formed in place and
// multiplied on.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/kernels/loss.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

using kernels::Smoothing;

struct CrossEntropyOptions {
  double smoothing = 0.0;  // ε of label smoothing
  Smoothing form = Smoothing::uniform;
  std::int32_t ignore = -1;  // rows with this target count for nothing
  double scale = 1.0;        // of the loss: 1/tokens gives the mean
};

struct CrossEntropyResult {
  Tensor loss;               // scalar, differentiable: scale · Σ smoothed losses
  double loss_sum = 0;       // Σ smoothed losses, unscaled, added in order of rows
  double nll_sum = 0;        // Σ −log p(target)
  std::int64_t tokens = 0;   // rows that count
  std::int64_t correct = 0;  // rows whose target is the arg-max
};

/// How the vocabulary matrix is stored.
enum class VocabularyMatrix : std::uint8_t {
  projection,  // [C V], a weight of its own
  table,       // [V C], the (tied) embedding table
};

/// hidden [T C], matrix [C V] or [V C], bias [V] or undefined, targets [T].
CrossEntropyResult cross_entropy(const Tensor& hidden, const Tensor& matrix,
                                 VocabularyMatrix stored, const Tensor& bias,
                                 std::span<const std::int32_t> targets,
                                 const CrossEntropyOptions& options = {});

/// hidden · matrix (+ bias) -> [T V], for decoding and inspection; not differentiable through a
/// table.
Tensor logits(const Tensor& hidden, const Tensor& matrix, VocabularyMatrix stored,
              const Tensor& bias);

}  // namespace qkv
