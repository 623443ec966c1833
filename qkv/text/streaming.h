// Text of tokens that come one at a time: what each adds to the text so far. The pieces joined are
// what Tokeniser::decode gives of all tokens of a line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/text/tokeniser.h"

namespace qkv {

class StreamingText {
 public:
  /// The tokeniser must outlive it. `line_end` is written as a newline, whatever it is called.
  explicit StreamingText(const Tokeniser& tokeniser, std::int32_t line_end = -1)
      : tokeniser_(tokeniser), line_end_(line_end) {}

  /// What the token adds; empty while a character is incomplete (sub-words with byte pieces). Costs
  /// the same however much stands before.
  std::string add(std::int32_t id);
  /// What an incomplete character is at the end of the text.
  std::string finish();

 private:
  const Tokeniser& tokeniser_;
  std::int32_t line_end_;
  std::vector<std::int32_t> tail_;  // the last tokens of the line
  std::string told_;                // how much of their text was given
};

}  // namespace qkv
