// Learning rates by step.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "qkv/base/options.h"

namespace qkv {

struct Schedule {
  enum class Kind : std::uint8_t {
    constant,      ///< `rate`
    inverse_sqrt,  ///< rate · √(warm_up / step); see transformer()
    cosine,        ///< from `rate` down to `floor` at `steps` along half a cosine
    linear,        ///< from `rate` down to `floor` at `steps`
  };
  Kind kind = Kind::inverse_sqrt;
  double rate = 5e-3;           // the peak, reached at step `warm_up`
  std::int64_t warm_up = 2000;  // steps of linear rise from `initial` to `rate`; 0: none
  double warm_up_share = 0;     // > 0: train() makes warm_up this share of all updates
  double initial = 1e-7;
  double floor = 0.0;
  std::int64_t steps = 0;       // where cosine and linear end; 0: where train() knows that it ends
  std::int64_t drop_after = 0;  // from the step after this one on the rate is `dropped`; 0: never
  double dropped = 0.0;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit(changeable({"rate", "Peak learning rate", positive()}), s.rate);
    visit(changeable({"warm_up", "Updates until the peak", between(0, 1e12)}), s.warm_up);
    visit(changeable({"warm_up_share", "The same as a share of all updates", share()}),
          s.warm_up_share);
    visit(changeable({"schedule", "How the rate goes on from the peak"}), s.kind);
    visit(changeable({"floor", "The rate where cosine and linear end", non_negative()}), s.floor);
  }

  /// Vaswani et al. 2017, §5.3: width^{−½} · min(step^{−½}, step · warm_up^{−1.5}) at every step,
  /// for a model of that width. On the command line the same is --schedule inverse_sqrt with --rate
  /// (width · warm_up)^{−½}, but for a rise that begins at 1e-7 instead of 0. Throws Error for a
  /// width that is not positive or a negative warm_up; 0 has no rise.
  static Schedule transformer(std::int64_t width, std::int64_t warm_up = 4000);

  bool falls_to_an_end() const { return kind == Kind::cosine || kind == Kind::linear; }
  /// Throws Error for a rate that is negative or not finite, or a negative number of steps.
  void check() const;
  /// The rate of step 1, 2, …
  double at(std::int64_t step) const;
};

constexpr std::array<std::string_view, 4> spelling(Schedule::Kind) {
  return {"constant", "inverse_sqrt", "cosine", "linear"};
}

}  // namespace qkv
