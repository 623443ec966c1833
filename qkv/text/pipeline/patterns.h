// What tokenizer.json looks for in a text: a string, or one of the regular expressions that
// published tokenisers use, each scanned by hand. There is no engine for others.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace qkv::pipeline {

struct Literal {
  std::string text;  // not empty
};

/// Runs of one class of characters: \s+, \p{N}{1,3}, " {2,}".
struct ClassRun {
  bool (*member)(char32_t) = nullptr;
  std::size_t least = 1, most = 0;  // characters of one match; most 0: no limit
};

/// Words, numbers, marks and spaces as byte-level models cut them. GPT-2:
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// Llama 3 and those after it:
///   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
///   \s*[\r\n]+|\s+(?!\S)|\s+
struct WordScan {
  bool newer = false;      // the second form
  std::size_t digits = 0;  // of the second form: of one number, 3 or 1
};

/// \w+|[^\w\s]+
struct WordOrMarks {};

/// \X: what a reader takes for one character.
struct Graphemes {};

using Pattern = std::variant<Literal, ClassRun, WordScan, WordOrMarks, Graphemes>;

/// Nothing where the expression is none of those above.
std::optional<Pattern> known_expression(std::string_view expression);

/// Calls match(begin, end) for all matches from the left.
using OnMatch = std::function<void(std::size_t, std::size_t)>;
void find_all(const Pattern& pattern, std::string_view text, const OnMatch& match);

}  // namespace qkv::pipeline
