#include "qkv/models/mixer.h"

#include <string>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/models/sizes.h"
#include "qkv/nn/residual.h"
#include "qkv/nn/timm_names.h"
#include "qkv/nn/torch_names.h"
#include "qkv/ops/features.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"

namespace qkv {

void Mixer::Config::check() const {
  for (const auto& [name, value] :
       {std::pair{"patch", patch}, std::pair{"channels", channels}, std::pair{"width", width},
        std::pair{"layers", layers}, std::pair{"token_width", token_width},
        std::pair{"channel_width", channel_width}}) {
    if (value <= 0) fail("mixer: {} is {}, must be positive", name, value);
  }
  if (classes < 0) fail("mixer: classes is {}", classes);
  if (image.rows < patch || image.cols < patch || image.rows % patch != 0 ||
      image.cols % patch != 0) {
    fail("mixer: an image of {} × {} is not made of patches of {}", image.rows, image.cols, patch);
  }
  if (!(dropout >= 0.0 && dropout < 1.0)) fail("mixer: dropout {} is not in [0, 1)", dropout);
}

std::int64_t Mixer::Config::parameters() const {
  const std::int64_t c = width, s = patches().count(), ds = token_width, dc = channel_width;
  return (channels * patch * patch + 1) * c +
         layers * (4 * c + 2 * s * ds + ds + s + 2 * c * dc + dc + c) + 2 * c + (c + 1) * classes;
}

Mixer Mixer::make(Initialiser init, const Config& c) {
  c.check();
  Mixer m;
  m.config = c;
  m.stem = Convolution::make(
      init, {.in = c.channels, .out = c.width, .size = c.patch, .stride = c.patch, .pad = 0});
  for (std::int64_t l = 0; l < c.layers; ++l) {
    MixerBlock block;
    block.norm1 = LayerNorm::make(init, c.width, c.norm_eps);
    block.tokens =
        FeedForward::make(init, c.patches().count(), c.token_width, c.activation, c.dropout);
    block.norm2 = LayerNorm::make(init, c.width, c.norm_eps);
    block.channels = FeedForward::make(init, c.width, c.channel_width, c.activation, c.dropout);
    m.blocks.push_back(std::move(block));
  }
  m.norm = LayerNorm::make(init, c.width, c.norm_eps);
  if (c.classes > 0) {
    m.head.weight = init.zeros({c.width, c.classes});
    m.head.bias = init.zeros({c.classes});
  }
  return m;
}

Tensor mix_tokens(const Tensor& x, std::int64_t patches, const FeedForward& f) {
  if (patches < 1 || x.shape().rank() != 2 || x.dim(0) % patches != 0) {
    fail<ShapeError>("mix_tokens: x {} is not made of pictures of {} patches", to_string(x.shape()),
                     patches);
  }
  const std::int64_t pictures = x.dim(0) / patches, width = x.dim(1);
  const Tensor by_channel = transposed(reshape(x, {pictures, patches, width}));
  const Tensor mixed = f(reshape(by_channel, {pictures * width, patches}));
  return reshape(transposed(reshape(mixed, {pictures, width, patches})), x.shape());
}

Tensor Mixer::mixed(const Tensor& x, const Grids& pictures, std::int64_t layers) const {
  for (const Grid& grid : pictures.all()) {
    if (!(grid == config.image)) {
      fail<ShapeError>("mixer: a picture of {} × {}, the model reads {} × {} alone", grid.rows,
                       grid.cols, config.image.rows, config.image.cols);
    }
  }
  ResidualStream stream(stem(x, pictures), NormPlacement::pre, config.dropout);
  for (std::int64_t l = 0; l < layers; ++l) {
    const MixerBlock& block = blocks[static_cast<std::size_t>(l)];
    stream.sub_layer(block.norm1, [&](const Tensor& rows) {
      return mix_tokens(rows, config.patches().count(), block.tokens);
    });
    stream.sub_layer(block.norm2, [&](const Tensor& rows) { return block.channels(rows); });
  }
  return stream.finish(LayerNorm{});
}

Tensor Mixer::operator()(const Tensor& x, const Grids& pictures) const {
  const Tensor rows = norm(mixed(x, pictures, config.layers));
  const Tensor mean = segment_mean(rows, stem.over(pictures).segments());
  return head.weight.defined() ? head(mean) : mean;
}

Mixer::Config mixer_sizes(std::string_view name) {
  struct Size {
    std::string_view name;
    std::int64_t patch, width, layers, tokens, channels;
  };
  constexpr Size kSizes[] = {{"s/32", 32, 512, 8, 256, 2048},   {"s/16", 16, 512, 8, 256, 2048},
                             {"b/32", 32, 768, 12, 384, 3072},  {"b/16", 16, 768, 12, 384, 3072},
                             {"l/32", 32, 1024, 24, 512, 4096}, {"l/16", 16, 1024, 24, 512, 4096},
                             {"h/14", 14, 1280, 32, 640, 5120}};
  const Size& s = size_named(kSizes, "mixer", name);
  Mixer::Config c;
  c.patch = s.patch;
  c.width = s.width;
  c.layers = s.layers;
  c.token_width = s.tokens;
  c.channel_width = s.channels;
  return c;
}

StateEntries state_entries(const Mixer& m) {
  StateEntries entries;
  list_state(m.stem, "stem.proj.", entries);
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const MixerBlock& block = m.blocks[i];
    const std::string at = "blocks." + std::to_string(i) + ".";
    list_state(block.norm1, at + "norm1.", entries);
    list_timm_mlp(block.tokens, at + "mlp_tokens.", entries);
    list_state(block.norm2, at + "norm2.", entries);
    list_timm_mlp(block.channels, at + "mlp_channels.", entries);
  }
  list_state(m.norm, "norm.", entries);
  list_state(m.head, "head.", entries);
  return entries;
}

}  // namespace qkv
