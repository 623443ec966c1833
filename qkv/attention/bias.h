// Biases: what changes a score before it is normalised. A list is applied in order; all of them
// have gradients, for the score and for what they hold.
//
// Distances are key − place. Row i of a sequence with nq queries and nk keys has its place at
// i + nk − nq, the last query at the last key; Alignment::top_left puts the first at the first.
#pragma once

#include <cstdint>
#include <functional>
#include <variant>
#include <vector>

#include "qkv/attention/mask.h"
#include "qkv/kernels/attention/form.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// cap · tanh(s / cap) (Gemma 2).
struct SoftCap {
  double cap = 50.0;
};

/// s − slope_h · |key − place| (Press et al. 2022). For a causal mask this is the one-sided form of
/// MPT and BLOOM up to a constant a row, which softmax does not see.
struct Alibi {
  Tensor slopes;          // [H], learnable; undefined: alibi_slopes(H, bias_max)
  double bias_max = 8.0;  // see alibi_slopes
  Alignment alignment = Alignment::bottom_right;
};
/// 2^(−bias_max·i/H') for i = 1 … H', H' the next power of two; where H is none, every other slope
/// first, from the second on, then the rest.
std::vector<double> alibi_slopes(std::int64_t heads, double bias_max = 8.0);

/// s + table[h, bucket(key − place)]: relative positions as one number.
struct DistanceBias {
  using Bucket = std::function<std::int64_t(std::int64_t distance)>;
  Tensor table;   // [H R], or [1 R] for all heads
  Bucket bucket;  // to [0, R); undefined: distances clipped to ±(R−1)/2
  Alignment alignment = Alignment::bottom_right;
};
/// The buckets of T5 (Raffel et al. 2020): half of them exact, the others logarithmic up to
/// max_distance; `bidirectional` spends half of all on later keys.
DistanceBias::Bucket t5_buckets(std::int64_t buckets = 32, std::int64_t max_distance = 128,
                                bool bidirectional = true);

/// s + q·table[clip(key − place)] · scale (Shaw et al. 2018): relative positions as keys.
struct ShawBias {
  Tensor table;        // [R D], or [H R D]; distances clipped to ±(R−1)/2
  double scale = 0.0;  // 0: 1/√D
  Alignment alignment = Alignment::bottom_right;
};

/// s + tensor[h, i, j]; an axis of size 1 is broadcast. i and j count the rows and keys of the
/// row's own sequence (and must cover the longest one), or all rows and keys when `packed`.
struct TensorBias {
  Tensor tensor;  // [H|1 N|1 M|1]
  bool packed = false;
};
/// The table of Swin (Liu et al. 2021) for windows of rows × cols positions:
/// table [H (2·rows−1)·(2·cols−1)] -> [H N N], N = rows·cols, for TensorBias. Differentiable.
Tensor window_bias(const Tensor& table, std::int64_t rows, std::int64_t cols);

/// A bias of one's own: value(s, where) and ∂value/∂s.
using FunctionBias = kernels::ScoreFunctions;

using Bias = std::variant<SoftCap, Alibi, DistanceBias, ShawBias, TensorBias, FunctionBias>;
using Biases = std::vector<Bias>;

}  // namespace qkv
