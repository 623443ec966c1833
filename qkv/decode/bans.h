// Tokens that must not come next because of what stands before them.
//
// Source: NoRepeatNGramLogitsProcessor and NoBadWordsLogitsProcessor of transformers 4.40.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qkv {

struct Bans {
  /// No sequence of so many tokens occurs twice; 0: any may.
  std::int64_t no_repeat_ngram_size = 0;
  /// Sequences of at least two tokens that never occur.
  std::vector<std::vector<std::int32_t>> sequences = {};

  bool any() const { return no_repeat_ngram_size > 0 || !sequences.empty(); }
  /// What must not follow `before`; some may stand there twice. Throws Error for a value that makes
  /// no sense.
  std::vector<std::int32_t> after(std::span<const std::int32_t> before) const;
  bool operator==(const Bans&) const = default;
};

}  // namespace qkv
