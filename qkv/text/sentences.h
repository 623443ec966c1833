// Running text into sentences by rules, for scripts with capitals (abbreviations and starters of
// English, German, French and Spanish) and for Chinese and Japanese, in time linear in the text.
// No rule is always right; when in doubt a text stays whole, since half a sentence is harder to
// translate than two.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// A sentence and the white space behind it, both views into the text that was split. The text of
/// the first piece is empty when the whole begins with white space. All texts and spaces in their
/// order are the whole again, byte for byte.
struct SentencePiece {
  std::string_view text;
  std::string_view space_after;
};

/// A document, a paragraph or a line; takes any bytes. A blank line ends a sentence whatever stands
/// before it, and so does a line end before an item of a list or behind a heading with #; any other
/// line end is white space like a space, since lines may be wrapped.
std::vector<SentencePiece> split_sentences(std::string_view text);

/// A sentence on one line: line ends inside, with the blanks around them, become a space, and
/// nothing between two characters that are written without spaces (Chinese, Japanese).
std::string one_line(std::string_view sentence);

/// What stands between two texts that are put beside each other: a space, or nothing where one of
/// them is empty or both are written without spaces there.
std::string_view space_between(std::string_view left, std::string_view right);

}  // namespace qkv
