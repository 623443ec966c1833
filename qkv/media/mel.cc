#include "qkv/media/mel.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"

namespace qkv {
namespace {

constexpr double kStep = 200.0 / 3, kKnee = 1000, kKneeMel = 15;  // hertz a mel; where it bends
constexpr double kNothing = 1e-12;  // what rounding leaves of a bin on an edge
const double kLogStep = std::log(6.4) / 27;

/// A triangle over `at`, the places of the bins, times `area`.
MelBand triangle(const std::vector<double>& at, double left, double centre, double right,
                 double area, int band) {
  MelBand out;
  for (std::size_t b = 0; b < at.size(); ++b) {
    const double weight =
        std::min((at[b] - left) / (centre - left), (right - at[b]) / (right - centre));
    if (weight <= kNothing) continue;
    if (out.weights.empty()) out.first = static_cast<int>(b);
    out.weights.push_back(weight * area);
  }
  if (out.weights.empty()) {
    fail("mel: band {} has no bin of the spectrum; take fewer bands or a longer window", band);
  }
  return out;
}

}  // namespace

double slaney_mel(double hertz) {
  return hertz < kKnee ? hertz / kStep : kKneeMel + std::log(hertz / kKnee) / kLogStep;
}
double slaney_hertz(double mel) {
  return mel < kKneeMel ? mel * kStep : kKnee * std::exp((mel - kKneeMel) * kLogStep);
}
double kaldi_mel(double hertz) { return 1127 * std::log1p(hertz / 700); }

std::vector<MelBand> slaney_bands(int rate, int size, int bands) {
  std::vector<double> at;
  for (int b = 0; b <= size / 2; ++b) at.push_back(static_cast<double>(b) * rate / size);
  const double step = slaney_mel(rate / 2.0) / (bands + 1);
  std::vector<MelBand> all;
  for (int m = 0; m < bands; ++m) {
    const double left = slaney_hertz(m * step), centre = slaney_hertz((m + 1) * step),
                 right = slaney_hertz((m + 2) * step);
    all.push_back(triangle(at, left, centre, right, 2 / (right - left), m));
  }
  return all;
}

std::vector<MelBand> kaldi_bands(int rate, int size, int bands) {
  std::vector<double> at;
  at.reserve(static_cast<std::size_t>(size) / 2);
  for (int b = 0; b < size / 2; ++b) at.push_back(kaldi_mel(static_cast<double>(b) * rate / size));
  const double low = kaldi_mel(20), step = (kaldi_mel(rate / 2.0) - low) / (bands + 1);
  std::vector<MelBand> all;
  all.reserve(static_cast<std::size_t>(bands));
  for (int m = 0; m < bands; ++m) {
    all.push_back(triangle(at, low + m * step, low + (m + 1) * step, low + (m + 2) * step, 1, m));
  }
  return all;
}

}  // namespace qkv
