// Attention in the place of convolution: a network whose layers look at pixels by their relative
// position alone, with the quadratic score (nn/quadratic_attention.h), which can be a convolution
// and need not (Cordonnier, Loukas & Jaggi 2020). Patches as "pixels", pre-norm layers with a
// perceptron each, the mean over all places, a linear head.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/nn/convolution.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/quadratic_attention.h"
#include "qkv/tensor/grids.h"

namespace qkv {

struct QuadraticBlock {
  LayerNorm norm1;
  QuadraticAttention attention;
  LayerNorm norm2;
  FeedForward mlp;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("norm1", m.norm1);
    visit("attn", m.attention);
    visit("norm2", m.norm2);
    visit("mlp", m.mlp);
  }
};

struct QuadraticNetwork {
  struct Config {
    Grid image{32, 32};
    std::int64_t patch = 2;  // P: pixels that are put side by side before the first layer
    std::int64_t channels = 3;
    std::int64_t width = 48;  // C
    std::int64_t layers = 5;
    std::int64_t heads = 9;  // nine can be a kernel of 3 × 3
    std::int64_t feed_forward = 96;
    std::int64_t ring = 1;  // places of zeros around the picture, which a kernel's border sees
    std::int64_t classes = 10;
    double dropout = 0.0;
    double norm_eps = 1e-6;
    /// Throws with the field's name when a value makes no model.
    void check() const;
    Grid patches() const { return {image.rows / patch, image.cols / patch}; }
  };

  Config config;
  Convolution stem;  // P × P, stride P
  std::vector<QuadraticBlock> blocks;
  LayerNorm norm;
  Linear head;  // [C K], 0 at first

  static QuadraticNetwork make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("stem", m.stem);
    visit("blocks", m.blocks);
    visit("norm", m.norm);
    visit("head", m.head);
  }
  /// x [T channels] on pictures of config.image -> [B K]
  Tensor operator()(const Tensor& x, const Grids& pictures) const;
};

}  // namespace qkv
