// Two linear maps with an activation between them, from one state of a sequence to its classes. As
// Hugging Face's classifiers have it: tanh in RoBERTa and XLM-R, ReLU in DistilBERT; BERT's pooler
// and classifier are the tanh form too.
#pragma once

#include "qkv/nn/linear.h"
#include "qkv/ops/elementwise.h"

namespace qkv {

/// W_out·dropout(activation(W_dense·dropout(x))): x [B C] -> logits [B K].
struct ClassificationHead {
  Linear dense;  // [C C]
  Linear out;    // [C K]
  Activation activation = Activation::tanh;
  double input_dropout = 0.0;  // of x: RoBERTa has it, DistilBERT has not
  double dropout = 0.0;        // of the activation

  static ClassificationHead make(Initialiser& init, std::int64_t width, std::int64_t classes,
                                 Activation activation) {
    ClassificationHead m;
    m.dense = Linear::make(init, width, width);
    m.out = Linear::make(init, width, classes);
    m.activation = activation;
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("dense", m.dense);
    visit("out", m.out);
  }
  Tensor operator()(const Tensor& x) const {
    return out(dense(qkv::dropout(x, input_dropout), activation, dropout));
  }
};

}  // namespace qkv
