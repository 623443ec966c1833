#include "qkv/nn/batch_norm.h"

#include <vector>

#include "qkv/ops/columns.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

void follow(const Buffer& moving, const Tensor& batch, double decay, double factor) {
  Tensor numbers = moving.value;
  change_each(numbers, [&](std::int64_t c, double old) {
    return decay * old + (1.0 - decay) * factor * number(batch, c);
  });
}

Tensor row(const Tensor& x) { return reshape(x, {1, x.dim(0)}); }

}  // namespace

MovingStatistics MovingStatistics::make(Initialiser& init, const BatchNormConfig& c) {
  if (c.width < 1 || !(c.eps > 0) || !(c.decay >= 0 && c.decay <= 1)) {
    fail<ShapeError>("batch norm: width {}, eps {}, decay {}", c.width, c.eps, c.decay);
  }
  return {c, {Tensor::zeros({c.width}, init.type())}, {Tensor::full({c.width}, 1.0, init.type())}};
}

Tensor MovingStatistics::operator()(const Tensor& x) const {
  if (!recording()) return standardise_columns(x, mean.value, variance.value, config.eps);
  const Standardised batch = standardise_columns(x, config.eps);
  const auto rows = static_cast<double>(x.dim(0));
  if (!buffers_move() || rows == 0) return batch.out;
  double factor = 1.0;
  if (config.variance == MovingVariance::unbiased) {
    if (rows < 2) fail<ShapeError>("batch norm: a batch of one row has no unbiased variance");
    factor = rows / (rows - 1);
  }
  follow(mean, batch.mean, config.decay, 1.0);
  follow(variance, batch.variance, config.decay, factor);
  return batch.out;
}

BatchNorm BatchNorm::make(Initialiser& init, const Config& c) {
  BatchNorm m;
  m.moving = MovingStatistics::make(init, c);
  m.weight = init.ones({c.width});
  m.bias = init.zeros({c.width});
  return m;
}

Tensor BatchNorm::operator()(const Tensor& x) const {
  return scale_columns(moving(x), row(weight), row(bias));
}

ConditionalBatchNorm ConditionalBatchNorm::make(Initialiser& init, const Config& c) {
  if (c.classes < 1) fail<ShapeError>("batch norm: {} classes", c.classes);
  ConditionalBatchNorm m;
  m.moving = MovingStatistics::make(init, c.norm);
  m.weight = init.ones({c.classes, c.norm.width});
  m.bias = init.zeros({c.classes, c.norm.width});
  return m;
}

Tensor ConditionalBatchNorm::operator()(const Tensor& x, const Segments& pictures,
                                        std::span<const std::int32_t> classes) const {
  if (static_cast<std::int64_t>(classes.size()) != pictures.count() ||
      x.dim(0) != pictures.total()) {
    fail<ShapeError>("batch norm: {} classes for {} pictures of {} rows, x {}", classes.size(),
                     pictures.count(), pictures.total(), to_string(x.shape()));
  }
  std::vector<std::int32_t> rows;
  rows.reserve(static_cast<std::size_t>(x.dim(0)));
  for (std::int64_t b = 0; b < pictures.count(); ++b) {
    rows.insert(rows.end(), static_cast<std::size_t>(pictures.length(b)),
                classes[static_cast<std::size_t>(b)]);
  }
  return scale_columns(moving(x), weight, bias, rows);
}

void list_state(const BatchNorm& m, const std::string& prefix, StateEntries& entries) {
  entries.push_back({prefix + "weight", {m.weight}});
  entries.push_back({prefix + "bias", {m.bias}});
  entries.push_back({prefix + "running_mean", {m.moving.mean.value}});
  entries.push_back({prefix + "running_var", {m.moving.variance.value}});
}

}  // namespace qkv
