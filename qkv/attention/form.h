// From the value types of attend() to what the kernels read: scores that reduce to a product change
// q and k (differentiably), the rest becomes a kernels::AttendForm over tensors that live here.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "qkv/attention/attend.h"
#include "qkv/base/dims.h"
#include "qkv/kernels/attention/attend.h"

namespace qkv {

/// A call of attend() with its arguments checked.
class AttendCall {
 public:
  /// `name` is the function that messages name; v may be undefined when only weights are wanted.
  AttendCall(const char* name, const Tensor& q, const Tensor& k, const Tensor& v,
             const Attention& how);

  Tensor q, k, v;  // as the kernels take them; q and k changed by the score
  std::shared_ptr<const kernels::AttendPlan> plan;
  std::int64_t heads = 0, kv_heads = 0, dim = 0, value_dim = 0;  // H, Hkv, D, Dv
  double scale = 1.0;

  /// Product scores and softmax, nothing else: no form is needed.
  bool plain() const { return plain_; }
  /// The tensors besides q, k and v that a gradient may reach: score weight, bias values, sink.
  const std::vector<Tensor>& parameters() const { return parameters_; }
  /// The form over those tensors; with `gradients` (one a parameter, undefined where not wanted)
  /// also where theirs go.
  template <class T>
  kernels::AttendForm<T> form(const std::vector<Tensor>& gradients = {}) const;
  /// Whether rows have a log-sum-exp.
  bool exponential() const { return form_.norm.exponential(); }

 private:
  void take_score(const Score& score);
  void take_bias(const Bias& bias, const Tensor& q_before);
  void take_norm(const Normaliser& norm);
  Tensor product_of(const Tensor& x, const Tensor& matrix, const char* what) const;
  void measure_distances(const Gaussian& gaussian);
  Tensor by_distance(const Tensor& table, const DistanceBias::Bucket& bucket,
                     kernels::BiasTerm<double>& term) const;
  Tensor alibi(const Alibi& bias, kernels::BiasTerm<double>& term) const;
  void take_strides(const TensorBias& bias, const Dims& dims,
                    kernels::BiasTerm<double>& term) const;
  std::size_t keep(const Tensor& parameter);

  const char* name_;
  bool plain_ = true;
  kernels::AttendForm<double> form_;  // everything but the pointers
  std::vector<Tensor> parameters_;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t weight_ = kNone, sink_ = kNone;
  std::vector<std::size_t> bias_values_;  // a bias: its parameter
  std::shared_ptr<const Attention> how_;  // owns the user's functions
};

}  // namespace qkv
