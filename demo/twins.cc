#include "demo/twins.h"

#include <cmath>
#include <cstddef>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/options.h"
#include "qkv/base/progress.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

constexpr int kShape = 7;  // pixels at a side of a shape
constexpr int kHalf = kTwinSide / 2;
constexpr int kAcross = kHalf - kShape + 1, kDown = kTwinSide - kShape + 1;  // its places in a half

using Drawing = std::array<std::string_view, kShape>;
constexpr std::array<Drawing, 4> kDrawings = {
    Drawing{"#######", "#.....#", "#.....#", "#.....#", "#.....#", "#.....#", "#######"},
    Drawing{"...#...", "...#...", "...#...", "#######", "...#...", "...#...", "...#..."},
    Drawing{"#.....#", ".#...#.", "..#.#..", "...#...", "..#.#..", ".#...#.", "#.....#"},
    Drawing{"...#...", "...#...", "..#.#..", "..#.#..", ".#...#.", ".#...#.", "#######"}};

bool inked(const Drawing& drawing, int y, int x) {
  return drawing[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] == '#';
}

void draw(Picture& picture, const Drawing& drawing, int top, int left) {
  for (int y = 0; y < kShape; ++y) {
    for (int x = 0; x < kShape; ++x) {
      if (inked(drawing, y, x)) picture.at(0, top + y, left + x) = 255;
    }
  }
}

/// Of a half of `grey` with the shape at one place: cov / √(var · var), over all pixels of the
/// half.
double correlation(const Picture& grey, int half, const Drawing& drawing, int top, int left) {
  double sum = 0, squares = 0, under = 0;
  int ink = 0;
  for (int y = 0; y < kTwinSide; ++y) {
    for (int x = 0; x < kHalf; ++x) {
      const double v = grey.at(0, y, half * kHalf + x);
      sum += v;
      squares += v * v;
      const int dy = y - top, dx = x - left;
      if (dy < 0 || dy >= kShape || dx < 0 || dx >= kShape || !inked(drawing, dy, dx)) continue;
      under += v;
      ++ink;
    }
  }
  constexpr double kPixels = kTwinSide * kHalf;
  const double share = ink / kPixels, mean = sum / kPixels;
  const double spread = squares / kPixels - mean * mean;
  if (!(spread > 0)) return 0;
  return (under / kPixels - mean * share) / std::sqrt(spread * share * (1 - share));
}

}  // namespace

PictureSet twins(std::int64_t count, std::uint64_t seed) {
  PictureSet set;
  for (const std::string_view name : names_of<TwinShape>()) set.classes.emplace_back(name);
  for (std::int64_t n = 0; n < count; ++n) {
    Philox random(key_of(seed, hash_name("twins"), n));
    const auto shape = static_cast<std::size_t>(n) % kDrawings.size();
    Picture picture(1, kTwinSide, kTwinSide);
    for (int half = 0; half < 2; ++half) {
      const int top = static_cast<int>(random.below(kDown));
      const int left = half * kHalf + static_cast<int>(random.below(kAcross));
      draw(picture, kDrawings[shape], top, left);
    }
    set.pictures.push_back(std::move(picture));
    set.labels.push_back(static_cast<int>(shape));
  }
  return set;
}

std::optional<TwinShape> twin_shape(const Picture& picture, int half) {
  if (picture.height != kTwinSide || picture.width != kTwinSide) {
    fail("a twin has {} × {} pixels, this picture {} × {}", kTwinSide, kTwinSide, picture.width,
         picture.height);
  }
  const Picture grey = picture.channels == 1 ? picture : grey_of(picture);
  double best = kTwinRecognised;
  std::optional<TwinShape> found;
  for (std::size_t shape = 0; shape < kDrawings.size(); ++shape) {
    for (int top = 0; top < kDown; ++top) {
      for (int left = 0; left < kAcross; ++left) {
        const double r = correlation(grey, half, kDrawings[shape], top, left);
        if (r <= best) continue;
        best = r;
        found = static_cast<TwinShape>(shape);
      }
    }
  }
  return found;
}

TwinReport count_twins(std::span<const Picture> pictures) {
  TwinReport report;
  for (const Picture& picture : pictures) {
    ++report.pictures;
    const auto left = twin_shape(picture, 0), right = twin_shape(picture, 1);
    if (!left || !right) continue;
    ++report.recognised;
    if (*left != *right) continue;
    ++report.twins;
    ++report.shapes[static_cast<std::size_t>(*left)];
  }
  return report;
}

std::string TwinReport::text() const {
  const auto percent = [this](std::int64_t n) {
    return pictures == 0 ? 0.0 : 100 * static_cast<double>(n) / static_cast<double>(pictures);
  };
  std::string text =
      fmt::format("twins {:.1f} % of {} pictures; both shapes recognised in {:.1f} %\n",
                  percent(twins), grouped(pictures), percent(recognised));
  for (std::size_t s = 0; s < shapes.size(); ++s) {
    text += fmt::format("{}{} {}", s == 0 ? "" : ", ", names_of<TwinShape>()[s], shapes[s]);
  }
  return text + "\n";
}

std::string TwinReport::json() const {
  nlohmann::json json = {{"pictures", pictures}, {"recognised", recognised}, {"twins", twins}};
  for (std::size_t s = 0; s < shapes.size(); ++s) {
    json["shapes"][std::string(names_of<TwinShape>()[s])] = shapes[s];
  }
  return json.dump();
}

}  // namespace qkv
