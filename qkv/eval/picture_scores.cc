#include "qkv/eval/picture_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/options.h"
#include "qkv/media/colour_planes.h"

namespace qkv {
namespace {

void check(const ScorePlanes& a, const ScorePlanes& b, int border) {
  if (a.empty() || a.size() != b.size()) {
    fail<ShapeError>("score: {} and {} channels", a.size(), b.size());
  }
  for (std::size_t c = 0; c < a.size(); ++c) {
    if (a[c].height != b[c].height || a[c].width != b[c].width) {
      fail<ShapeError>("score: {} × {} and {} × {} pixels", a[c].width, a[c].height, b[c].width,
                       b[c].height);
    }
  }
  if (border < 0 || 2 * std::int64_t{border} >= a[0].height ||
      2 * std::int64_t{border} >= a[0].width) {
    fail("score: a border of {} leaves nothing of {} × {} pixels", border, a[0].width, a[0].height);
  }
}

Plane without_border(const Plane& plane, int border) {
  Plane inner(plane.height - 2 * border, plane.width - 2 * border);
  std::size_t to = 0;
  for (int y = border; y < plane.height - border; ++y) {
    for (int x = border; x < plane.width - border; ++x) {
      inner.values[to++] =
          plane.values[static_cast<std::size_t>(y) * static_cast<std::size_t>(plane.width) +
                       static_cast<std::size_t>(x)];
    }
  }
  return inner;
}

constexpr int kWindow = 11;

std::array<double, kWindow> gauss() {
  std::array<double, kWindow> taps{};
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const double x = static_cast<double>(i) - (kWindow - 1) / 2.0;
    taps[i] = std::exp(-x * x / (2 * 1.5 * 1.5));
  }
  const double sum = std::accumulate(taps.begin(), taps.end(), 0.0);
  for (double& tap : taps) tap /= sum;
  return taps;
}

/// The Gaussian mean of f(i), i a pixel of height × width, wherever the window fits.
template <class F>
std::vector<double> windowed(int height, int width, F&& f) {
  static const std::array<double, kWindow> taps = gauss();
  const auto columns = static_cast<std::size_t>(width);
  const std::size_t inner = columns - kWindow + 1;
  const auto all_rows = static_cast<std::size_t>(height);
  const std::size_t rows = all_rows - kWindow + 1;
  std::vector<double> across(all_rows * inner);
  for (std::size_t y = 0; y < all_rows; ++y) {
    for (std::size_t x = 0; x < inner; ++x) {
      double sum = 0;
      for (std::size_t t = 0; t < kWindow; ++t) sum += taps[t] * f(y * columns + x + t);
      across[y * inner + x] = sum;
    }
  }
  std::vector<double> out(rows * inner);
  for (std::size_t y = 0; y < rows; ++y) {
    for (std::size_t x = 0; x < inner; ++x) {
      double sum = 0;
      for (std::size_t t = 0; t < kWindow; ++t) sum += taps[t] * across[(y + t) * inner + x];
      out[y * inner + x] = sum;
    }
  }
  return out;
}

double ssim_of(const Plane& a, const Plane& b) {
  const int h = a.height, w = a.width;
  if (h < kWindow || w < kWindow) {
    fail("SSIM: {} × {} pixels are fewer than its window of {}", w, h, kWindow);
  }
  const std::vector<double>&x = a.values, &y = b.values;
  const auto mx = windowed(h, w, [&](std::size_t i) { return x[i]; });
  const auto my = windowed(h, w, [&](std::size_t i) { return y[i]; });
  const auto xx = windowed(h, w, [&](std::size_t i) { return x[i] * x[i]; });
  const auto yy = windowed(h, w, [&](std::size_t i) { return y[i] * y[i]; });
  const auto xy = windowed(h, w, [&](std::size_t i) { return x[i] * y[i]; });
  constexpr double kC1 = (0.01 * 255) * (0.01 * 255), kC2 = (0.03 * 255) * (0.03 * 255);
  double sum = 0;
  for (std::size_t i = 0; i < mx.size(); ++i) {
    const double product = mx[i] * my[i], squares = mx[i] * mx[i] + my[i] * my[i];
    sum += (2 * product + kC1) * (2 * (xy[i] - product) + kC2) /
           ((squares + kC1) * (xx[i] + yy[i] - squares + kC2));
  }
  return sum / static_cast<double>(mx.size());
}

}  // namespace

ScorePlanes score_planes(const Picture& picture, ScoreChannel channel) {
  if (channel == ScoreChannel::y) return {luma_of(picture)};
  ScorePlanes planes;
  for (int c = 0; c < 3; ++c) planes.push_back(plane_of(picture, picture.channels == 3 ? c : 0));
  return planes;
}

double psnr(const ScorePlanes& a, const ScorePlanes& b, int border) {
  check(a, b, border);
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t c = 0; c < a.size(); ++c) {
    const Plane x = without_border(a[c], border), y = without_border(b[c], border);
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      const double off = x.values[i] - y.values[i];
      sum += off * off;
    }
    count += x.values.size();
  }
  if (sum == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(255.0 * 255.0 / (sum / static_cast<double>(count)));
}

double ssim(const ScorePlanes& a, const ScorePlanes& b, int border) {
  check(a, b, border);
  double sum = 0;
  for (std::size_t c = 0; c < a.size(); ++c) {
    sum += ssim_of(without_border(a[c], border), without_border(b[c], border));
  }
  return sum / static_cast<double>(a.size());
}

BicubicPair bicubic_pair(const Picture& picture, int scale, SrProtocol protocol,
                         ScoreChannel channel) {
  const Picture high = cropped_to_multiple(picture, scale);
  const double down = 1.0 / scale;
  if (protocol == SrProtocol::rgb) {
    const Picture up = resize_bicubic(resize_bicubic(high, down), high.height, high.width);
    return {score_planes(high, channel), score_planes(up, channel)};
  }
  if (channel != ScoreChannel::y) {
    fail<UsageError>("protocol {} knows Y alone", name_of(protocol));
  }
  Plane y = luma_of(high);
  round_to_bytes(y);
  if (protocol == SrProtocol::y_bytes) {
    Picture bytes(1, high.height, high.width);
    std::ranges::transform(y.values, bytes.bytes.begin(),
                           [](double v) { return static_cast<std::uint8_t>(v); });
    const Picture up = resize_bicubic(resize_bicubic(bytes, down), high.height, high.width);
    return {{std::move(y)}, {plane_of(up, 0)}};
  }
  Plane up = resize_bicubic(resize_bicubic(y, down), high.height, high.width);
  round_to_bytes(up);
  return {{std::move(y)}, {std::move(up)}};
}

double PictureReport::mean() const {
  return std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
}

std::string PictureReport::text() const {
  const int digits = metric == "PSNR" ? 3 : 4;
  std::string lines;
  for (std::size_t i = 0; scores.size() > 1 && i < scores.size(); ++i) {
    lines += fmt::format("{:.{}f} {}\n", scores[i], digits, names[i]);
  }
  return lines + fmt::format("{}-{} ({} protocol, border {}) = {:.{}f}\n", metric,
                             channel == ScoreChannel::y ? "Y" : "RGB", protocol, border, mean(),
                             digits);
}

std::string PictureReport::json() const {
  const auto number = [](double x) {
    return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(nullptr);
  };
  nlohmann::json pictures = nlohmann::json::array();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    pictures.push_back({{"name", names[i]}, {"score", number(scores[i])}});
  }
  return nlohmann::json{{"metric", metric},       {"channel", name_of(channel)},
                        {"protocol", protocol},   {"border", border},
                        {"mean", number(mean())}, {"pictures", std::move(pictures)}}
      .dump();
}

}  // namespace qkv
