#include "qkv/models/sagan.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/ops/columns.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/features.h"
#include "qkv/ops/loss.h"
#include "qkv/ops/pixels.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

constexpr std::int64_t kStart = 4;  // the side of the smallest maps
// Beyond these no product of sizes passes 64 bits, nor a picture any memory.
constexpr std::int64_t kMostSize = 1024, kMostWidth = 4096, kMostNoise = 1 << 16;

Tensor relu(const Tensor& x) { return activate(x, Activation::relu); }

/// Xavier-uniform over the kernel's fans, bias 0, as the released code draws them.
Spectral<Convolution> convolution(Initialiser& init, std::int64_t in, std::int64_t out,
                                  std::int64_t size) {
  Convolution m = Convolution::make(init, {.in = in, .out = out, .size = size, .pad = size / 2});
  m.weight = init.xavier(m.weight.shape(), 1.0, size * size * (in + out));
  m.bias = init.zeros({out});
  return Spectral<Convolution>::of(init, std::move(m));
}

BatchNormConfig norm_config(std::int64_t width, double decay) {
  return {.width = width, .decay = decay, .variance = MovingVariance::biased};
}

void attend_here(Initialiser& init, const SaganConfig& c, std::int64_t side, std::int64_t width,
                 std::vector<SaganAttention>& attention) {
  if (side == c.attention) {
    attention.push_back(SaganAttention::make(init, {.width = width, .form = c.form}));
  }
}

void check_rows(const char* what, std::int64_t rows, std::size_t classes) {
  if (rows != static_cast<std::int64_t>(classes)) {
    fail<ShapeError>("sagan: {} classes for {} {}", classes, rows, what);
  }
}

}  // namespace

void SaganConfig::check() const {
  for (const auto& [name, value] : {std::pair{"channels", channels}, std::pair{"width", width},
                                    std::pair{"noise", noise}, std::pair{"classes", classes}}) {
    if (value <= 0) fail("sagan: {} is {}, must be positive", name, value);
  }
  for (const auto& [name, value, most] :
       {std::tuple{"size", size, kMostSize}, std::tuple{"width", width, kMostWidth},
        std::tuple{"channels", channels, std::int64_t{3}}, std::tuple{"noise", noise, kMostNoise},
        std::tuple{"classes", classes, kMostNoise}}) {
    if (value > most) fail("sagan: {} is {}, at most {}", name, value, most);
  }
  if (!(moving_decay >= 0 && moving_decay < 1)) {
    fail("sagan: moving_decay is {}, must be at least 0 and below 1", moving_decay);
  }
  if (size < 2 * kStart || (size & (size - 1)) != 0) {
    fail("sagan: size {} is not 8, 16, 32 …", size);
  }
  const bool power = attention > 0 && (attention & (attention - 1)) == 0;
  if (attention != 0 && !(power && attention >= 2 * kStart && attention < size)) {
    fail("sagan: attention at {} is no size of maps of both networks: 8, 16 … below {}, or 0",
         attention, size);
  }
  // The discriminator's maps at that side; the generator's have twice as many.
  const std::int64_t attending = attention > 0 ? width * (size / attention) / 2 : 8;
  if (attending % 8 != 0) {
    fail("sagan: width {} gives {} channels where maps attend, not a multiple of 8", width,
         attending);
  }
}

std::int64_t SaganConfig::levels() const {
  std::int64_t levels = 0;
  for (std::int64_t side = kStart; side < size; side *= 2) ++levels;
  return levels;
}

Tensor SaganGenerator::Block::operator()(const Tensor& x, const Grids& grids,
                                         std::span<const std::int32_t> classes) const {
  const Grids fine = grids.times(2);
  Tensor y = relu(norm0(x, grids.segments(), classes));
  y = conv0(upsample_nearest(y, grids, 2), fine);
  y = conv1(relu(norm1(y, fine.segments(), classes)), fine);
  return add(skip(upsample_nearest(x, grids, 2), fine), y);
}

SaganGenerator SaganGenerator::make(Initialiser init, const SaganConfig& c) {
  c.check();
  SaganGenerator m;
  m.config = c;
  std::int64_t width = c.width << (c.levels() - 1), side = kStart;
  m.start = Spectral<Linear>::of(init, Linear::make(init, c.noise, kStart * kStart * width));
  for (std::int64_t level = 0; level < c.levels(); ++level) {
    const std::int64_t in = width;
    if (level > 0) width /= 2;
    Block b;
    b.norm0 = ConditionalBatchNorm::make(
        init, {.norm = norm_config(in, c.moving_decay), .classes = c.classes});
    b.conv0 = convolution(init, in, width, 3);
    b.norm1 = ConditionalBatchNorm::make(
        init, {.norm = norm_config(width, c.moving_decay), .classes = c.classes});
    b.conv1 = convolution(init, width, width, 3);
    b.skip = convolution(init, in, width, 1);
    m.blocks.push_back(std::move(b));
    side *= 2;
    attend_here(init, c, side, width, m.attention);
  }
  m.norm = BatchNorm::make(init, norm_config(width, 1 - (1 - c.moving_decay) / 10));
  m.last = convolution(init, width, c.channels, 3);
  return m;
}

Tensor SaganGenerator::operator()(const Tensor& z, std::span<const std::int32_t> classes) const {
  check_rows("draws of noise", z.dim(0), classes.size());
  Grids grids = Grids::of(z.dim(0), {kStart, kStart});
  const std::int64_t width = start.module.weight.dim(1) / (kStart * kStart);
  Tensor x = reshape(start(z), {grids.total(), width});
  std::int64_t side = kStart;
  for (const Block& block : blocks) {
    x = block(x, grids, classes);
    grids = grids.times(2);
    side *= 2;
    if (side == config.attention) x = attention[0](x, grids);
  }
  return activate(last(relu(norm(x)), grids), Activation::tanh);
}

Tensor SaganDiscriminator::Block::operator()(const Tensor& x, const Grids& grids) const {
  const PixelWindow half = PixelWindow::square(2, 2);
  Tensor y = conv1(first ? x : relu(x), grids);
  y = conv2(relu(y), grids);
  if (!pooled) return add(x, y);
  y = mean_pool(y, grids, half);
  // The first one pools before its 1 × 1 convolution: the same, for less.
  if (first) return add(skip(mean_pool(x, grids, half), grids.over(half)), y);
  return add(mean_pool(skip(x, grids), grids, half), y);
}

SaganDiscriminator SaganDiscriminator::make(Initialiser init, const SaganConfig& c) {
  c.check();
  SaganDiscriminator m;
  m.config = c;
  std::int64_t in = c.channels, width = c.width, side = c.size;
  for (std::int64_t level = 0; level <= c.levels(); ++level) {
    const bool pooled = level < c.levels();
    if (level > 0 && pooled) width *= 2;
    Block b;
    b.first = level == 0;
    b.pooled = pooled;
    b.conv1 = convolution(init, in, width, 3);
    b.conv2 = convolution(init, width, width, 3);
    if (pooled) b.skip = convolution(init, in, width, 1);
    m.blocks.push_back(std::move(b));
    in = width;
    if (!pooled) break;
    side /= 2;
    attend_here(init, c, side, width, m.attention);
  }
  m.linear = Spectral<Linear>::of(init, Linear::make(init, width, 1));
  m.classes = Spectral<Linear>::of(init, Linear::make(init, width, c.classes, false));
  return m;
}

Tensor SaganDiscriminator::operator()(const Tensor& x, std::span<const std::int32_t> of) const {
  Grids grids = Grids::of(static_cast<std::int64_t>(of.size()), {config.size, config.size});
  if (x.shape() != Shape{grids.total(), config.channels}) {
    fail<ShapeError>("sagan: x {} for {} pictures of {} × {} and {} channels", to_string(x.shape()),
                     of.size(), config.size, config.size, config.channels);
  }
  Tensor y = x;
  for (const Block& block : blocks) {
    y = block(y, grids);
    if (!block.pooled) break;
    grids = grids.over(PixelWindow::square(2, 2));
    if (grids.count() > 0 && grids[0].rows == config.attention) y = attention[0](y, grids);
  }
  const Tensor pooled = scale(segment_mean(relu(y), grids.segments()), kStart * kStart);
  const Tensor own = multiply(pooled, embed(of, transposed(classes.normalised().weight)));
  const Tensor ones = Tensor::full({own.dim(1), 1}, 1.0, x.dtype());
  return add(qkv::linear(own, ones), linear(pooled));
}

namespace {

/// mean f(1 + sign · scores), over rows [B 1].
Tensor hinge(const Tensor& scores, double sign) {
  const auto one = [&](double v) { return Tensor::full({1, 1}, v, scores.dtype()); };
  const Tensor shifted = scale_columns(scores, one(sign), one(1.0));
  return scale(sum(relu(shifted)), 1.0 / static_cast<double>(scores.dim(0)));
}

}  // namespace

Tensor hinge_real(const Tensor& real) { return hinge(real, -1.0); }
Tensor hinge_fake(const Tensor& fake) { return hinge(fake, 1.0); }
Tensor discriminator_loss(GanLoss loss, const Tensor& scores) {
  const std::int64_t rows = scores.dim(0), half = rows / 2;
  if (scores.shape() != Shape{rows, 1} || rows % 2 != 0 || rows == 0) {
    fail<ShapeError>("discriminator loss: scores {}, must be [2B 1]", to_string(scores.shape()));
  }
  std::vector<std::int32_t> made(static_cast<std::size_t>(rows));
  std::fill(made.begin() + half, made.end(), 1);
  const auto pair = [&](double a, double b, const Shape& shape) {
    return generated(shape, scores.dtype(), [=](std::int64_t i) { return i == 0 ? a : b; });
  };
  const double mean = 1.0 / static_cast<double>(half), one = loss == GanLoss::hinge ? 1.0 : 0.0;
  const Tensor wrong = scale_columns(scores, pair(-1, 1, {2, 1}), pair(one, one, {2, 1}), made);
  if (loss == GanLoss::hinge) return scale(sum(relu(wrong)), mean);
  // log(1 + eˣ) is the cross-entropy of the first of the two logits 0 and x.
  const std::vector<std::int32_t> first(static_cast<std::size_t>(rows), 0);
  return cross_entropy(wrong, pair(0, 1, {1, 2}), VocabularyMatrix::projection, {}, first,
                       {.scale = mean})
      .loss;
}
Tensor hinge_generator(const Tensor& fake) {
  return scale(sum(fake), -1.0 / static_cast<double>(fake.dim(0)));
}

}  // namespace qkv
