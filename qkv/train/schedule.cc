#include "qkv/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "qkv/base/error.h"

namespace qkv {

Schedule Schedule::transformer(std::int64_t width, std::int64_t warm_up) {
  if (width <= 0) fail("schedule: width is {}, must be positive", width);
  const double peak_step = static_cast<double>(std::max<std::int64_t>(warm_up, 1));
  const Schedule s{.kind = Kind::inverse_sqrt,
                   .rate = 1.0 / std::sqrt(static_cast<double>(width) * peak_step),
                   .warm_up = warm_up,
                   .initial = 0};
  s.check();
  return s;
}

void Schedule::check() const {
  for (const auto& [name, value] : {std::pair{"rate", rate}, std::pair{"initial", initial},
                                    std::pair{"floor", floor}, std::pair{"dropped", dropped}}) {
    if (!(value >= 0 && std::isfinite(value))) {
      fail("schedule: {} is {}, must be finite and not negative", name, value);
    }
  }
  if (!(warm_up_share >= 0 && warm_up_share < 1)) {
    fail("schedule: warm_up_share is {}, must be at least 0 and below 1", warm_up_share);
  }
  for (const auto& [name, value] : {std::pair{"warm_up", warm_up}, std::pair{"steps", steps},
                                    std::pair{"drop_after", drop_after}}) {
    if (value < 0) fail("schedule: {} is {}, must not be negative", name, value);
  }
}

double Schedule::at(std::int64_t step) const {
  const double s = static_cast<double>(std::max<std::int64_t>(step, 1));
  const double w = static_cast<double>(warm_up);
  if (drop_after > 0 && step > drop_after) return dropped;
  if (step < warm_up) return initial + (rate - initial) * s / w;
  const double rest = static_cast<double>(steps) - w;
  const double done = rest > 0 ? std::clamp((s - w) / rest, 0.0, 1.0) : 1.0;
  switch (kind) {
    case Kind::constant:
      return rate;
    case Kind::inverse_sqrt:
      return rate * std::sqrt(std::max(w, 1.0) / s);
    case Kind::cosine:
      return floor + (rate - floor) * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    case Kind::linear:
      return rate + (floor - rate) * done;
  }
  return rate;
}

}  // namespace qkv
