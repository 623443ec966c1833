// Twins: pictures with a rule that a program can check. Left and right half of 16 × 16 pixels show
// the same of four shapes, each at a height of its own, so that whoever draws one half must know
// what stands in the other.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "qkv/media/picture.h"
#include "qkv/media/picture_tables.h"

namespace qkv {

enum class TwinShape : std::uint8_t { square, plus, cross, triangle };
constexpr std::array<std::string_view, 4> spelling(TwinShape) {
  return {"square", "plus", "cross", "triangle"};
}

inline constexpr int kTwinSide = 16;
/// The correlation from which on a shape counts as recognised; between two shapes it is at most
/// .41 wherever they stand.
inline constexpr double kTwinRecognised = 0.8;

/// Grey pictures, white on black, in turn of each shape, places drawn from (seed, number); classes
/// are the names of the shapes.
PictureSet twins(std::int64_t count, std::uint64_t seed);

/// The shape in a half (0: left, 1: right): that of the largest normalised correlation between the
/// half and the shape on black at any place, where it is above kTwinRecognised. Colours count as
/// grey. Throws Error for another size.
std::optional<TwinShape> twin_shape(const Picture& picture, int half);

struct TwinReport {
  std::int64_t pictures = 0;
  std::int64_t recognised = 0;           // in both halves
  std::int64_t twins = 0;                // … and the same
  std::array<std::int64_t, 4> shapes{};  // of the twins

  /// "twins 71.0 % of 1,000 pictures (both shapes recognised in 80.2 %) …"
  std::string text() const;
  std::string json() const;
};
TwinReport count_twins(std::span<const Picture> pictures);

}  // namespace qkv
