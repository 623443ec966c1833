// A small convolutional network for packed pictures: 3 × 3 convolutions without bias, batch norm
// and ReLU, then the mean over the pixels and a linear head. What attention is measured against.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/nn/batch_norm.h"
#include "qkv/nn/convolution.h"
#include "qkv/nn/linear.h"
#include "qkv/tensor/grids.h"

namespace qkv {

struct CnnStage {
  Convolution convolution;
  BatchNorm norm;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("conv", m.convolution);
    visit("norm", m.norm);
  }
};

struct PictureCnn {
  struct Config {
    std::int64_t channels = 3;
    std::int64_t classes = 10;
    std::vector<std::int64_t> widths = {32, 48, 64, 80, 56};  // channels of each stage
    std::vector<std::int64_t> strides = {1, 2, 2, 1, 2};      // as many
    /// Throws with the field's name when a value makes no model.
    void check() const;
  };

  Config config;
  std::vector<CnnStage> stages;
  Linear head;

  static PictureCnn make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("stages", m.stages);
    visit("head", m.head);
  }
  /// x [T channels] on `pictures` of any sizes -> [B K]. While a tape records, batch norm makes a
  /// picture depend on the others of its batch; otherwise it does not.
  Tensor operator()(const Tensor& x, const Grids& pictures) const;
};

}  // namespace qkv
