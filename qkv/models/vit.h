// The Vision Transformer (Dosovitskiy et al. 2021) on packed pictures: patches as rows, a class row
// before them, learned positions, pre-norm encoder layers, a linear head; and DeiT's form with a
// row for distillation (Touvron et al. 2021).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "qkv/nn/convolution.h"
#include "qkv/nn/transformer_layers.h"
#include "qkv/tensor/grids.h"

namespace qkv {

/// What the head reads.
enum class VitPooling : std::uint8_t {
  token,          ///< the class row, after the final norm
  norm_mean,      ///< the mean of the patches' rows after the final norm (Google's "gap")
  mean_then_norm  ///< their mean, and then the norm, called "fc_norm" (timm's "avg")
};
constexpr std::array<std::string_view, 3> spelling(VitPooling) {
  return {"token", "norm-mean", "mean-then-norm"};
}

struct Vit {
  struct Config {
    Grid image{224, 224};     // that the positions are learned for
    std::int64_t patch = 16;  // P, a side
    std::int64_t channels = 3;
    std::int64_t width = 192;  // C
    std::int64_t layers = 12;
    std::int64_t heads = 3;
    std::int64_t feed_forward = 0;  // 0: 4·C
    std::int64_t classes = 1000;    // 0: no head, the pooled rows are the result
    VitPooling pooling = VitPooling::token;
    bool class_token = true;
    bool distilled = false;  // a second token and head; the mean of both heads outside of training
    Activation activation = Activation::gelu;
    double dropout = 0.0;
    double norm_eps = 1e-6;

    /// Throws with the field's name when a value makes no model.
    void check() const;
    std::int64_t tokens() const { return (class_token ? 1 : 0) + (distilled ? 1 : 0); }
    Grid patches() const { return {image.rows / patch, image.cols / patch}; }
  };

  Config config;
  Tensor class_token, distillation_token;  // [1 1 C]
  Tensor positions;                        // [1 tokens + S C], the tokens' first
  Convolution patches;                     // P × P, stride P
  std::vector<EncoderLayer> blocks;
  LayerNorm norm;
  Linear head, distilled_head;  // [C K]

  /// Positions N(0, .02²), tokens and heads 0, else as the encoder layers are drawn.
  static Vit make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("cls_token", m.class_token);
    visit("dist_token", m.distillation_token);
    visit("pos_embed", m.positions);
    visit("patch_embed", m.patches);
    visit("blocks", m.blocks);
    visit("norm", m.norm);
    visit("head", m.head);
    visit("head_dist", m.distilled_head);
  }

  /// Rows of the batch after the blocks and, but for mean_then_norm, the final norm: x [T channels]
  /// on `pictures`, each with sides that are multiples of P -> the tokens' rows and then the
  /// patches', picture by picture. Pictures of other sizes than config.image get resized positions
  /// (grid_positions.h).
  struct Rows {
    Tensor x;           // [T' C]
    Segments segments;  // tokens + patches of each picture
  };
  Rows encode(const Tensor& x, const Grids& pictures) const;
  /// [B K]. While a tape records a distilled model gives both heads: [2·B K], the class rows'
  /// first.
  Tensor operator()(const Tensor& x, const Grids& pictures) const;
};

/// "ti/16", "s/16", "b/16", "b/32", "l/16", "h/14" for 224 × 224; throws Error with this list.
Vit::Config vit_sizes(std::string_view name);

/// The weights as timm names them ("cls_token", "patch_embed.proj.weight",
/// "blocks.0.attn.qkv.weight", …, "norm" or "fc_norm", "head"); PyTorch's layout.
StateEntries state_entries(const Vit& model);

}  // namespace qkv
