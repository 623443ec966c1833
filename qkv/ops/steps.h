// Weights that a loop over time uses again and again, where a step needs what the step before gave
// (attention with feedback), so that the whole sequence cannot be one call. The gradient of such a
// weight is one product over the rows of all steps, formed when the last of them is through the
// backward pass: a sum of one product a step would read and write the whole gradient every time.
#pragma once

#include <cstdint>
#include <memory>

#include "qkv/ops/recurrent.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// y = x·W + b, called on any number of tensors with `rows` rows in all (while recording).
class StepLinear {
 public:
  /// weight [I O], bias [O] or undefined.
  StepLinear(const Tensor& weight, const Tensor& bias, std::int64_t rows);
  /// x [n I] -> [n O]
  Tensor operator()(const Tensor& x);

 private:
  struct Kept;
  std::shared_ptr<Kept> kept_;
};

/// A recurrent cell, one call a step.
class StepCell {
 public:
  /// hidden [H G·H], bias [G·H] or undefined.
  StepCell(Cell cell, const Tensor& hidden, const Tensor& bias, std::int64_t rows);
  /// products [n G·H] of the inputs, their bias included; state [m H] with m ≥ n, undefined for
  /// zeros: its first n rows go on.
  RecurrentState operator()(const Tensor& products, const RecurrentState& before);

 private:
  struct Kept;
  std::shared_ptr<Kept> kept_;
};

}  // namespace qkv
