// Attention pooling as kernel regression (Nadaraya 1964, Watson 1964): the prediction for a query
// is the mean of the values, weighted by how near their keys are. With bandwidths that can be
// learned.
#pragma once

#include "qkv/attention/attend.h"
#include "qkv/nn/module.h"

namespace qkv {

struct KernelRegression {
  /// w: 1/σ, [1] or one a feature [D]. Scores are −½ ‖(q − k)·w‖².
  Tensor inverse_width;
  /// Softmax: the Gaussian kernel. KernelSum: boxcar, triangular, Epanechnikov … of width σ.
  Normaliser kernel = Softmax{};

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("inverse_width", m.inverse_width);
  }

  /// queries [Tq D], keys [Tk D], values [Tk Dv] -> [Tq Dv]. Differentiable in everything.
  Tensor operator()(const Tensor& queries, const Tensor& keys, const Tensor& values,
                    const Mask& mask = everything()) const;
  /// Σ a v² − (Σ a v)² [Tq Dv]: how far the values that count lie apart. Not differentiable.
  Tensor variance(const Tensor& queries, const Tensor& keys, const Tensor& values,
                  const Mask& mask = everything()) const;
  /// 1 / Σ a² [Tq]: over how many keys a mean goes, from 1 (one key) to Tk (all alike); 0 for a
  /// query that sees none. Gaussian kernel only; not differentiable. Nothing of size Tq×Tk is held.
  Tensor effective_sample_size(const Tensor& queries, const Tensor& keys,
                               const Mask& mask = everything()) const;

  /// a [Tq Tk]: how much each value counts. Not differentiable.
  Tensor weights(const Tensor& queries, const Tensor& keys, const Mask& mask = everything()) const;

 private:
  Attention how(const Tensor& inverse_width, const Mask& mask) const;
};

/// Every query sees all keys but its own: for fitting on the keys themselves.
Mask leave_one_out();

}  // namespace qkv
