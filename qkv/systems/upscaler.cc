#include "qkv/systems/upscaler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/models/swin_ir_strips.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/upscale_model.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// As the network wants its channels; checked before.
Picture with_channels(const Picture& picture, std::int64_t channels) {
  return picture.channels == channels ? picture : rgb_of(picture);
}

}  // namespace

Tensor pixels_of(const Picture& picture, std::int64_t first, std::int64_t count) {
  const std::int64_t channels = picture.channels, pixels = count * picture.width;
  const std::int64_t begin = first * picture.width;
  Tensor x = Tensor::empty({pixels, channels});
  const std::span<float> to = x.values();
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto from = picture.plane(static_cast<int>(c));
    for (std::int64_t i = 0; i < pixels; ++i) {
      to[at(i * channels + c)] = static_cast<float>(from[at(begin + i)]) / 255.0F;
    }
  }
  return x;
}

void put_pixels(const Tensor& y, std::int64_t first, Picture& picture) {
  const std::int64_t channels = picture.channels, begin = first * picture.width;
  const std::span<const float> from = y.values();
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto to = picture.plane(static_cast<int>(c));
    for (std::int64_t i = 0; i < y.dim(0); ++i) {
      const double v = 255.0 * static_cast<double>(from[at(i * channels + c)]);
      if (std::isnan(v)) fail<NumericError>("a restored pixel is no number");
      to[at(begin + i)] = static_cast<std::uint8_t>(std::floor(std::clamp(v, 0.0, 255.0) + 0.5));
    }
  }
}

Upscaler::Upscaler(UpscaleModel model, const LoadOptions& options)
    : model_(std::make_shared<const UpscaleModel>(std::move(model))), options_(options) {}

Upscaler Upscaler::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return Upscaler(load_upscale_model(directory), options);
}

void Upscaler::save(const std::filesystem::path& directory) const {
  save_upscale_model(*model_, directory);
}

std::int64_t Upscaler::scale() const { return model_->network.config.scale; }

void Upscaler::check(const Picture& picture) const {
  if (picture.pixels() == 0) fail("a picture without a pixel");
  if (picture.channels == 3 && model_->network.config.channels == 1) {
    fail("the model restores grey pictures, this one has colours; give it a grey one");
  }
  const std::int64_t height = picture.height * scale(), width = picture.width * scale();
  if (height > kLongestSide || width > kLongestSide || height * width > kMostPixels) {
    fail(
        "{} × {} pixels, {} times as many at each side, are more than pictures may have ({} a "
        "side, "
        "{} in all)",
        picture.width, picture.height, scale(), kLongestSide, kMostPixels);
  }
}

Picture Upscaler::upscale(const Picture& picture, const ProgressSink& progress) const {
  check(picture);
  const ThreadScope threads(options_.threads);
  const SwinIr::Config& c = model_->network.config;
  const Picture in = with_channels(picture, c.channels);
  Picture out(in.channels, static_cast<int>(in.height * c.scale),
              static_cast<int>(in.width * c.scale));
  run_in_strips(
      model_->network, {in.height, in.width},
      {.rows = [&](std::int64_t first, std::int64_t count) { return pixels_of(in, first, count); },
       .take =
           [&](std::int64_t first, const Tensor& y) {
             put_pixels(y, first, out);
             if (!progress) return;
             progress({.done = first + y.dim(0) / out.width,
                       .total = out.height,
                       .what = "upscaling, rows",
                       .detail = {}});
           }});
  return picture.channels == 1 ? grey_of(out) : out;
}

std::vector<Picture> Upscaler::upscale(std::span<const Picture> pictures) const {
  for (const Picture& picture : pictures) check(picture);
  std::vector<Picture> restored;
  restored.reserve(pictures.size());
  for (const Picture& picture : pictures) restored.push_back(upscale(picture));
  return restored;
}

Tensor Upscaler::restore(const Tensor& x, std::int64_t rows, std::int64_t cols) const {
  const ThreadScope threads(options_.threads);
  const SwinIr::Config& c = model_->network.config;
  if (x.shape() != Shape{rows * cols, c.channels}) {
    fail<ShapeError>("restore: x {} for {} × {} pixels of {} channels", to_string(x.shape()), rows,
                     cols, c.channels);
  }
  return restore_pixels(model_->network, x, {rows, cols});
}

std::vector<PixelAttention> Upscaler::attention(const Picture& picture, std::int64_t row,
                                                std::int64_t col) const {
  constexpr std::size_t kMost = 1'000'000;
  check(picture);
  if (row < 0 || col < 0 || row >= picture.height || col >= picture.width) {
    fail("there is no pixel {}, {} in {} × {}", row, col, picture.height, picture.width);
  }
  if (picture.pixels() > kMost) {
    fail("{} × {} pixels are more than a million; look at a part of the picture", picture.width,
         picture.height);
  }
  const ThreadScope threads(options_.threads);
  const NoRecording quiet;
  const SwinIr& m = model_->network;
  const std::int64_t w = m.config.window;
  const Picture in = with_channels(picture, m.config.channels);
  const auto padded = [w](std::int64_t n) { return (n + w - 1) / w * w; };
  const Grid grid{padded(in.height), padded(in.width)};
  const Windows windows[] = {Windows::of(Grids{grid}, w, 0), Windows::of(Grids{grid}, w, w / 2)};
  std::vector<PixelAttention> seen;
  std::string path;
  std::size_t group = 0;  // of windows of one width: a call each
  const AttentionObserver look([&](const AttentionCall& call) {
    group = call.path == path ? group + 1 : 0;
    path = call.path;
    const Windows& cut = windows[std::stol(path.substr(path.find("blocks.") + 7)) % 2];
    const Windows::Group& rows = cut.groups[group];
    const std::int64_t place = cut.reverse.from(row * grid.cols + col) - rows.begin;
    if (place < 0 || place >= rows.pieces.total()) return;
    std::int64_t piece = 0;
    while (rows.pieces.end(piece) <= place) ++piece;
    const std::int64_t begin = rows.pieces.begin(piece), count = rows.pieces.length(piece);
    const std::int64_t first = cut.order.from(rows.begin + begin);
    const Tensor weights = call.weights({place, place + 1}, {begin, begin + count});
    seen.push_back({.path = path,
                    .top = first / grid.cols,
                    .left = first % grid.cols,
                    .rows = count / rows.cols,
                    .cols = rows.cols,
                    .weights = weights.reshaped({weights.dim(0), count})});
  });
  (void)m(pixels_of(in, 0, in.height), Grids{{in.height, in.width}});
  return seen;
}

Info Upscaler::info() const {
  const UpscaleModel& m = *model_;
  const SwinIr::Config& c = m.network.config;
  const std::string job = m.job == RestoreJob::upscale   ? fmt::format("× {}", c.scale)
                          : m.job == RestoreJob::denoise ? std::string("against noise")
                                                         : std::string("against JPEG's losses");
  Info info = describe("upscale", m.variant, "SwinIR " + job, m);
  info.facts.emplace_back("pictures", c.channels == 1 ? "grey" : "red, green and blue");
  if (m.level > 0) {
    info.facts.emplace_back("made for", m.job == RestoreJob::jpeg
                                            ? fmt::format("JPEG of quality {}", m.level)
                                            : fmt::format("noise of deviation {} of 255", m.level));
  }
  tell_options(c, info);
  info.notes = m.notes;
  return info;
}

}  // namespace qkv
