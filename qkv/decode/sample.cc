#include "qkv/decode/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// The logits as options change them; −∞ for what must not be drawn.
std::vector<double> changed(std::span<const float> logits, std::span<const std::int32_t> before,
                            const SampleOptions& o) {
  std::vector<double> z(logits.begin(), logits.end());
  for (const double value : z) {
    if (std::isnan(value) || value == std::numeric_limits<double>::infinity()) {
      fail<NumericError>("sample: the model gives {} as a logit", value);
    }
  }
  if (o.repetition_penalty != 1.0) {
    const auto window = static_cast<std::size_t>(o.repetition_window);
    if (window > 0 && before.size() > window) before = before.last(window);
    std::vector<bool> done(z.size());
    for (const std::int32_t id : before) {
      const auto i = static_cast<std::size_t>(id);
      if (i >= z.size() || done[i]) continue;
      done[i] = true;
      z[i] = z[i] > 0 ? z[i] / o.repetition_penalty : z[i] * o.repetition_penalty;
    }
  }
  for (const std::int32_t id : o.suppressed) {
    if (id >= 0 && static_cast<std::size_t>(id) < z.size())
      z[static_cast<std::size_t>(id)] = kNever;
  }
  return z;
}

/// Keeps the fewest first candidates whose probabilities reach p, and makes them sum to 1.
void keep_mass(std::vector<Candidate>& c, double p) {
  double sum = 0;
  std::size_t kept = 0;
  while (kept < c.size() && (kept == 0 || sum < p)) sum += c[kept++].probability;
  c.resize(kept);
  for (Candidate& one : c) one.probability /= sum;
}

}  // namespace

void SampleOptions::check() const {
  if (!(temperature >= 0.0 && std::isfinite(temperature))) {
    fail("sample: temperature {} must be 0 or positive", temperature);
  }
  if (top_k < 0) fail("sample: top_k {} must be 0 or positive", top_k);
  if (!(top_p > 0.0 && top_p <= 1.0)) fail("sample: top_p {} is not in (0, 1]", top_p);
  if (!(repetition_penalty > 0.0 && std::isfinite(repetition_penalty))) {
    fail("sample: repetition_penalty {} must be positive", repetition_penalty);
  }
  if (repetition_window < 0) fail("sample: repetition_window {} < 0", repetition_window);
}

std::vector<Candidate> candidates(std::span<const float> logits,
                                  std::span<const std::int32_t> before, const SampleOptions& o) {
  o.check();
  const std::vector<double> z = changed(logits, before, o);
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < z.size(); ++i) {
    if (z[i] > kNever) order.push_back(static_cast<std::int32_t>(i));
  }
  if (order.empty()) fail("sample: no token is left to draw");
  const auto of = [&z](std::int32_t id) { return z[static_cast<std::size_t>(id)]; };
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    return of(a) != of(b) ? of(a) > of(b) : a < b;
  };
  // One order for all ways of drawing, so that sums go over the same numbers in the same order.
  std::size_t kept = order.size();
  if (o.temperature == 0.0) kept = 1;
  if (o.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(o.top_k));
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(kept);
  std::partial_sort(order.begin(), end, order.end(), likelier);
  const double best = of(order.front());
  const double temperature = o.temperature == 0.0 ? 1.0 : o.temperature;
  std::vector<Candidate> c;
  for (auto id = order.begin(); id != end; ++id) {
    c.push_back({*id, std::exp((of(*id) - best) / temperature)});
  }
  keep_mass(c, std::numeric_limits<double>::infinity());
  if (o.top_p < 1.0) keep_mass(c, o.top_p);
  return c;
}

std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> before,
                    std::int64_t index, const SampleOptions& options) {
  const std::vector<Candidate> c = candidates(logits, before, options);
  double rest = Philox(key_of(options.seed, hash_name("sample")), static_cast<std::uint64_t>(index))
                    .uniform();
  for (const Candidate& one : c) {
    if (rest < one.probability) return one.id;
    rest -= one.probability;
  }
  return c.back().id;  // rounding left a crumb behind the last
}

std::vector<std::int32_t> generate(LanguageDecoder& decoder, std::span<const std::int32_t> prompt,
                                   const GenerateOptions& options,
                                   const std::function<bool(std::int32_t)>& sink) {
  options.sample.check();
  if (options.max_tokens < 0) fail("generate: max_tokens is {}", options.max_tokens);
  std::vector<std::int32_t> all(prompt.begin(), prompt.end());
  std::span<const std::int32_t> fresh = prompt;
  const std::size_t first = all.size();
  for (std::int64_t t = 0; t < options.max_tokens; ++t) {
    const std::span<const float> logits = decoder.read(fresh);
    const std::int32_t id = sample(logits, all, t, options.sample);
    if (id == options.stop) break;
    all.push_back(id);
    if (sink && !sink(id)) break;
    fresh = std::span(all).last(1);
  }
  return {all.begin() + static_cast<std::ptrdiff_t>(first), all.end()};
}

}  // namespace qkv
