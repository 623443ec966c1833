#include "qkv/nn/quadratic_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/attention/attend.h"
#include "qkv/base/dims.h"
#include "qkv/base/error.h"
#include "qkv/ops/dispatch.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// A fresh parameter with every number replaced by f(index, number).
template <class F>
Tensor changed(Tensor t, F&& f) {
  change_each(t, f);
  return t;
}

}  // namespace

QuadraticAttention QuadraticAttention::make(Initialiser& init, const Config& c) {
  if (c.in <= 0 || c.out <= 0 || c.heads <= 0 || c.ring < 0) {
    fail<ShapeError>("quadratic attention: {} heads, {} to {} channels, ring {}", c.heads, c.in,
                     c.out, c.ring);
  }
  QuadraticAttention m;
  m.config = c;
  m.centres = init.normal({c.heads, 2}, c.centre_deviation);
  if (c.isotropic) {
    m.spread = changed(init.normal({c.heads}, c.spread_deviation),
                       [](std::int64_t, double x) { return 1 + x; });
  } else {
    m.spread = changed(init.normal({c.heads, 2, 2}, c.spread_deviation),
                       [](std::int64_t i, double x) { return (i % 4 == 0 || i % 4 == 3) + x; });
  }
  m.value = Linear::make(init, c.heads * c.in, c.out, c.bias);
  return m;
}

QuadraticAttention QuadraticAttention::of_convolution(const Tensor& kernel, const Tensor& bias,
                                                      const Convolution& how) {
  const Dims d("of_convolution", {{"kernel", kernel.shape(), "K K I O"}});
  const std::int64_t size = d["K"], before = (size - 1) / 2;
  // One ring of zeros serves all kernels: of a centre further out, the nearest key lies on it.
  const std::int64_t ring = size > 1 ? 1 : 0;
  Initialiser init = Initialiser::blank(kernel.dtype());
  QuadraticAttention m = make(
      init,
      {.in = d["I"], .out = d["O"], .heads = size * size, .bias = bias.defined(), .ring = ring});
  changed(m.centres, [&](std::int64_t i, double) {
    const std::int64_t entry = i % 2 == 0 ? i / 2 / size : i / 2 % size;
    return static_cast<double>((entry - before) * how.dilation);
  });
  changed(m.spread, [&](std::int64_t, double) { return std::sqrt(2 * how.alpha); });
  m.value.weight = parameter(kernel.clone().reshaped({size * size * d["I"], d["O"]}));
  if (bias.defined()) m.value.bias = parameter(bias.clone());
  return m;
}

Tensor QuadraticAttention::operator()(const Tensor& x, const Grid& grid, const Mask& seen) const {
  const Tensor wide = pad_grid(x, grid, config.ring);
  const std::int64_t pictures = x.dim(0) / grid.count(), keys = grid.wider(config.ring).count();
  const auto all = static_cast<std::size_t>(pictures);
  const Segments queries_of(std::vector<std::int64_t>(all, grid.count()));
  const Segments keys_of(std::vector<std::int64_t>(all, keys));
  // All heads look at the same pixels: one key and value head, the channels themselves.
  const Tensor heads =
      attend(quadratic_queries(centres, spread, grid, pictures),
             quadratic_keys(grid, config.ring, pictures, x.dtype()),
             reshape(wide, {wide.dim(0), 1, config.in}),
             {.score = ScaledDot{1.0}, .mask = segments(queries_of, keys_of) & seen});
  return value(reshape(heads, {x.dim(0), config.heads * config.in}));
}

}  // namespace qkv
