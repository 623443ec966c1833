// What a search is told: checked, and turned into limits and penalties.
#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"
#include "qkv/decode/search.h"

namespace qkv {

double LengthPenalty::operator()(std::int64_t length) const {
  if (alpha == 0.0) return 1.0;
  const auto y = static_cast<double>(length);
  return std::pow(kind == Kind::power ? y : (5.0 + y) / 6.0, alpha);
}

std::vector<double> coverage_of(std::span<const float> attention, std::int64_t sources) {
  std::vector<double> sums(static_cast<std::size_t>(sources), 0.0);
  for (std::size_t i = 0; i < attention.size(); ++i) {
    sums[i % sums.size()] += static_cast<double>(attention[i]);
  }
  return sums;
}

double coverage_penalty(std::span<const double> coverage, bool ended) {
  double sum = 0;
  for (std::size_t i = 0; i + (ended ? 1 : 0) < coverage.size(); ++i) {
    sum += std::log(std::clamp(coverage[i], 1e-4, 1.0));
  }
  return sum;
}

void SearchOptions::check(std::int64_t vocabulary) const {
  if (beam < 1) fail("search: beam is {}, must be at least 1", beam);
  if (n_best < 1 || n_best > beam) {
    fail("search: n_best is {}, must lie between 1 and the beam of {}", n_best, beam);
  }
  const auto outside = [&](std::int32_t id) { return id < 0 || id >= vocabulary; };
  if (eos == -1 && looks()) fail("search: attention is of models that end their sentences");
  if (outside(bos) || (eos != -1 && outside(eos))) {
    fail("search: bos {} or eos {} lies outside a vocabulary of {}", bos, eos, vocabulary);
  }
  Tokens banned = suppressed;
  std::ranges::sort(banned);
  banned.erase(std::unique(banned.begin(), banned.end()), banned.end());
  for (std::int32_t id : banned) {
    if (outside(id) || ends(id)) fail("search: suppressed id {} is no token that can be", id);
  }
  if (static_cast<std::int64_t>(banned.size()) + 1 >= vocabulary) {
    fail("search: nothing but eos is left of a vocabulary of {}", vocabulary);
  }
  for (const Tokens* given : {&begin, &prefix}) {
    const auto wrong = std::ranges::find_if(*given, outside);
    if (wrong == given->end()) continue;
    fail("search: begin or prefix has {}, outside a vocabulary of {}", *wrong, vocabulary);
  }
  if (max_factor < 0 || max_extra < 0 || max_length < 0 || min_factor < 0 || min_length < 0 ||
      !std::isfinite(max_factor) || !std::isfinite(min_factor)) {
    fail("search: a length limit is negative or infinite");
  }
  if (!std::isfinite(penalty.alpha)) fail("search: penalty alpha is not finite");
  if (!(coverage >= 0) || !std::isfinite(coverage)) {
    fail("search: coverage is {}, must be finite and not negative", coverage);
  }
}

namespace {

std::int64_t limit(double factor, std::int64_t source, std::int64_t more, std::int64_t most) {
  const double length =
      std::floor(factor * static_cast<double>(source)) + static_cast<double>(more);
  return length < static_cast<double>(most) ? static_cast<std::int64_t>(length) : most;
}

}  // namespace

SearchOptions::Lengths SearchOptions::lengths(const StepModel& model, std::int64_t source,
                                              std::int64_t prompt) const {
  const std::int64_t begun = std::max<std::int64_t>(1, prompt) - 1;  // <bos> is not counted
  std::int64_t room = model.max_target() - begun;
  if (begun > 0 && room < 1) {
    fail("search: a prompt of {} tokens leaves no room for more", prompt);
  }
  if (max_length > 0) room = std::min(room, max_length);
  std::int64_t most = std::max<std::int64_t>(1, limit(max_factor, source, max_extra, room));
  if (!model.reads_sources() && max_length > 0) most = max_length;
  most = std::min(most, room);
  return {limit(min_factor, source, min_length, most), most};
}

}  // namespace qkv
