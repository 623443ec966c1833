// What a SwinIR is made of: its configuration, fresh weights, the names of the published files.
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/models/sizes.h"
#include "qkv/models/swin_ir.h"
#include "qkv/nn/timm_names.h"
#include "qkv/nn/torch_names.h"

namespace qkv {
namespace {

constexpr std::int64_t kFeatures = 64;  // before the upsampling, in all published models

bool power_of_two(std::int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

void check_end(const SwinIr::Config& c) {
  switch (c.end) {
    case SwinIrEnd::pixel_shuffle:
      if (c.scale != 3 && (c.scale == 1 || !power_of_two(c.scale))) {
        fail("swin_ir: scale {} with 'pixelshuffle' is neither 3 nor a power of 2", c.scale);
      }
      break;
    case SwinIrEnd::pixel_shuffle_direct:
      break;
    case SwinIrEnd::nearest_conv:
      if (c.scale != 2 && c.scale != 4) {
        fail("swin_ir: scale {} with 'nearest+conv' is neither 2 nor 4", c.scale);
      }
      break;
    case SwinIrEnd::none:
      if (c.scale != 1) fail("swin_ir: scale {} needs an upsampler", c.scale);
      if (c.residual != SwinIrResidual::none) {
        fail("swin_ir: without an upsampler the picture is added already; residual must be none");
      }
      break;
  }
}

/// Weights N(0, .02²) within two deviations and biases 0, as the published code draws its products.
Linear& redraw(Initialiser& init, Linear& linear) {
  linear.weight = init.truncated_normal(linear.weight.shape(), 0.02);
  return linear;
}

SwinLayer layer_of(Initialiser& init, const SwinIr::Config& c, std::int64_t heads, double drop) {
  SwinLayer m;
  m.norm1 = LayerNorm::make(init, c.width, 1e-5);
  m.attention = WindowAttention::make(init, {.width = c.width, .heads = heads, .window = c.window});
  m.norm2 = LayerNorm::make(init, c.width, 1e-5);
  const auto hidden = static_cast<std::int64_t>(static_cast<double>(c.width) * c.mlp_ratio);
  m.feed_forward = FeedForward::make(init, c.width, hidden, Activation::gelu, 0.0);
  MultiHead& h = m.attention.heads;
  for (Linear* linear : {&h.q, &h.k, &h.v, &h.o, &m.feed_forward.inner, &m.feed_forward.outer}) {
    redraw(init, *linear);
  }
  m.drop_path = drop;
  return m;
}

void make_end(Initialiser& init, const SwinIr::Config& c, SwinIr& m) {
  const auto conv = [&](std::int64_t in, std::int64_t out) {
    return Convolution::make(init, {.in = in, .out = out});
  };
  if (c.end == SwinIrEnd::none) {
    m.last = conv(c.width, c.channels);
    return;
  }
  if (c.end == SwinIrEnd::pixel_shuffle_direct) {
    m.upsample.push_back(conv(c.width, c.scale * c.scale * c.channels));
    return;
  }
  m.before_upsample = conv(c.width, kFeatures);
  const bool shuffle = c.end == SwinIrEnd::pixel_shuffle;
  const std::int64_t factor = c.scale == 3 ? 3 : 2;
  for (std::int64_t done = 1; done < c.scale; done *= factor) {
    m.upsample.push_back(conv(kFeatures, shuffle ? factor * factor * kFeatures : kFeatures));
  }
  if (!shuffle) m.high = conv(kFeatures, kFeatures);
  m.last = conv(kFeatures, c.channels);
}

void list_joint(const SwinIrConvolutions& m, const std::string& prefix, StateEntries& entries) {
  if (m.layers.size() == 1) return list_state(m.layers[0], prefix + ".", entries);
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    list_state(m.layers[i], prefix + "." + std::to_string(2 * i) + ".", entries);
  }
}

void list_end(const SwinIr& m, StateEntries& entries) {
  const bool shuffle = m.config.end == SwinIrEnd::pixel_shuffle;
  if (m.before_upsample.weight.defined()) {
    list_state(m.before_upsample, "conv_before_upsample.0.", entries);
  }
  for (std::size_t i = 0; i < m.upsample.size(); ++i) {
    const std::string name = m.config.end == SwinIrEnd::nearest_conv
                                 ? "conv_up" + std::to_string(i + 1)
                                 : "upsample." + std::to_string(shuffle ? 2 * i : i);
    list_state(m.upsample[i], name + ".", entries);
  }
  if (m.high.weight.defined()) list_state(m.high, "conv_hr.", entries);
  if (m.last.weight.defined()) list_state(m.last, "conv_last.", entries);
}

}  // namespace

void SwinIr::Config::check() const {
  for (const auto& [name, value] : {std::pair{"channels", channels}, std::pair{"scale", scale},
                                    std::pair{"width", width}, std::pair{"window", window}}) {
    if (value <= 0) fail("swin_ir: {} is {}, must be positive", name, value);
  }
  if (window < 2) fail("swin_ir: windows of one pixel cannot be shifted");
  if (!(range > 0)) fail("swin_ir: range is {}", range);
  if (!(mlp_ratio > 0)) fail("swin_ir: mlp_ratio is {}", mlp_ratio);
  if (!(drop_path >= 0 && drop_path < 1)) fail("swin_ir: drop_path {} is not in [0, 1)", drop_path);
  if (depths.empty() || depths.size() != heads.size()) {
    fail("swin_ir: {} depths and {} numbers of heads; one of each a group", depths.size(),
         heads.size());
  }
  for (std::size_t g = 0; g < depths.size(); ++g) {
    if (depths[g] < 1) fail("swin_ir: a group of {} layers", depths[g]);
    if (heads[g] < 1 || width % heads[g] != 0) {
      fail("swin_ir: width {} is no multiple of {} heads", width, heads[g]);
    }
  }
  if (joint == SwinIrJoint::three_conv && width % 4 != 0) {
    fail("swin_ir: width {} has no quarter for '3conv'", width);
  }
  check_end(*this);
}

SwinIrConvolutions SwinIrConvolutions::make(Initialiser& init, std::int64_t width,
                                            SwinIrJoint joint) {
  SwinIrConvolutions m;
  const auto conv = [&](std::int64_t in, std::int64_t out, std::int64_t size) {
    m.layers.push_back(
        Convolution::make(init, {.in = in, .out = out, .size = size, .pad = size / 2}));
  };
  if (joint == SwinIrJoint::one_conv) {
    conv(width, width, 3);
  } else {
    conv(width, width / 4, 3);
    conv(width / 4, width / 4, 1);
    conv(width / 4, width, 3);
  }
  return m;
}

SwinIr SwinIr::make(Initialiser init, const Config& c) {
  c.check();
  SwinIr m;
  m.config = c;
  m.first = Convolution::make(init, {.in = c.channels, .out = c.width});
  m.patch_norm = LayerNorm::make(init, c.width, 1e-5);
  std::int64_t all = 0, done = 0;
  for (const std::int64_t depth : c.depths) all += depth;
  for (std::size_t g = 0; g < c.depths.size(); ++g) {
    SwinIrGroup group;
    for (std::int64_t l = 0; l < c.depths[g]; ++l, ++done) {
      const double drop =
          all > 1 ? c.drop_path * static_cast<double>(done) / static_cast<double>(all - 1) : 0.0;
      group.blocks.push_back(layer_of(init, c, c.heads[g], drop));
    }
    group.joint = SwinIrConvolutions::make(init, c.width, c.joint);
    m.groups.push_back(std::move(group));
  }
  m.norm = LayerNorm::make(init, c.width, 1e-5);
  m.after_body = SwinIrConvolutions::make(init, c.width, c.joint);
  make_end(init, c, m);
  if (c.residual == SwinIrResidual::bicubic) {
    Convolution& end = c.end == SwinIrEnd::pixel_shuffle_direct ? m.upsample[0] : m.last;
    end.weight = init.zeros(end.weight.shape());
    end.bias = init.zeros(end.bias.shape());
  }
  return m;
}

SwinIr::Config swin_ir_sizes(std::string_view name, std::int64_t scale) {
  struct Size {
    std::string_view name;
    std::int64_t channels, width, groups, heads, window, only;
    double range;
    SwinIrEnd end;
  };
  constexpr Size kSizes[] = {{"classical", 3, 180, 6, 6, 8, 0, 1, SwinIrEnd::pixel_shuffle},
                             {"lightweight", 3, 60, 4, 6, 8, 0, 1, SwinIrEnd::pixel_shuffle_direct},
                             {"real-m", 3, 180, 6, 6, 8, 4, 1, SwinIrEnd::nearest_conv},
                             {"real-l", 3, 240, 9, 8, 8, 4, 1, SwinIrEnd::nearest_conv},
                             {"denoise-colour", 3, 180, 6, 6, 8, 1, 1, SwinIrEnd::none},
                             {"denoise-grey", 1, 180, 6, 6, 8, 1, 1, SwinIrEnd::none},
                             {"jpeg-colour", 3, 180, 6, 6, 7, 1, 255, SwinIrEnd::none},
                             {"jpeg-grey", 1, 180, 6, 6, 7, 1, 255, SwinIrEnd::none}};
  const Size& s = size_named(kSizes, "swin_ir", name);
  if (s.only != 0 && scale != s.only) {
    fail("swin_ir '{}' is for scale {}, not {}", name, s.only, scale);
  }
  SwinIr::Config c;
  c.channels = s.channels;
  c.scale = scale;
  c.range = s.range;
  c.width = s.width;
  c.depths.assign(static_cast<std::size_t>(s.groups), 6);
  c.heads.assign(static_cast<std::size_t>(s.groups), s.heads);
  c.window = s.window;
  c.end = s.end;
  if (name == "real-l") c.joint = SwinIrJoint::three_conv;
  c.check();
  return c;
}

StateEntries state_entries(const SwinIr& m) {
  StateEntries entries;
  list_state(m.first, "conv_first.", entries);
  list_state(m.patch_norm, "patch_embed.norm.", entries);
  for (std::size_t g = 0; g < m.groups.size(); ++g) {
    const std::string group = "layers." + std::to_string(g) + ".";
    for (std::size_t l = 0; l < m.groups[g].blocks.size(); ++l) {
      const SwinLayer& layer = m.groups[g].blocks[l];
      const std::string at = group + "residual_group.blocks." + std::to_string(l) + ".";
      list_state(layer.norm1, at + "norm1.", entries);
      list_state(layer.attention, at + "attn.", entries);
      list_state(layer.norm2, at + "norm2.", entries);
      list_timm_mlp(layer.feed_forward, at + "mlp.", entries);
    }
    list_joint(m.groups[g].joint, group + "conv", entries);
  }
  list_state(m.norm, "norm.", entries);
  list_joint(m.after_body, "conv_after_body", entries);
  list_end(m, entries);
  return entries;
}

StateDict weights_of_swin_ir(const StateDict& file) {
  constexpr std::string_view kAveraged = "params_ema.", kPlain = "params.";
  std::string_view prefix;
  for (const auto& [name, tensor] : file) {
    if (name.starts_with(kAveraged)) prefix = kAveraged;
    if (name.starts_with(kPlain) && prefix.empty()) prefix = kPlain;
  }
  StateDict weights;
  for (const auto& [name, tensor] : file) {
    if (!name.starts_with(prefix)) continue;
    std::string_view own = std::string_view(name).substr(prefix.size());
    if (own.ends_with(".relative_position_index") || own.ends_with(".attn_mask")) continue;
    weights.emplace_back(own, tensor);
  }
  return weights;
}

}  // namespace qkv
