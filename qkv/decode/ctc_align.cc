#include "qkv/decode/ctc_align.h"

#include <limits>

#include "qkv/base/error.h"
#include "qkv/ops/ctc.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

std::vector<CtcPlace> ctc_align(const Tensor& logits, std::span<const std::int32_t> text) {
  const std::int64_t rows = logits.dim(0), labels = logits.dim(1);
  const auto count = static_cast<std::int64_t>(text.size());
  if (ctc_rows(text) > rows) {
    fail("ctc_align: a text of {} labels needs {} rows, there are {}", count, ctc_rows(text), rows);
  }
  for (const std::int32_t label : text) {
    if (label < 1 || label >= labels) fail("ctc_align: label {} of {}", label, labels);
  }
  if (count == 0) return {};
  const Tensor log_p = log_softmax(logits.to(DType::f64));
  const std::span<const double> p = log_p.values<double>();
  const std::int64_t states = 2 * count + 1;
  const auto label_of = [&](std::int64_t s) { return s % 2 == 0 ? 0 : text[at(s / 2)]; };
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  std::vector<double> best(at(states), kNever), next(at(states));
  best[0] = p[0];
  best[1] = p[at(label_of(1))];
  std::vector<std::uint8_t> steps(at(rows * states), 0);  // how far the path moved into a state
  for (std::int64_t t = 1; t < rows; ++t) {
    for (std::int64_t s = 0; s < states; ++s) {
      double top = best[at(s)];
      std::uint8_t step = 0;
      const bool skips = s % 2 == 1 && s >= 3 && label_of(s) != label_of(s - 2);
      for (std::int64_t back = 1; back <= (skips ? 2 : 1) && back <= s; ++back) {
        if (best[at(s - back)] > top) {
          top = best[at(s - back)];
          step = static_cast<std::uint8_t>(back);
        }
      }
      next[at(s)] = top + p[at(t * labels + label_of(s))];
      steps[at(t * states + s)] = step;
    }
    best.swap(next);
  }
  std::int64_t s = best[at(states - 1)] > best[at(states - 2)] ? states - 1 : states - 2;
  std::vector<CtcPlace> places(text.size());
  for (std::int64_t t = rows - 1; t >= 0; --t) {
    if (s % 2 == 1) {
      CtcPlace& place = places[at(s / 2)];
      if (place.end == 0) place.end = t + 1;
      place.begin = t;
    }
    s -= steps[at(t * states + s)];
  }
  return places;
}

}  // namespace qkv
