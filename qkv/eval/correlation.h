// How numbers that were given go with those that are right: Pearson's correlation, Spearman's (of
// the ranks), the mean squared error and what it leaves of the variance.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qkv {

/// Ranks from 1, the smallest first; equal numbers share the mean of their ranks.
std::vector<double> mean_ranks(std::span<const double> x);

/// In [−1, 1], by two passes; 0 where one side is constant, of which the formula says nothing.
/// Throws Error when there is no example, the counts differ, or a number is not finite.
double pearson(std::span<const double> a, std::span<const double> b);
/// Pearson's correlation of the mean ranks.
double spearman(std::span<const double> a, std::span<const double> b);

struct NumberReport {
  std::int64_t examples = 0;
  double pearson = 0, spearman = 0;
  double squared_error = 0;   // mean of (predicted − gold)²
  double absolute_error = 0;  // mean of |predicted − gold|
  double explained = 0;  // R² = 1 − mean squared error / variance of gold; 0 without variance

  std::string text() const;
  std::string json() const;
};
/// Throws as pearson() does.
NumberReport score_numbers(std::span<const double> gold, std::span<const double> predicted);

}  // namespace qkv
