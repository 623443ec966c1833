// linear_attend: attention whose weights are φ(q)·φ(k) instead of exp(q·k), so that a token costs
// the same however long its sequence is ("Transformers are RNNs", Katharopoulos et al. 2020):
//
//   out_i = φ(q_i)ᵀ Σ_j φ(k_j) v_jᵀ / (φ(q_i)ᵀ Σ_j φ(k_j) + eps)
//
//   attend(q, k, v, {.score = FeatureProduct{}, .mask = segments(batch) & causal()})
//   linear_attend(q, k, v, {.causal = true, .segments = batch})                  // the same
//
// The same layer runs token by token with a state of constant size, a LinearState; what it computes
// after a prefix in one go (linear_state) is what its steps go on from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/attention/attend.h"
#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// The inner form of an Attention whose score is a FeatureProduct: what sums can honour.
struct LinearAttention {
  FeatureMap map = EluPlusOne{};
  /// Keys up to the row's own place; with fewer queries than keys the last query sits at the last
  /// key, as in causal().
  bool causal = false;
  /// The sequences of the queries and, unless `key_segments` is given, of the keys. Without any
  /// sequence (the default) all rows are one.
  Segments segments = {};
  Segments key_segments = {};
  /// Valid lengths: only the first lengths[b] keys of sequence b are seen. Empty: all of them.
  std::vector<std::int64_t> lengths = {};
  /// Added to the denominator; 1e-6 as published, where it keeps rows without any visible key from
  /// dividing by zero. Here 0 is safe too: a row whose denominator is 0 (less than the smallest
  /// normal number) gives zeros and no gradient, like a row that sees nothing. 0 makes the weights
  /// of a row sum to 1 exactly; 1e-6 shrinks rows whose features are tiny.
  double eps = 1e-6;
  Execution run = Execution::automatic;
};

/// The form of `how`. Throws, naming what sums cannot honour, when the score is no FeatureProduct,
/// there is a bias, dropout or another normaliser, or the mask hides more than what comes later and
/// what lies beyond valid lengths. `call` is what messages name.
LinearAttention linear_form(const char* call, const Attention& how);

/// q [Tq H D], k [Tk Hkv D], v [Tk Hkv Dv] with H a multiple of Hkv -> [Tq H Dv]. No 1/√D.
/// Differentiable. f64 and Execution::definition go over all pairs of queries and keys.
Tensor linear_attend(const Tensor& q, const Tensor& k, const Tensor& v,
                     const LinearAttention& how = {});

/// By definition: what query rows [rows.begin, rows.end) give to keys [keys.begin, keys.end),
/// φ(q)·φ(k) / (Σ φ(q)·φ(k) + eps) over the visible keys, [H R C] in f32. Not differentiable.
Tensor linear_weights(const Tensor& q, const Tensor& k, const LinearAttention& how,
                      kernels::Interval rows, kernels::Interval keys);

/// What a hypothesis remembers: sums over all keys so far. A cheap value; steps write into tensors
/// that nobody shares and copy others first.
struct LinearState {
  Tensor s;  // [B Hkv F Dv]: Σ φ(k) vᵀ
  Tensor z;  // [B Hkv F]: Σ φ(k)

  /// Hypotheses, B.
  std::int64_t rows() const { return s.dim(0); }
  /// Hypothesis b goes on from parents[b] (in [0, rows())), or from nothing when it is −1. There
  /// may be more or fewer of them than before.
  void reorder(std::span<const std::int32_t> parents);
  /// Hypothesis b alone, and what it has become.
  LinearState row(std::int64_t b) const;
  void set_row(std::int64_t b, const LinearState& one);
};

/// Nothing seen yet. `dim` is F, the width of the features: D unless a map of one's own changes it.
LinearState linear_state(std::int64_t rows, std::int64_t kv_heads, std::int64_t dim,
                         std::int64_t value_dim, DType type = DType::f32);
/// After all visible keys of each sequence: one hypothesis a sequence.
LinearState linear_state(const Tensor& k, const Tensor& v, const LinearAttention& how = {});

/// One token of each hypothesis: remembers k [B Hkv D] and v [B Hkv Dv], then answers q [B H D] ->
/// [B H Dv], at a cost that does not depend on what came before. `how` gives map, eps and run. Not
/// recorded. A hypothesis gets the same bits whatever stands beside it.
Tensor linear_step(LinearState& state, const Tensor& q, const Tensor& k, const Tensor& v,
                   const LinearAttention& how = {});
/// Answers without remembering anything: cross-attention to a source summed up once.
Tensor linear_read(const LinearState& state, const Tensor& q, const LinearAttention& how = {});

}  // namespace qkv
