// How well several labels at once were given: each label of each example counts for itself. Rates
// are per cent; a rate of nothing is 0.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace qkv {

using LabelSet = std::vector<std::string>;  // of one example, in any order

struct LabelSetReport {
  struct Counts {
    std::int64_t gold = 0, found = 0, right = 0;
    double precision() const;
    double recall() const;
    double f1() const;
  };
  Counts all;  // micro
  std::map<std::string, Counts> labels;
  std::int64_t examples = 0;
  std::int64_t exact = 0;  // examples with just the right labels

  /// The mean F1 of all labels of either side.
  double macro_f1() const;
  double exact_rate() const;
  std::string text() const;
  std::string json() const;
};
/// A label that is named twice counts once. Throws Error when there is no example or the numbers
/// differ.
LabelSetReport score_label_sets(std::span<const LabelSet> gold,
                                std::span<const LabelSet> predicted);

}  // namespace qkv
