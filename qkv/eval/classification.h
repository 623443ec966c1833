// How well labels were given: who was taken for whom, accuracy, macro-F1, balanced accuracy. Rates
// are per cent; a rate of nothing is 0.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qkv {

struct ClassReport {
  std::vector<std::string> labels;      // of either side, sorted
  std::vector<std::int64_t> confusion;  // [gold][predicted]

  std::int64_t count(std::size_t gold, std::size_t predicted) const {
    return confusion[gold * labels.size() + predicted];
  }
  std::int64_t total() const;
  std::int64_t gold(std::size_t label) const;   // examples of this label
  std::int64_t found(std::size_t label) const;  // examples that were given it
  double precision(std::size_t label) const;
  double recall(std::size_t label) const;
  double f1(std::size_t label) const;
  double accuracy() const;
  /// The mean F1 of all labels of either side.
  double macro_f1() const;
  /// The mean recall of the labels that the gold side has.
  double balanced_accuracy() const;

  /// The rates, a line for each label, and the matrix when it has at most `widest` labels.
  std::string text(std::size_t widest = 20) const;
  std::string json() const;
};

/// Throws Error when there is no example or the numbers differ.
ClassReport score_classes(std::span<const std::string> gold,
                          std::span<const std::string> predicted);

}  // namespace qkv
