// Word and character error rates: (S + D + I) / units of the references, sums over the whole set
// and no mean of lines; so a rate may exceed 1. Units are words between white space, or characters
// with a single blank between words.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv {

enum class ErrorUnit : std::uint8_t { word, character };

struct ErrorCounts {
  std::int64_t substitutions = 0, deletions = 0, insertions = 0;
  std::int64_t reference = 0;  // units

  std::int64_t errors() const { return substitutions + deletions + insertions; }
  ErrorCounts& operator+=(const ErrorCounts& more);
};

struct ErrorReport {
  ErrorUnit unit = ErrorUnit::word;
  ErrorCounts counts;
  std::int64_t lines = 0, right = 0;  // right: without an error
  /// Of lines whose reference is empty: they have no rate of their own, only insertions.
  std::int64_t empty_references = 0, empty_insertions = 0;
  /// (right unit, given unit): how often; one of the two is empty of what was left out or put in.
  std::map<std::pair<std::string, std::string>, std::int64_t> confusions;

  /// 0 without any unit and any error; infinite where there are errors alone.
  double rate() const;
  /// "WER 62.50 % (5 of 8): 1 substituted, …", then the `most` commonest confusions.
  std::string text(std::size_t most = 10) const;
  std::string json() const;
};

/// Counts of one alignment of least cost; where several cost the same, from the end on a
/// substitution (or match) is taken before a deletion, that before an insertion. Adds what was
/// confused to `confusions`, if given.
ErrorCounts count_errors(
    std::span<const std::string_view> reference, std::span<const std::string_view> hypothesis,
    std::map<std::pair<std::string, std::string>, std::int64_t>* confusions = nullptr);

/// Throws Error when the numbers of lines differ or there is none, and for a pair of lines too long
/// to be aligned (2^32 pairs of units).
ErrorReport error_rate(std::span<const std::string> references,
                       std::span<const std::string> hypotheses, ErrorUnit unit, bool lower = false);

}  // namespace qkv
