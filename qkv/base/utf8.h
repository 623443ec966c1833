// Text as code points: what every reader of text shares, from the rooms of data to the tokenisers.
// All functions are pure and take any bytes; views point into the text that was given.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace qkv {

/// Offset of the first byte that is not part of valid UTF-8 (overlong forms, surrogates and values
/// above U+10FFFF are invalid); nothing when all bytes are fine.
std::optional<std::size_t> first_bad_byte(std::string_view text);

/// A code point and the bytes it stands for. A bad byte reads as U+FFFD of one byte.
struct CodePoint {
  char32_t value;
  std::string_view bytes;
};
/// The first code point of a text that is not empty.
CodePoint first_code_point(std::string_view text);
std::vector<CodePoint> code_points(std::string_view text);

/// White space of Unicode, wide and no-break spaces included.
bool is_space(char32_t c);
/// Nothing but white space.
bool is_blank(std::string_view text);
/// Without the white space at both ends.
std::string_view trim_spaces(std::string_view text);

/// The parts between spaces and tabs, and nothing else: a word may hold a no-break or a wide space.
/// This is how the words of a file of columns are told apart, and so how a line is cut for a model
/// that learnt from one.
std::vector<std::string_view> split_blanks(std::string_view text);
/// The same where there is no tab; where there is one, tabs part the fields: each without blanks at
/// its ends, and perhaps empty.
std::vector<std::string_view> split_columns(std::string_view line);

}  // namespace qkv
