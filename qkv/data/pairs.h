// Parallel text: sentence pairs from two line-aligned files or from one table, in two steps. First
// the raw pairs (a tokeniser learns from them), then their token numbers under limits. Each step
// counts what it left out and why.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/hold_out.h"

namespace qkv {

struct PairReport {
  std::int64_t read = 0;
  std::int64_t kept = 0;
  std::int64_t dropped_empty = 0;  // nothing but white space, or no token, on either side
  std::int64_t dropped_long = 0;
  std::int64_t dropped_ratio = 0;
  std::int64_t cut = 0;  // kept, but shortened to the longest length
  std::int64_t source_tokens = 0;
  std::int64_t target_tokens = 0;

  /// "29000 pairs read, 28990 kept; dropped: 2 empty, 8 too long; 401210 source and 410022 target
  /// tokens"
  std::string summary() const;
};

struct TextPairs {
  std::vector<std::string> source, target;
  PairReport report = {};
};

struct ReadOptions {
  bool drop_empty = true;  // false keeps line i at place i: for test sets
};

/// Two files, plain or gzipped, line i of one the translation of line i of the other. Throws
/// DataError naming both files and their counts when these differ, and when there is no line.
TextPairs read_pairs(const std::string& source_path, const std::string& target_path,
                     const ReadOptions& options = {});
/// One table: source TAB target, further columns (attributions) are passed over with a notice();
/// blank lines are empty pairs. Throws DataError with the line when a TAB is missing.
TextPairs read_pairs(const std::string& table_path, const ReadOptions& options = {});

/// Files of one table or of two sides; without validation files every 50th training pair, at most
/// 1,000.
Split<TextPairs> read_pair_split(const std::vector<std::string>& train,
                                 const std::vector<std::string>& valid);

/// Lengths are in tokens as the encoder gives them, so without bos and eos.
struct PairLimits {
  enum class TooLong { drop, cut };
  std::int64_t max_length = 0;  // of either side; 0: no limit
  TooLong too_long = TooLong::drop;
  double max_ratio = 0.0;  // longer side / shorter side; 0: no limit
  bool drop_empty = true;
};

struct TokenPairs {
  std::vector<std::vector<std::int32_t>> source, target;
  PairReport report = {};

  std::int64_t size() const { return static_cast<std::int64_t>(source.size()); }
};

using TextEncoder = std::function<std::vector<std::int32_t>(std::string_view)>;

/// The report goes on from that of the text. Throws Error with the summary when no pair is left.
TokenPairs encode_pairs(const TextPairs& text, const TextEncoder& source, const TextEncoder& target,
                        const PairLimits& limits = {});

}  // namespace qkv
