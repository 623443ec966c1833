// PSNR and SSIM of pictures against what they should be, as papers on super-resolution print them.
//
// Three protocols are in use and differ by some .03 dB; whoever prints a number names its own:
//   rgb      bytes of RGB shrink and grow, Y of the bytes unrounded (SwinIR's, and ours);
//   y-float  Y rounded to bytes first, shrunk and grown in numbers, rounded at the end (SRCNN's and
//            the older tables');
//   y-bytes  Y rounded to bytes first, the bytes shrunk and grown.
// Scores of two files follow `rgb`: nobody knows how they were made.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/media/picture.h"
#include "qkv/media/resize.h"

namespace qkv {

enum class ScoreChannel : std::uint8_t { y, rgb };
constexpr auto spelling(ScoreChannel) { return std::array<std::string_view, 2>{"y", "rgb"}; }

enum class SrProtocol : std::uint8_t { rgb, y_float, y_bytes };
constexpr auto spelling(SrProtocol) {
  return std::array<std::string_view, 3>{"rgb", "y-float", "y-bytes"};
}

/// The planes that are compared: Y, or red, green and blue. All of one size.
using ScorePlanes = std::vector<Plane>;
ScorePlanes score_planes(const Picture& picture, ScoreChannel channel);

/// 10 log₁₀(255² / mean squared difference) over all planes; infinite when they are equal. `border`
/// pixels count on no side. Throws ShapeError when sizes differ, Error when the border leaves none.
double psnr(const ScorePlanes& a, const ScorePlanes& b, int border = 0);

/// Structural similarity (Wang et al. 2004), the mean over planes: Gaussian 11 × 11 of σ 1.5, only
/// places where the window fits, moments weighted, C₁ = (.01·255)², C₂ = (.03·255)². Throws as
/// psnr(), and Error for sides below 11 pixels.
double ssim(const ScorePlanes& a, const ScorePlanes& b, int border = 0);

/// A picture shrunk to 1/scale and grown again by MATLAB's bicubic: {what it should be, what came
/// out} by a protocol. The picture is cut to a multiple of the scale. `channel` must be y for the
/// protocols of Y.
struct BicubicPair {
  ScorePlanes reference, output;
};
BicubicPair bicubic_pair(const Picture& picture, int scale, SrProtocol protocol,
                         ScoreChannel channel);

/// Of several pictures: the mean of their scores (of dB, not of squares).
struct PictureReport {
  std::string metric;    // "PSNR" or "SSIM"
  std::string protocol;  // "rgb"
  ScoreChannel channel = ScoreChannel::y;
  int border = 0;
  std::vector<std::string> names;
  std::vector<double> scores;  // of each

  double mean() const;
  /// A line a picture, when there are several, then "PSNR-Y (rgb protocol, border 2) = 33.673".
  std::string text() const;
  /// Infinity is null there.
  std::string json() const;
};

}  // namespace qkv
