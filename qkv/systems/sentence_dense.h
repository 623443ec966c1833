// What stands behind pooling in sentence-transformers' models: its Dense modules, each a product
// with an activation, of vectors that may first be brought to length 1.
//
//   y = a(x'·W + b)             x' = x, or x / ‖x‖ after a module Normalize
//   y = a(x'·W + b) + x'·R      use_residual; without a matrix R where I = O
//
// Source: sentence-transformers 6.2, base/modules/dense.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/io/json.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/state_dict.h"

namespace qkv {

struct SentenceDense {
  Linear linear;    // [I O]
  Linear residual;  // R [I O], no bias; undefined: none, or the input itself
  Activation activation = Activation::tanh;
  bool length_one = false;     // of what it reads
  bool adds_residual = false;  // the input, through R where widths differ

  std::int64_t in() const { return linear.weight.dim(0); }
  std::int64_t out() const { return linear.weight.dim(1); }
  /// x [B I] -> [B O]. Differentiable.
  Tensor operator()(const Tensor& x) const;
  /// "16 -> 6 tanh", for people.
  std::string text() const;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("linear", m.linear);
    visit("residual", m.residual);
  }
};

/// One for the tensors "linear.weight" [O I], "linear.bias" and "residual.weight" [O I] of a state,
/// the last two where they are there, whose names begin with `prefix`; its numbers are unset.
/// Nothing where there is no such matrix; throws Error for shapes that do not fit.
std::optional<SentenceDense> blank_dense(const StateDict& state, const std::string& prefix);

/// Its parameters as PyTorch keeps them.
StateEntries dense_entries(const SentenceDense& dense);

/// Throws DataError with `path` unless the first takes vectors of `width` numbers and each other
/// what the one before it gives, and R is there just where it is needed.
void check_dense(const std::vector<SentenceDense>& dense, std::int64_t width,
                 const std::string& path);

/// The activation of a class of PyTorch ("torch.nn.modules.activation.Tanh"), if it is one of ours.
std::optional<Activation> torch_activation(std::string_view name);
/// The other way. Throws Error for what no class of PyTorch without arguments computes.
std::string_view torch_activation(Activation activation);

/// How config.json of a directory of ours lists them; the shapes are the weights'.
Json dense_json(const std::vector<SentenceDense>& dense);
/// The rest of modules whose matrices are there. Throws DataError where the list is not as long;
/// null is an empty one.
void read_dense_json(const Json& list, const std::string& path, std::vector<SentenceDense>& dense);

}  // namespace qkv
