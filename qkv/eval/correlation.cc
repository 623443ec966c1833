#include "qkv/eval/correlation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

void check(std::span<const double> a, std::span<const double> b) {
  if (a.empty()) fail("correlation: there is no example");
  if (a.size() != b.size()) fail("correlation: {} numbers but {}", a.size(), b.size());
  for (const auto& side : {a, b}) {
    const auto odd =
        std::find_if_not(side.begin(), side.end(), [](double x) { return std::isfinite(x); });
    if (odd != side.end()) {
      fail<NumericError>("correlation: number {} is {}", odd - side.begin() + 1, *odd);
    }
  }
}

double mean_of(std::span<const double> x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

}  // namespace

std::vector<double> mean_ranks(std::span<const double> x) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return x[a] < x[b]; });
  std::vector<double> ranks(x.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && x[order[end]] == x[order[begin]]) ++end;
    const double mean = static_cast<double>(begin + 1 + end) / 2;  // of begin + 1 … end
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = mean;
    begin = end;
  }
  return ranks;
}

double pearson(std::span<const double> a, std::span<const double> b) {
  check(a, b);
  const double mean_a = mean_of(a), mean_b = mean_of(b);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i] - mean_a, y = b[i] - mean_b;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  if (!(aa > 0) || !(bb > 0)) return 0;
  return std::clamp(ab / (std::sqrt(aa) * std::sqrt(bb)), -1.0, 1.0);
}

double spearman(std::span<const double> a, std::span<const double> b) {
  check(a, b);
  return pearson(mean_ranks(a), mean_ranks(b));
}

NumberReport score_numbers(std::span<const double> gold, std::span<const double> predicted) {
  NumberReport r;
  r.pearson = pearson(gold, predicted);
  r.spearman = spearman(gold, predicted);
  r.examples = static_cast<std::int64_t>(gold.size());
  const double mean = mean_of(gold);
  double variance = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const double off = predicted[i] - gold[i];
    r.squared_error += off * off;
    r.absolute_error += std::abs(off);
    variance += (gold[i] - mean) * (gold[i] - mean);
  }
  if (variance > 0) r.explained = 1 - r.squared_error / variance;
  r.squared_error /= static_cast<double>(gold.size());
  r.absolute_error /= static_cast<double>(gold.size());
  return r;
}

std::string NumberReport::text() const {
  return fmt::format(
      "{} examples\nPearson: {:.4f}; Spearman: {:.4f}; R2: {:.4f}\nmean squared error: {:.6g}; "
      "mean absolute error: {:.6g}\n",
      examples, pearson, spearman, explained, squared_error, absolute_error);
}

std::string NumberReport::json() const {
  return nlohmann::json{{"examples", examples},
                        {"pearson", pearson},
                        {"spearman", spearman},
                        {"r2", explained},
                        {"mean_squared_error", squared_error},
                        {"mean_absolute_error", absolute_error}}
      .dump();
}

}  // namespace qkv
