// What tokenizer.json calls pre_tokenizers: each cuts the open stretches of a text into words.
#pragma once

#include <string>
#include <variant>

#include "qkv/text/pipeline/patterns.h"
#include "qkv/text/pipeline/traced.h"

namespace qkv::pipeline {

/// What becomes of what a pattern matches.
enum class Behaviour : std::uint8_t {
  removed,
  isolated,              // each match a word of its own
  merged_with_previous,  // the end of the word before it
  merged_with_next,      // the beginning of the word behind it
  contiguous,            // neighbouring matches are one word
};

/// Cuts at white space, and each punctuation mark is a word.
struct BertWords {};
struct WhiteSpace {};  // cuts at it
struct ByteCharacters {
  bool prefix_space = true;  // a text begins with a space, if need be with one put there
  bool words = true;         // cut as GPT-2 does
};
enum class Prefix : std::uint8_t { always, first, never };
/// Spaces as visible signs, each at the beginning of a word.
struct VisibleSpaces {
  std::string sign = "\xE2\x96\x81";  // one character
  Prefix prefix = Prefix::always;     // where one is put that is not there
  bool cut = true;
};
struct Numbers {
  bool single = false;  // each digit a word
};
struct Punctuation {
  Behaviour behaviour = Behaviour::isolated;
};
struct Splitting {
  Pattern pattern;
  Behaviour behaviour = Behaviour::isolated;
  bool invert = false;  // what is between the matches counts as matched
};

using PreTokeniser = std::variant<BertWords, WhiteSpace, ByteCharacters, VisibleSpaces, Numbers,
                                  Punctuation, Splitting>;

void apply(const PreTokeniser& pre_tokeniser, TracedText& text);

}  // namespace qkv::pipeline
