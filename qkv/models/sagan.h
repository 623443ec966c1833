// SAGAN (Zhang et al. 2019) as its code was released: a generator of residual blocks with
// conditional batch norm, a discriminator with a projection of the class (Miyato & Koyama 2018),
// attention at one size of both, every product spectrally normalised, trained by the hinge loss.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/nn/batch_norm.h"
#include "qkv/nn/convolution.h"
#include "qkv/nn/sagan_attention.h"
#include "qkv/nn/spectral_norm.h"

namespace qkv {

struct SaganConfig {
  std::int64_t size = 128;  // of the pictures: 4·2ⁿ, n ≥ 1
  std::int64_t channels = 3;
  std::int64_t width = 64;   // channels at the largest size; twice as many at each smaller one
  std::int64_t noise = 128;  // z
  std::int64_t classes = 1000;
  std::int64_t attention = 32;  // side of the feature maps that attend; 0: none
  SaganForm form = SaganForm::released;
  double moving_decay = 0.999;  // of the norms' moving statistics; the last norm's is ten times
                                // nearer to 1

  template <class Self, class Visit>
  static void each(Self& c, Visit&& visit) {
    visit({"size", "Pixels at a side of the pictures: 8, 16, 32 …"}, c.size);
    visit({"channels", "1: grey, 3: colours"}, c.channels);
    visit({"width", "Channels at the largest size"}, c.width);
    visit({"noise", "Numbers that a picture is drawn from"}, c.noise);
    visit({"classes", "Kinds of pictures"}, c.classes);
    visit({"attention", "Side of the maps that attend (0: none)"}, c.attention);
    visit({"form", "Of the attention"}, c.form);
    visit({"moving_decay", "Of the norms' statistics"}, c.moving_decay);
  }
  /// Throws with the field's name when a value makes no model.
  void check() const;
  /// n, the doublings from 4 × 4.
  std::int64_t levels() const;
};

struct SaganGenerator {
  struct Block {
    ConditionalBatchNorm norm0, norm1;
    Spectral<Convolution> conv0, conv1, skip;

    template <class Self, class Visit>
    static void each(Self& m, Visit&& visit) {
      visit("norm0", m.norm0);
      visit("conv0", m.conv0);
      visit("norm1", m.norm1);
      visit("conv1", m.conv1);
      visit("skip", m.skip);
    }
    Tensor operator()(const Tensor& x, const Grids& grids,
                      std::span<const std::int32_t> classes) const;
  };

  using Config = SaganConfig;
  SaganConfig config;
  Spectral<Linear> start;  // [noise 4·4·C]
  std::vector<Block> blocks;
  std::vector<SaganAttention> attention;  // one or none
  BatchNorm norm;
  Spectral<Convolution> last;

  static SaganGenerator make(Initialiser init, const SaganConfig& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("start", m.start);
    visit("blocks", m.blocks);
    visit("attention", m.attention);
    visit("norm", m.norm);
    visit("last", m.last);
  }
  /// z [B noise], a class each -> B pictures of size × size as rows [T channels], in (−1, 1). While
  /// a tape records, norms use the batch's statistics and every pass moves the buffers
  /// (KeepBuffers).
  Tensor operator()(const Tensor& z, std::span<const std::int32_t> classes) const;
};

struct SaganDiscriminator {
  struct Block {
    Spectral<Convolution> conv1, conv2, skip;  // the last block has no skip: undefined
    bool first = false, pooled = true;

    template <class Self, class Visit>
    static void each(Self& m, Visit&& visit) {
      visit("conv1", m.conv1);
      visit("conv2", m.conv2);
      visit("skip", m.skip);
    }
    Tensor operator()(const Tensor& x, const Grids& grids) const;
  };

  SaganConfig config;
  std::vector<Block> blocks;
  std::vector<SaganAttention> attention;
  Spectral<Linear> linear;   // [C 1]
  Spectral<Linear> classes;  // [C classes], the projections as columns

  static SaganDiscriminator make(Initialiser init, const SaganConfig& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("blocks", m.blocks);
    visit("attention", m.attention);
    visit("linear", m.linear);
    visit("classes", m.classes);
  }
  /// B pictures of size × size as rows [T channels], a class each -> how real they look [B 1].
  Tensor operator()(const Tensor& x, std::span<const std::int32_t> of) const;
};

/// How the two play against each other.
enum class GanLoss : std::uint8_t {
  hinge,     ///< mean relu(1 − real) + mean relu(1 + fake)
  softplus,  ///< mean log(1 + e^−real) + mean log(1 + e^fake)
};
constexpr std::array<std::string_view, 2> spelling(GanLoss) { return {"hinge", "softplus"}; }
/// The discriminator's, a scalar, of scores [2B 1]: B of real pictures, then B of made ones.
Tensor discriminator_loss(GanLoss loss, const Tensor& scores);
/// The hinge loss in its parts, of scores [B 1], scalars: mean relu(1 − real), mean relu(1 + fake),
/// and the generator's −mean fake, which is the generator's beside softplus too.
Tensor hinge_real(const Tensor& real);
Tensor hinge_fake(const Tensor& fake);
Tensor hinge_generator(const Tensor& fake);

}  // namespace qkv
