// MLP-Mixer (Tolstikhin et al. 2021) on packed pictures: patches as rows, mixed by a perceptron
// over the patches of a picture, the same for every channel, and by one over the channels of a
// patch. No attention and no positions; all pictures have one size.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "qkv/nn/convolution.h"
#include "qkv/nn/linear.h"
#include "qkv/tensor/grids.h"

namespace qkv {

struct MixerBlock {
  LayerNorm norm1;
  FeedForward tokens;  // S -> D_S -> S
  LayerNorm norm2;
  FeedForward channels;  // C -> D_C -> C

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("norm1", m.norm1);
    visit("mlp_tokens", m.tokens);
    visit("norm2", m.norm2);
    visit("mlp_channels", m.channels);
  }
};

struct Mixer {
  struct Config {
    Grid image{224, 224};
    std::int64_t patch = 16;  // P
    std::int64_t channels = 3;
    std::int64_t width = 512;  // C
    std::int64_t layers = 8;
    std::int64_t token_width = 256;            // D_S
    std::int64_t channel_width = 2048;         // D_C
    std::int64_t classes = 1000;               // 0: no head, the mean of the rows is the result
    Activation activation = Activation::gelu;  // as timm; Google's Flax default is gelu_tanh
    double dropout = 0.0;
    double norm_eps = 1e-6;

    /// Throws with the field's name when a value makes no model.
    void check() const;
    Grid patches() const { return {image.rows / patch, image.cols / patch}; }
    /// How many numbers the model has.
    std::int64_t parameters() const;
  };

  Config config;
  Convolution stem;  // P × P, stride P
  std::vector<MixerBlock> blocks;
  LayerNorm norm;
  Linear head;  // [C K], 0 at first

  static Mixer make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("stem", m.stem);
    visit("blocks", m.blocks);
    visit("norm", m.norm);
    visit("head", m.head);
  }

  /// x [T channels] on pictures of config.image -> the patches' rows [B·S C] after `layers` blocks
  /// (all of them by default).
  Tensor mixed(const Tensor& x, const Grids& pictures, std::int64_t layers) const;
  /// [B K]
  Tensor operator()(const Tensor& x, const Grids& pictures) const;
};

/// f over the patches of each picture, a row of S numbers for every channel: x [B·S C] -> [B·S C]
/// with f [B·C S] -> [B·C S].
Tensor mix_tokens(const Tensor& x, std::int64_t patches, const FeedForward& f);

/// "s/32", "s/16", "b/32", "b/16", "l/32", "l/16", "h/14" for 224 × 224; throws Error with this
/// list.
Mixer::Config mixer_sizes(std::string_view name);

/// The weights as timm names them ("stem.proj.weight", "blocks.0.mlp_tokens.fc1.weight", …);
/// PyTorch's layout.
StateEntries state_entries(const Mixer& model);

}  // namespace qkv
