// The residual stream that Transformer blocks write to, in both orders of normalisation:
//   post-norm (Vaswani et al. 2017):  x ← LN(x + drop(f(x)))
//   pre-norm  (Xiong et al. 2020):    x ← x + drop(f(LN(x)))
// Pre-norm keeps f's output pending until the next norm, so that both orders run
// residual + dropout + norm as one, fused for LayerNorm.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "qkv/nn/linear.h"
#include "qkv/nn/norm_block.h"
#include "qkv/nn/rms_norm.h"
#include "qkv/ops/elementwise.h"

namespace qkv {

enum class NormPlacement : std::uint8_t { post, pre };
constexpr std::array<std::string_view, 2> spelling(NormPlacement) { return {"post", "pre"}; }

class ResidualStream {
 public:
  ResidualStream(Tensor x, NormPlacement placement, double dropout)
      : x_(std::move(x)), placement_(placement), dropout_(dropout) {}

  /// `norm`: a LayerNorm, an RmsNorm or a NormBlock.
  template <class Norm, class F>
  void sub_layer(const Norm& norm, F&& f) {
    if (placement_ == NormPlacement::post) {
      x_ = joined(norm, f(x_)).out;
    } else {
      pending_ = f(normed(norm));
    }
  }

  template <class F>
  void sub_layer(const NormBlock& norm, F&& f) {
    std::visit([&](const auto& held) { sub_layer(held, f); }, norm.kind);
  }

  /// The stream's end, through `norm` when there is one (may have no weight: then none).
  template <class Norm = LayerNorm>
  Tensor finish(const Norm& norm) {
    if (norm.weight.defined()) return normed(norm);
    return pending_.defined() ? add(x_, qkv::dropout(pending_, dropout_)) : x_;
  }
  Tensor finish(const NormBlock& norm) {
    return std::visit([&](const auto& held) { return finish(held); }, norm.kind);
  }

 private:
  ResidualNorm joined(const LayerNorm& norm, const Tensor& branch) const {
    return residual_norm(x_, branch, norm.weight, norm.bias,
                         {.eps = norm.eps, .dropout = dropout_});
  }
  ResidualNorm joined(const RmsNorm& norm, const Tensor& branch) const {
    ResidualNorm both;
    both.sum = add(x_, qkv::dropout(branch, dropout_));
    both.out = norm(both.sum);
    return both;
  }
  template <class Norm>
  Tensor normed(const Norm& norm) {
    if (!pending_.defined()) return norm(x_);
    ResidualNorm both = joined(norm, std::exchange(pending_, Tensor()));
    x_ = std::move(both.sum);
    return std::move(both.out);
  }

  Tensor x_, pending_;
  NormPlacement placement_;
  double dropout_;
};

}  // namespace qkv
