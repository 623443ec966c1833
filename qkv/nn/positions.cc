#include "qkv/nn/positions.h"

#include <cmath>

#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// The value of column c at position p.
double encoding(double p, std::int64_t c, std::int64_t width, Sinusoid form) {
  const double w = static_cast<double>(width);
  switch (form) {
    case Sinusoid::interleaved: {
      const double angle = p * std::pow(10000.0, -static_cast<double>(c - c % 2) / w);
      return c % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
    case Sinusoid::legacy: {
      const double angle = p * std::pow(10000.0, -2.0 * static_cast<double>(c) / w);
      return c % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
    case Sinusoid::halves: {
      const std::int64_t sines = width - width / 2, i = c < sines ? c : c - sines;
      const double angle = p * std::pow(10000.0, -2.0 * static_cast<double>(i) / w);
      return c < sines ? std::sin(angle) : std::cos(angle);
    }
    case Sinusoid::blocks: {
      const std::int64_t half = width / 2;
      if (c >= 2 * half) return 0.0;  // an odd width has one empty column
      const double step = half > 1 ? std::log(10000.0) / static_cast<double>(half - 1) : 0.0;
      const double angle = p * std::exp(-step * static_cast<double>(c % half));
      return c < half ? std::sin(angle) : std::cos(angle);
    }
  }
  return 0.0;
}

}  // namespace

Tensor sinusoid(std::int64_t length, std::int64_t width, Sinusoid form, std::int64_t first,
                DType type) {
  return generated({length, width}, type, [&](std::int64_t i) {
    const std::int64_t place = first + i / width;
    return encoding(static_cast<double>(place), i % width, width, form);
  });
}

std::vector<std::int32_t> places(const Segments& segments, std::int64_t first) {
  std::vector<std::int32_t> places;
  places.reserve(static_cast<std::size_t>(segments.total()));
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    for (std::int64_t p = 0; p < segments.length(b); ++p) {
      places.push_back(static_cast<std::int32_t>(first + p));
    }
  }
  return places;
}

}  // namespace qkv
