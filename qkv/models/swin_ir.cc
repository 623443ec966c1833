#include "qkv/models/swin_ir.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "qkv/attention/observer.h"
#include "qkv/base/error.h"
#include "qkv/models/swin_ir_parts.h"
#include "qkv/nn/residual.h"
#include "qkv/ops/columns.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/pixels.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

constexpr double kMean[] = {0.4488, 0.4371, 0.4040};  // of RGB, of DIV2K

/// Rows in the order of windows, without and with a shift, and the ways between the orders.
struct Orders {
  Windows windows[2];
  Permutation across[2];  // to order i from the other one

  Orders(const Grids& grids, std::int64_t window)
      : windows{Windows::of(grids, window, 0), Windows::of(grids, window, window / 2)},
        across{windows[0].order.after(windows[1].reverse),
               windows[1].order.after(windows[0].reverse)} {}
};

/// f(i, its result in windows order i % 2) behind each layer; gives the last one row by row.
template <class F>
Tensor layers_of(const SwinIrGroup& group, const Tensor& x, const Orders& orders, F&& f) {
  Tensor y = x;
  for (std::size_t i = 0; i < group.blocks.size(); ++i) {
    const ModuleScope at("blocks", static_cast<std::int64_t>(i));
    const std::size_t side = i % 2;
    y = permute_rows(y, i == 0 ? orders.windows[0].order : orders.across[side]);
    y = swin_layer(group.blocks[i], y, orders.windows[side]);
    f(side, y);
  }
  return permute_rows(y, orders.windows[(group.blocks.size() - 1) % 2].reverse);
}

struct Padded {
  Grids grids;
  std::vector<std::int64_t> rows;  // of the pictures as they were
};

Padded pad(const Grids& pictures, std::int64_t window, SwinIrPadding padding) {
  std::vector<Grid> grids;
  std::vector<std::int64_t> rows;
  for (std::int64_t b = 0; b < pictures.count(); ++b) {
    const SwinIrAxis down(pictures[b].rows, window, padding),
        across(pictures[b].cols, window, padding);
    grids.push_back({down.padded, across.padded});
    for (std::int64_t r = 0; r < down.padded; ++r) {
      const std::int64_t begin = pictures.begin(b) + down.pixel(r) * across.n;
      for (std::int64_t c = 0; c < across.padded; ++c) rows.push_back(begin + across.pixel(c));
    }
  }
  return {Grids(std::move(grids)), std::move(rows)};
}

/// The rows of the pictures within larger ones.
std::vector<std::int64_t> cut(const Grids& wanted, const Grids& from) {
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(wanted.total()));
  for (std::int64_t b = 0; b < wanted.count(); ++b) {
    for (std::int64_t r = 0; r < wanted[b].rows; ++r) {
      for (std::int64_t c = 0; c < wanted[b].cols; ++c) {
        rows.push_back(from.begin(b) + r * from[b].cols + c);
      }
    }
  }
  return rows;
}

Tensor body(const SwinIr& m, const Tensor& x, const Grids& grids) {
  if (grids.total() == 0) return x;
  const Orders orders(grids, m.config.window);
  Tensor y = m.patch_norm(x);
  for (std::size_t g = 0; g < m.groups.size(); ++g) {
    const ModuleScope at("layers", static_cast<std::int64_t>(g));
    const Tensor features = layers_of(m.groups[g], y, orders, [](std::size_t, const Tensor&) {});
    y = add(m.groups[g].joint(features, grids), y);
  }
  return add(m.after_body(m.norm(y), grids), x);
}

/// Features to the picture, on grids.times(scale).
Tensor finished(const SwinIr& m, const Tensor& features, const Grids& grids) {
  Tensor y = features;
  Grids at = grids;
  switch (m.config.end) {
    case SwinIrEnd::none:
      return m.last(y, at);
    case SwinIrEnd::pixel_shuffle_direct:
      return pixel_shuffle(m.upsample[0](y, at), at, m.config.scale);
    case SwinIrEnd::pixel_shuffle: {
      y = leaky_relu(m.before_upsample(y, at), kSwinIrTail);
      const std::int64_t factor = m.config.scale == 3 ? 3 : 2;
      for (const Convolution& c : m.upsample) {
        y = pixel_shuffle(c(y, at), at, factor);
        at = at.times(factor);
      }
      return m.last(y, at);
    }
    case SwinIrEnd::nearest_conv:
      y = leaky_relu(m.before_upsample(y, at), kSwinIrTail);
      for (const Convolution& c : m.upsample) {
        y = upsample_nearest(y, at, 2);
        at = at.times(2);
        y = leaky_relu(c(y, at), kSwinIrBetween);
      }
      return m.last(leaky_relu(m.high(y, at), kSwinIrBetween), at);
  }
  return y;
}

}  // namespace

Tensor swin_layer(const SwinLayer& m, const Tensor& x, const Windows& windows) {
  ResidualStream stream(x, NormPlacement::pre, 0.0);
  stream.sub_layer(m.norm1, [&](const Tensor& rows) {
    const ModuleScope at("attn");
    return drop_pictures(m.attention(rows, windows), windows.pictures, m.drop_path);
  });
  stream.sub_layer(m.norm2, [&](const Tensor& rows) {
    return drop_pictures(m.feed_forward(rows), windows.pictures, m.drop_path);
  });
  return stream.finish(LayerNorm{});
}

Tensor swin_ir_moved(const Tensor& x, double factor, double offset) {
  const std::int64_t channels = x.dim(1);
  const Tensor by = Tensor::full({1, channels}, factor, x.dtype());
  const Tensor plus = generated({1, channels}, x.dtype(), [&](std::int64_t c) {
    return channels == 3 ? offset * kMean[c] : 0.0;
  });
  return scale_columns(x, by, plus);
}

SwinIrAxis::SwinIrAxis(std::int64_t size, std::int64_t window, SwinIrPadding padding)
    : n(size), padded(size) {
  if (size == 0) fail<ShapeError>("swin_ir: a picture without a pixel");
  const bool flip = padding == SwinIrPadding::flip;
  padded = flip ? (size / window + 1) * window : (size + window - 1) / window * window;
  edge_twice = flip || padded - size >= size;  // a reflection would not reach
}

std::int64_t SwinIrAxis::pixel(std::int64_t i) const {
  const std::int64_t period = edge_twice ? 2 * n : std::max<std::int64_t>(1, 2 * (n - 1));
  const std::int64_t place = i % period;
  return place < n ? place : period - place - (edge_twice ? 1 : 0);
}

Tensor SwinIrConvolutions::operator()(const Tensor& x, const Grids& grids) const {
  Tensor y = layers[0](x, grids);
  for (std::size_t i = 1; i < layers.size(); ++i)
    y = layers[i](leaky_relu(y, kSwinIrBetween), grids);
  return y;
}

Tensor SwinIr::operator()(const Tensor& x, const Grids& pictures, SwinIrPadding padding) const {
  if (x.shape() != Shape{pictures.total(), config.channels}) {
    fail<ShapeError>("swin_ir: x {} for {} pixels of {} channels", to_string(x.shape()),
                     pictures.total(), config.channels);
  }
  const Padded padded = pad(pictures, config.window, padding);
  const bool bicubic = config.residual == SwinIrResidual::bicubic;
  const double range = config.range, mean = bicubic ? 0.0 : 1.0;
  const Tensor in = swin_ir_moved(select_rows(x, padded.rows), range, -range * mean);
  const Tensor features = body(*this, first(in, padded.grids), padded.grids);
  Tensor y = finished(*this, features, padded.grids);
  if (config.end == SwinIrEnd::none) y = add(in, y);
  const Grids out = pictures.times(config.scale);
  y = select_rows(swin_ir_moved(y, 1.0 / range, mean), cut(out, padded.grids.times(config.scale)));
  return bicubic ? add(y, enlarge_bicubic(x, pictures, config.scale)) : y;
}

std::vector<Tensor> SwinIr::first_group(const Tensor& x, const Grids& pictures) const {
  const Orders orders(pictures, config.window);
  std::vector<Tensor> seen{first(swin_ir_moved(x, config.range, -config.range), pictures)};
  seen.push_back(patch_norm(seen[0]));
  layers_of(groups[0], seen[1], orders, [&](std::size_t side, const Tensor& y) {
    seen.push_back(permute_rows(y, orders.windows[side].reverse));
  });
  return seen;
}

}  // namespace qkv
