#include "qkv/models/quadratic_network.h"

#include <utility>

#include "qkv/attention/observer.h"
#include "qkv/base/error.h"
#include "qkv/nn/residual.h"
#include "qkv/ops/sequence.h"

namespace qkv {

void QuadraticNetwork::Config::check() const {
  for (const auto& [name, value] :
       {std::pair{"patch", patch}, std::pair{"channels", channels}, std::pair{"width", width},
        std::pair{"layers", layers}, std::pair{"heads", heads},
        std::pair{"feed_forward", feed_forward}, std::pair{"classes", classes}}) {
    if (value <= 0) fail("quadratic: {} is {}, must be positive", name, value);
  }
  if (ring < 0) fail("quadratic: ring is {}", ring);
  if (image.rows < patch || image.cols < patch || image.rows % patch != 0 ||
      image.cols % patch != 0) {
    fail("quadratic: an image of {} × {} is not made of patches of {}", image.rows, image.cols,
         patch);
  }
  if (!(dropout >= 0.0 && dropout < 1.0)) fail("quadratic: dropout {} is not in [0, 1)", dropout);
}

QuadraticNetwork QuadraticNetwork::make(Initialiser init, const Config& c) {
  c.check();
  QuadraticNetwork m;
  m.config = c;
  m.stem = Convolution::make(
      init, {.in = c.channels, .out = c.width, .size = c.patch, .stride = c.patch, .pad = 0});
  for (std::int64_t l = 0; l < c.layers; ++l) {
    QuadraticBlock block;
    block.norm1 = LayerNorm::make(init, c.width, c.norm_eps);
    block.attention = QuadraticAttention::make(
        init, {.in = c.width, .out = c.width, .heads = c.heads, .ring = c.ring});
    block.norm2 = LayerNorm::make(init, c.width, c.norm_eps);
    block.mlp = FeedForward::make(init, c.width, c.feed_forward, Activation::gelu, c.dropout);
    m.blocks.push_back(std::move(block));
  }
  m.norm = LayerNorm::make(init, c.width, c.norm_eps);
  m.head.weight = init.zeros({c.width, c.classes});
  m.head.bias = init.zeros({c.classes});
  return m;
}

Tensor QuadraticNetwork::operator()(const Tensor& x, const Grids& pictures) const {
  for (const Grid& grid : pictures.all()) {
    if (grid == config.image) continue;
    fail<ShapeError>("quadratic: a picture of {} × {}, the model reads {} × {} alone", grid.rows,
                     grid.cols, config.image.rows, config.image.cols);
  }
  const Grids grids = stem.over(pictures);
  ResidualStream stream(stem(x, pictures), NormPlacement::pre, config.dropout);
  const ModuleScope at("encoder");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const QuadraticBlock& block = blocks[i];
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    stream.sub_layer(block.norm1, [&](const Tensor& rows) {
      const ModuleScope self("self");
      return block.attention(rows, config.patches());
    });
    stream.sub_layer(block.norm2, [&](const Tensor& rows) { return block.mlp(rows); });
  }
  return head(segment_mean(stream.finish(norm), grids.segments()));
}

}  // namespace qkv
