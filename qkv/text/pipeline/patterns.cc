#include "qkv/text/pipeline/patterns.h"

#include <algorithm>
#include <array>
#include <utility>

#include "qkv/text/normalise.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

enum class Class : std::uint8_t { letter, number, space, other, none };

struct Unit {
  Class kind = Class::none;  // none: behind the end
  std::size_t bytes = 0;
  char32_t value = 0;
};

/// Classes of ASCII.
constexpr std::array<Class, 128> kAscii = [] {
  std::array<Class, 128> classes{};
  for (unsigned c = 0; c < 128; ++c) {
    const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    classes[c] = letter                                 ? Class::letter
                 : c >= '0' && c <= '9'                 ? Class::number
                 : c == ' ' || (c >= '\t' && c <= '\r') ? Class::space
                                                        : Class::other;
  }
  return classes;
}();

Unit unit_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  if (const auto byte = static_cast<unsigned char>(text[at]); byte < 0x80) {
    return {kAscii[byte], 1, byte};
  }
  const CodePoint c = first_code_point(text.substr(at));
  const Class kind = is_letter(c.value)   ? Class::letter
                     : is_number(c.value) ? Class::number
                     : is_space(c.value)  ? Class::space
                                          : Class::other;
  return {kind, c.bytes.size(), c.value};
}

bool is_line_end(char32_t c) { return c == U'\r' || c == U'\n'; }
bool is_blank_sign(char32_t c) { return c == U' '; }

std::size_t run_end(std::string_view text, std::size_t at, Class kind, std::size_t most = 0) {
  std::size_t count = 0;
  for (Unit u = unit_at(text, at); u.kind == kind && (most == 0 || count < most);
       u = unit_at(text, at)) {
    at += u.bytes;
    ++count;
  }
  return at;
}

/// The end of 's, 't, 're … at an apostrophe, or `at`. Case folding takes the long s for an s.
std::size_t contraction_end(std::string_view text, std::size_t at, bool fold) {
  const auto letter = [&](std::size_t i) -> std::pair<char, std::size_t> {
    if (i >= text.size()) return {'\0', 0};
    if (fold && text.substr(i).starts_with("\xC5\xBF")) return {'s', 2};
    const char c = text[i];
    return {fold && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c, 1};
  };
  const auto [first, n] = letter(at + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 1 + n;
  const auto [second, m] = letter(at + 1 + n);
  const bool two = (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
                   (first == 'l' && second == 'l');
  return two ? at + 1 + n + m : at;
}

/// \s+(?!\S)|\s+ : white space but for its last character, when a word follows.
std::size_t space_end(std::string_view text, std::size_t at) {
  std::size_t last = at, end = at;
  for (Unit u = unit_at(text, end); u.kind == Class::space; u = unit_at(text, end)) {
    last = end;
    end += u.bytes;
  }
  return end == text.size() || last == at ? end : last;
}

std::size_t word_end(std::string_view text, std::size_t at) {
  if (text[at] == '\'') {
    if (const std::size_t end = contraction_end(text, at, false); end > at) return end;
  }
  Unit u = unit_at(text, at);
  std::size_t begin = at;
  if (u.value == U' ') {
    begin = at + 1;
    u = unit_at(text, begin);
  }
  if (u.kind != Class::space && u.kind != Class::none) return run_end(text, begin, u.kind);
  return space_end(text, at);
}

std::size_t newer_word_end(std::string_view text, std::size_t at, std::size_t digits) {
  if (text[at] == '\'') {
    if (const std::size_t end = contraction_end(text, at, true); end > at) return end;
  }
  const Unit u = unit_at(text, at);
  if (u.kind == Class::letter) return run_end(text, at, Class::letter);
  if (u.kind == Class::number) return run_end(text, at, Class::number, digits);
  const Unit next = unit_at(text, at + u.bytes);
  if (!is_line_end(u.value) && next.kind == Class::letter) {
    return run_end(text, at + u.bytes, Class::letter);
  }
  if (u.kind == Class::other || (u.value == U' ' && next.kind == Class::other)) {
    std::size_t end = run_end(text, u.kind == Class::other ? at : at + 1, Class::other);
    while (end < text.size() && is_line_end(static_cast<unsigned char>(text[end]))) ++end;
    return end;
  }
  // White space up to its last line end, if it has one.
  const std::size_t end = run_end(text, at, Class::space);
  const std::size_t line_end = text.substr(at, end - at).find_last_of("\r\n");
  return line_end == std::string_view::npos ? space_end(text, at) : at + line_end + 1;
}

struct Finder {
  std::string_view text;
  const OnMatch& match;

  void operator()(const Literal& p) const {
    for (std::size_t at = text.find(p.text); at != std::string_view::npos;) {
      match(at, at + p.text.size());
      at = text.find(p.text, at + p.text.size());
    }
  }
  void operator()(const ClassRun& p) const {
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = at, count = 0, bytes = 0;
      while (end < text.size() && (p.most == 0 || count < p.most)) {
        const CodePoint c = first_code_point(text.substr(end));
        bytes = c.bytes.size();
        if (!p.member(c.value)) break;
        end += bytes;
        ++count;
      }
      if (count >= p.least) match(at, end);
      at = std::max(end, at + bytes);
    }
  }
  void operator()(const WordScan& p) const {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = p.newer ? newer_word_end(text, at, p.digits) : word_end(text, at);
      match(at, end);
      at = end;
    }
  }
  void operator()(const WordOrMarks&) const {
    const auto kind = [](char32_t c) { return is_word(c) ? 1 : is_space(c) ? 0 : 2; };
    std::size_t at = 0, begin = 0;
    int open = 0;
    for_each_point(text, [&](const CodePoint& c) {
      const int now = kind(c.value);
      if (now != open) {
        if (open != 0) match(begin, at);
        begin = at;
        open = now;
      }
      at += c.bytes.size();
    });
    if (open != 0) match(begin, at);
  }
  void operator()(const Graphemes&) const {
    std::size_t at = 0;
    for (const std::string_view one : characters(text)) {
      match(at, at + one.size());
      at += one.size();
    }
  }
};

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kNewerBegin =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
constexpr std::string_view kNewerEnd = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace

std::optional<Pattern> known_expression(std::string_view expression) {
  const std::string begin(kNewerBegin), end(kNewerEnd);
  if (expression == kGpt2) return WordScan{};
  if (expression == begin + R"(\p{N}{1,3})" + end) return WordScan{.newer = true, .digits = 3};
  if (expression == begin + R"(\p{N})" + end) return WordScan{.newer = true, .digits = 1};
  if (expression == R"(\w+|[^\w\s]+)") return WordOrMarks{};
  if (expression == R"(\X)") return Graphemes{};
  static constexpr std::array<std::pair<std::string_view, ClassRun>, 11> kRuns = {{
      {" {2,}", {is_blank_sign, 2, 0}},
      {" +", {is_blank_sign, 1, 0}},
      {R"(\s+)", {is_space, 1, 0}},
      {R"(\s)", {is_space, 1, 1}},
      {R"(\s{2,})", {is_space, 2, 0}},
      {R"(\d)", {is_digit, 1, 1}},
      {R"(\d+)", {is_digit, 1, 0}},
      {R"(\d{1,3})", {is_digit, 1, 3}},
      {R"(\p{N})", {is_number, 1, 1}},
      {R"(\p{N}+)", {is_number, 1, 0}},
      {R"(\p{N}{1,3})", {is_number, 1, 3}},
  }};
  for (const auto& [text, run] : kRuns) {
    if (expression == text) return run;
  }
  return std::nullopt;
}

void find_all(const Pattern& pattern, std::string_view text, const OnMatch& match) {
  std::visit(Finder{text, match}, pattern);
}

}  // namespace qkv::pipeline
