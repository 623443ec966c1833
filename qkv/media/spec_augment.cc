#include "qkv/media/spec_augment.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"

namespace qkv {
namespace {

struct Stretch {
  std::size_t begin, end;
};
/// At most `most` of [0, size).
Stretch draw(std::size_t most, std::size_t size, Philox& random) {
  const auto width = static_cast<std::size_t>(random.below(std::min(most, size) + 1));
  const auto begin = static_cast<std::size_t>(random.below(size - width + 1));
  return {begin, begin + width};
}

}  // namespace

void spec_augment(std::span<float> rows, int bands, const SpecAugment& how, Philox& random) {
  check_ranges(how);
  const auto columns = static_cast<std::size_t>(bands);
  if (bands < 1 || rows.size() % columns != 0) {
    fail("SpecAugment: {} numbers in rows of {}", rows.size(), bands);
  }
  const std::size_t count = rows.size() / columns;
  for (int i = 0; i < how.band_masks; ++i) {
    const Stretch hidden = draw(static_cast<std::size_t>(how.bands), columns, random);
    for (std::size_t t = 0; t < count; ++t) {
      std::ranges::fill(rows.subspan(t * columns + hidden.begin, hidden.end - hidden.begin), 0.0F);
    }
  }
  const auto share = static_cast<std::size_t>(how.share * static_cast<double>(count));
  for (int i = 0; i < how.frame_masks; ++i) {
    const Stretch hidden =
        draw(std::min(static_cast<std::size_t>(how.frames), share), count, random);
    std::ranges::fill(rows.subspan(hidden.begin * columns, (hidden.end - hidden.begin) * columns),
                      0.0F);
  }
}

void vary(Sound& sound, int hop, double decibels, Philox& random) {
  if (hop < 0 || !(decibels >= 0)) fail("sound: shifts of {} and gains of {} dB", hop, decibels);
  const std::int64_t most = hop / 2;
  const std::int64_t shift =
      static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * most + 1))) - most;
  const auto gain = static_cast<float>(std::pow(10.0, random.uniform(-decibels, decibels) / 20));
  const auto length = static_cast<std::int64_t>(sound.samples.size());
  std::vector<float> moved(sound.samples.size(), 0.0F);
  for (std::int64_t i = std::max<std::int64_t>(0, shift); i < std::min(length, length + shift);
       ++i) {
    moved[static_cast<std::size_t>(i)] = gain * sound.samples[static_cast<std::size_t>(i - shift)];
  }
  sound.samples = std::move(moved);
}

}  // namespace qkv
