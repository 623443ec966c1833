#include "qkv/models/picture_network.h"

#include <utility>

#include "qkv/base/error.h"

namespace qkv {
namespace {

Vit::Config vit_config(const PictureNetwork::Config& c) {
  Vit::Config v;
  v.image = {c.side, c.side};
  v.patch = c.patch;
  v.channels = c.channels;
  v.width = c.width;
  v.layers = c.layers;
  v.heads = c.heads;
  v.feed_forward = c.feed_forward;
  v.classes = c.classes;
  v.dropout = c.dropout;
  return v;
}

Mixer::Config mixer_config(const PictureNetwork::Config& c) {
  Mixer::Config m;
  m.image = {c.side, c.side};
  m.patch = c.patch;
  m.channels = c.channels;
  m.width = c.width;
  m.layers = c.layers;
  m.token_width = c.token_width;
  m.channel_width = c.feed_forward;
  m.classes = c.classes;
  m.dropout = c.dropout;
  return m;
}

PictureCnn::Config cnn_config(const PictureNetwork::Config& c) {
  return {.channels = c.channels, .classes = c.classes, .widths = c.widths, .strides = c.strides};
}

QuadraticNetwork::Config quadratic_config(const PictureNetwork::Config& c) {
  return {.image = {c.side, c.side},
          .patch = c.patch,
          .channels = c.channels,
          .width = c.width,
          .layers = c.layers,
          .heads = c.heads,
          .feed_forward = c.feed_forward,
          .ring = c.ring,
          .classes = c.classes,
          .dropout = c.dropout};
}

}  // namespace

void PictureNetwork::Config::check() const {
  check_ranges(*this);
  if (side < 1) fail("picture network: side is {}, must be at least 1", side);
  if (channels != 1 && channels != 3) fail("picture network: {} channels, not 1 or 3", channels);
  if (classes < 2) fail("picture network: classes is {}, must be at least 2", classes);
  switch (kind) {
    case PictureKind::vit:
      return vit_config(*this).check();
    case PictureKind::mixer:
      return mixer_config(*this).check();
    case PictureKind::cnn:
      return cnn_config(*this).check();
    case PictureKind::quadratic:
      return quadratic_config(*this).check();
  }
}

Grid PictureNetwork::Config::places() const {
  if (kind != PictureKind::cnn) return {side / patch, side / patch};
  std::int64_t places = side;
  for (const std::int64_t stride : strides) places = (places - 1) / stride + 1;
  return {places, places};
}

PictureNetwork PictureNetwork::make(Initialiser init, const Config& c) {
  c.check();
  PictureNetwork m;
  m.config = c;
  switch (c.kind) {
    case PictureKind::vit:
      m.network = Vit::make(init, vit_config(c));
      break;
    case PictureKind::mixer:
      m.network = Mixer::make(init, mixer_config(c));
      break;
    case PictureKind::cnn:
      m.network = PictureCnn::make(init, cnn_config(c));
      break;
    case PictureKind::quadratic:
      m.network = QuadraticNetwork::make(init, quadratic_config(c));
      break;
  }
  return m;
}

Tensor PictureNetwork::operator()(const Tensor& x) const {
  const Grid image{config.side, config.side};
  if (x.shape().rank() != 2 || x.dim(1) != config.channels || x.dim(0) % image.count() != 0) {
    fail<ShapeError>("picture network: x {} is not made of pictures of {} × {} pixels of {}",
                     to_string(x.shape()), image.rows, image.cols, config.channels);
  }
  const Grids pictures = Grids::of(x.dim(0) / image.count(), image);
  return std::visit([&](const auto& held) { return held(x, pictures); }, network);
}

}  // namespace qkv
