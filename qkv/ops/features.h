// Differentiable preparation of attention features.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// x [T H D] ⊙ w [H|1 D|1] -> [T H D]
Tensor scale_features(const Tensor& x, const Tensor& w);
/// x [A R], columns of it in the given order, each any number of times -> [A N]
Tensor select_columns(const Tensor& x, std::span<const std::int64_t> columns);
/// The last two axes exchanged: [A B] -> [B A], [H A B] -> [H B A].
Tensor transposed(const Tensor& x);
/// The numbers of x [R C] as y [C R], which exists; nothing is recorded. For weights of files.
void transpose_into(const Tensor& x, Tensor& y);

/// Both sides of −½‖q − k‖² as a product of D + 2 features: q [Tq H D], k [Tk Hkv D], measured from
/// key row q_references[i] for query row i and k_references[j] for key row j (−1: from zero). The
/// two must agree for every pair that is compared.
struct DistanceSides {
  Tensor q;  // [Tq H D+2]
  Tensor k;  // [Tk Hkv D+2]
};
DistanceSides distance_sides(const Tensor& q, const Tensor& k,
                             std::vector<std::int64_t> q_references,
                             std::vector<std::int64_t> k_references);

}  // namespace qkv
