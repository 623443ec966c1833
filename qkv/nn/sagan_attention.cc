#include "qkv/nn/sagan_attention.h"

#include "qkv/attention/attend.h"
#include "qkv/attention/observer.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/features.h"
#include "qkv/ops/pixels.h"
#include "qkv/ops/shape.h"

namespace qkv {

SaganAttention SaganAttention::make(Initialiser& init, const Config& c) {
  if (c.width < 8 || c.width % 8 != 0) {
    fail<ShapeError>("sagan attention: width {} is no multiple of 8", c.width);
  }
  const std::int64_t narrow = c.width / 8;
  const std::int64_t values = c.form == SaganForm::paper ? narrow : c.width / 2;
  const auto product = [&](std::int64_t in, std::int64_t out) {
    return Spectral<Linear>::of(init, Linear::make(init, in, out, false));
  };
  SaganAttention m;
  m.config = c;
  m.query = product(c.width, narrow);
  m.key = product(c.width, narrow);
  m.value = product(c.width, values);
  m.output = product(values, c.width);
  m.gamma = init.zeros({1});
  return m;
}

Tensor SaganAttention::operator()(const Tensor& x, const Grids& grids) const {
  const auto product = [this](const Spectral<Linear>& linear, const Tensor& rows) {
    return config.spectral ? linear(rows) : linear.module(rows);
  };
  const auto one_head = [](const Tensor& rows) {
    return reshape(rows, {rows.dim(0), 1, rows.dim(1)});
  };
  Tensor k = product(key, x), v = product(value, x);
  Grids seen = grids;
  if (config.form == SaganForm::released) {
    const PixelWindow half = PixelWindow::square(2, 2);
    for (const Grid& grid : grids.all()) {
      if (grid.count() > 0 && half.over(grid).count() == 0) {
        fail<ShapeError>("sagan attention: a picture of {} × {} has no 2 × 2 pixels to pool",
                         grid.rows, grid.cols);
      }
    }
    k = max_pool(k, grids, half);
    v = max_pool(v, grids, half);
    seen = grids.over(half);
  }
  const ModuleScope at("attention");
  const Tensor heads =
      attend(one_head(product(query, x)), one_head(k), one_head(v),
             {.score = ScaledDot{1.0}, .mask = segments(grids.segments(), seen.segments())});
  const Tensor o = product(output, reshape(heads, {x.dim(0), v.dim(1)}));
  return add(x, reshape(scale_features(one_head(o), reshape(gamma, {1, 1})), x.shape()));
}

}  // namespace qkv
