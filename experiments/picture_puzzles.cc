#include "experiments/picture_puzzles.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "qkv/base/options.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

constexpr int kSide = 16, kShape = 4;

std::uint8_t byte_of(double value) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
}

Picture texture(int label, Philox& random) {
  constexpr double kContrast = 24, kNoise = 40, kPeriod = 3;
  constexpr int kWays[4][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};  // down, right
  const double phase = random.uniform(0, kPeriod);
  Picture p(1, kSide, kSide);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const double along = kWays[label][0] * y + kWays[label][1] * x + phase;
      const double stripe = std::cos(6.283185307179586 * along / kPeriod);
      p.at(0, y, x) = byte_of(128 + kContrast * stripe + kNoise * random.normal());
    }
  }
  return p;
}

void draw(Picture& p, int shape, int top, int left) {
  constexpr std::string_view kShapes[4] = {
      "####"
      "#..#"
      "#..#"
      "####",
      "#..#"
      ".##."
      ".##."
      "#..#",
      ".##."
      "####"
      ".##."
      ".##.",
      "#..."
      "##.."
      "###."
      "####"};
  for (int i = 0; i < kShape * kShape; ++i) {
    if (kShapes[shape][static_cast<std::size_t>(i)] != '#') continue;
    p.at(0, top + i / kShape, left + i % kShape) = 220;
  }
}

Picture relation(int label, Philox& random) {
  constexpr double kNoise = 12;
  Picture p(1, kSide, kSide);
  std::ranges::fill(p.bytes, std::uint8_t{60});
  const int left = static_cast<int>(random.below(4));
  const int right = label == 0 ? left : (left + 1 + static_cast<int>(random.below(3))) % 4;
  int column = 0;
  for (const int shape : {left, right}) {
    const int top = static_cast<int>(random.below(kSide - kShape + 1));
    draw(p, shape, top, column + static_cast<int>(random.below(kSide / 2 - kShape + 1)));
    column += kSide / 2;
  }
  for (std::uint8_t& v : p.bytes) v = byte_of(v + kNoise * random.normal());
  return p;
}

}  // namespace

PictureSet make_picture_puzzle(PicturePuzzle puzzle, std::int64_t count, std::uint64_t seed) {
  PictureSet set;
  if (puzzle == PicturePuzzle::texture) {
    set.classes = {"lying", "standing", "rising", "falling"};
  } else {
    set.classes = {"same", "other"};
  }
  for (std::int64_t i = 0; i < count; ++i) {
    Philox random(key_of(seed, hash_name(name_of(puzzle)), i));
    const int label = static_cast<int>(i % static_cast<std::int64_t>(set.classes.size()));
    set.pictures.push_back(puzzle == PicturePuzzle::texture ? texture(label, random)
                                                            : relation(label, random));
    set.labels.push_back(label);
  }
  return set;
}

}  // namespace qkv
