// Pairs of texts that vectors are learnt from or judged by: two columns (texts that belong
// together), three with a third text (one that does not belong to the first) or with a number (how
// near the two are). Files are plain or gzipped UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/data/hold_out.h"

namespace qkv {

struct SentencePairs {
  std::vector<std::string> first, second;
  std::vector<std::string> negative;  // empty, or one a pair
  std::vector<double> scores;         // empty, or one a pair
  std::int64_t read = 0;              // lines, those left out included
  std::int64_t dropped_empty = 0;     // lines with a blank text

  std::int64_t size() const { return static_cast<std::int64_t>(first.size()); }
  /// "1000 pairs read, scored; dropped: 2 empty"
  std::string summary() const;
};

/// The third column holds scores when every line has a number there. Throws DataError for a line
/// with other than two or three columns, or other than the first line has, and when there is none.
SentencePairs read_sentence_pairs(const std::string& path);

/// One file each; without validation files every 10th pair, at most 1,000. Throws Error when one
/// has scores and the other has not.
Split<SentencePairs> read_sentence_pair_split(const std::vector<std::string>& train,
                                              const std::vector<std::string>& valid);

}  // namespace qkv
