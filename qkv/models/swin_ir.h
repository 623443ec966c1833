// SwinIR (Liang et al. 2021): restoration of pictures by shifted-window attention, on packed
// pictures of any sizes. A first convolution; groups of Swin layers with a convolution and a skip
// each; a last norm and convolution with a skip; and one of four ends.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/convolution.h"
#include "qkv/nn/window_attention.h"
#include "qkv/tensor/grids.h"

namespace qkv {

/// How the picture is made from the features; in the words of the published code.
enum class SwinIrEnd : std::uint8_t {
  pixel_shuffle,         ///< classical: convolutions and pixel shuffles by 2 (or one by 3)
  pixel_shuffle_direct,  ///< lightweight: one convolution and one shuffle
  nearest_conv,          ///< real-world ×4 (and ×2): nearest upsampling with convolutions
  none                   ///< denoising, JPEG: what is added to the picture itself
};
constexpr std::array<std::string_view, 4> spelling(SwinIrEnd) {
  return {"pixelshuffle", "pixelshuffledirect", "nearest+conv", "none"};
}
/// The convolution behind each group and behind all of them: 3 × 3, or 3 × 3 to a quarter of the
/// channels, 1 × 1 and 3 × 3 back.
enum class SwinIrJoint : std::uint8_t { one_conv, three_conv };
constexpr std::array<std::string_view, 2> spelling(SwinIrJoint) { return {"1conv", "3conv"}; }

/// What the network's picture is added to. `bicubic` is not of the published model: the input
/// enlarged as MATLAB does, with the last convolution 0 at first, so that a fresh network is
/// bicubic interpolation and learns in minutes what is missing there.
enum class SwinIrResidual : std::uint8_t { none, bicubic };
constexpr std::array<std::string_view, 2> spelling(SwinIrResidual) { return {"none", "bicubic"}; }

/// How pictures are filled up to whole windows, at the bottom and at the right; what is made of the
/// filling is cut off.
enum class SwinIrPadding : std::uint8_t {
  reflect,  ///< to the next multiple, mirrored without the edge (2 1 | 0 1 2 | 1 0), as in the
            ///< model
  flip      ///< one window further also where none is needed, mirrored with it, as in the tests
};
constexpr std::array<std::string_view, 2> spelling(SwinIrPadding) { return {"reflect", "flip"}; }

struct SwinLayer {
  LayerNorm norm1;
  WindowAttention attention;
  LayerNorm norm2;
  FeedForward feed_forward;
  double drop_path = 0.0;  // of leaving a branch out of a picture, while a tape records

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("norm1", m.norm1);
    visit("attn", m.attention);
    visit("norm2", m.norm2);
    visit("mlp", m.feed_forward);
  }
};

/// One or three convolutions, LeakyReLU .2 between them.
struct SwinIrConvolutions {
  std::vector<Convolution> layers;

  static SwinIrConvolutions make(Initialiser& init, std::int64_t width, SwinIrJoint joint);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("layers", m.layers);
  }
  Tensor operator()(const Tensor& x, const Grids& grids) const;
};

struct SwinIrGroup {
  std::vector<SwinLayer> blocks;
  SwinIrConvolutions joint;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("blocks", m.blocks);
    visit("conv", m.joint);
  }
};

struct SwinIr {
  struct Config {
    std::int64_t channels = 3;
    std::int64_t scale = 2;
    double range = 1.0;        // what the input is multiplied by, and the output divided by
    std::int64_t width = 180;  // C
    std::vector<std::int64_t> depths = {6, 6, 6, 6, 6, 6};
    std::vector<std::int64_t> heads = {6, 6, 6, 6, 6, 6};
    std::int64_t window = 8;
    double mlp_ratio = 2.0;
    SwinIrEnd end = SwinIrEnd::pixel_shuffle;
    SwinIrJoint joint = SwinIrJoint::one_conv;
    SwinIrResidual residual = SwinIrResidual::none;
    double drop_path = 0.1;  // of the last layer; from 0 on linearly

    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"channels", "Of pictures: 3 (red, green, blue) or 1 (grey)", between(1, 3)},
            c.channels);
      visit({"scale"}, c.scale);
      visit({"range"}, c.range);
      visit({"width", "Channels of a pixel between the layers", side_bounds()}, c.width);
      visit({"depths", "Layers of each group", side_bounds()}, c.depths);
      visit({"heads", "Heads of the layers of each group", side_bounds()}, c.heads);
      visit({"window", "Pixels at a side of a window", between(2, 64)}, c.window);
      visit(
          {"mlp_ratio", "Width between the products of a feed-forward over the other", positive()},
          c.mlp_ratio);
      visit({"upsampler"}, c.end);
      visit({"joint"}, c.joint);
      visit({"residual",
             "bicubic: the network adds to the enlarged input, which learns in minutes; none: as "
             "published"},
            c.residual);
      visit({"drop_path", "Of leaving a layer out of a picture, in the last one", share()},
            c.drop_path);
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
  };

  Config config;
  Convolution first;
  LayerNorm patch_norm;
  std::vector<SwinIrGroup> groups;
  LayerNorm norm;
  SwinIrConvolutions after_body;
  Convolution before_upsample;        // C → 64; pixel_shuffle, nearest_conv
  std::vector<Convolution> upsample;  // pixel_shuffle(_direct): before each shuffle; else up1, up2
  Convolution high;                   // nearest_conv
  Convolution last;                   // all but pixel_shuffle_direct

  static SwinIr make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("conv_first", m.first);
    visit("patch_norm", m.patch_norm);
    visit("layers", m.groups);
    visit("norm", m.norm);
    visit("conv_after_body", m.after_body);
    visit("conv_before_upsample", m.before_upsample);
    visit("upsample", m.upsample);
    visit("conv_hr", m.high);
    visit("conv_last", m.last);
  }

  /// x [T channels] in [0, 1] on `pictures` of any sizes -> [T·scale² channels] on
  /// pictures.times(scale), not clamped. Of three channels the published mean of RGB is taken away
  /// before and added behind, but for residual = bicubic.
  Tensor operator()(const Tensor& x, const Grids& pictures,
                    SwinIrPadding padding = SwinIrPadding::reflect) const;

  /// After the first convolution and the first norm, and then after each layer of the first group:
  /// [T C], row by row. For looking at; sides must be multiples of the window.
  std::vector<Tensor> first_group(const Tensor& x, const Grids& pictures) const;
};

/// "classical", "lightweight", "real-m", "real-l", "denoise-colour", "denoise-grey", "jpeg-colour",
/// "jpeg-grey" as published; throws Error with this list. `scale` is of the first two (2, 3, 4 and
/// classical 8); the real-world ones are × 4, the last four × 1: others are refused.
SwinIr::Config swin_ir_sizes(std::string_view name, std::int64_t scale);

/// The weights as in the published files, below "params" or "params_ema": PyTorch's layout, without
/// the buffers "relative_position_index" and "attn_mask" (see weights_of_swin_ir()).
StateEntries state_entries(const SwinIr& model);
/// What of a published file belongs to the model: its tensors without "params." or "params_ema."
/// (the latter where both are there) and without buffers that follow from the configuration.
StateDict weights_of_swin_ir(const StateDict& file);

}  // namespace qkv
