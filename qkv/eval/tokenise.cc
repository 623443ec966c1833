#include "qkv/eval/tokenise.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <utf8proc.h>

#include "qkv/base/error.h"
#include "qkv/eval/strings.h"
#include "qkv/text/normalise.h"

namespace qkv {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_stop(char c) { return c == '.' || c == ','; }

// ASCII punctuation but - ' . and ,: always a token of its own.
bool is_lone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

// The rules of mteval below are substitutions of two neighbours, made from left to right; a match
// uses both up. All their classes are ASCII, so bytes do for code points.
template <class Match>
std::string substitute(std::string_view text, Match match, const char* before, const char* between,
                       const char* after) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  std::size_t i = 0;
  while (i < text.size()) {
    if (i + 1 < text.size() && match(text[i], text[i + 1])) {
      out.append(before).append(1, text[i]).append(between).append(1, text[i + 1]).append(after);
      i += 2;
    } else {
      out += text[i++];
    }
  }
  return out;
}

std::string western(std::string_view text) {
  std::string line;
  line.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (is_lone(c)) {
      line.append(1, ' ').append(1, c).append(1, ' ');
    } else {
      line += c;
    }
  }
  // A stop parts from what is not a digit, on either side; a dash from a digit before it.
  line = substitute(
      line, [](char a, char b) { return !is_digit(a) && is_stop(b); }, "", " ", " ");
  line = substitute(
      line, [](char a, char b) { return is_stop(a) && !is_digit(b); }, " ", " ", "");
  return substitute(
      line, [](char a, char b) { return is_digit(a) && b == '-'; }, "", " ", " ");
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

std::string tokenise_13a(std::string_view text) {
  std::string line(text);
  replace_all(line, "<skipped>", "");
  replace_all(line, "-\n", "");
  replace_all(line, "\n", " ");
  if (line.find('&') != std::string::npos) {
    replace_all(line, "&quot;", "\"");
    replace_all(line, "&amp;", "&");
    replace_all(line, "&lt;", "<");
    replace_all(line, "&gt;", ">");
  }
  return western(" " + line + " ");
}

struct Range {
  char32_t first, last;
};

// The second row is meant to be CJK extension B, U+20000 to U+2A6D6; written with four-digit
// escapes it takes in U+2001 to U+2A6D instead (arrows, quotes, mathematics). So it stays, or
// scores would differ.
constexpr Range kChinese[] = {
    {0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x303F},
    {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x33FF},
    {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A},
    {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}};

bool is_chinese(char32_t c) {
  return std::any_of(std::begin(kChinese), std::end(kChinese),
                     [c](const Range& r) { return r.first <= c && c <= r.last; });
}

std::string tokenise_zh(std::string_view text) {
  std::string line;
  for (const CodePoint& c : code_points(trim(text))) {
    if (is_chinese(c.value)) {
      line.append(1, ' ').append(c.bytes).append(1, ' ');
    } else {
      line += c.bytes;
    }
  }
  return western(line);
}

enum class Kind { number, punctuation, symbol, space, other };

Kind kind_of(char32_t c) {
  const utf8proc_category_t k = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO) return Kind::number;
  if (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO) return Kind::punctuation;
  if (k >= UTF8PROC_CATEGORY_SM && k <= UTF8PROC_CATEGORY_SO) return Kind::symbol;
  return Kind::other;
}

struct Piece {
  Kind kind;
  std::string_view bytes;
};

std::string tokenise_intl(std::string_view text) {
  const Piece space = {Kind::space, " "};
  std::vector<Piece> line, next;
  for (const CodePoint& c : code_points(text)) line.push_back({kind_of(c.value), c.bytes});
  // Punctuation parts from what is not a number, on either side; see substitute().
  for (std::size_t i = 0; i < line.size();) {
    next.push_back(line[i]);
    if (i + 1 < line.size() && line[i].kind != Kind::number &&
        line[i + 1].kind == Kind::punctuation) {
      next.insert(next.end(), {space, line[i + 1], space});
      ++i;
    }
    ++i;
  }
  line.swap(next);
  next.clear();
  for (std::size_t i = 0; i < line.size();) {
    if (i + 1 < line.size() && line[i].kind == Kind::punctuation &&
        line[i + 1].kind != Kind::number) {
      next.insert(next.end(), {space, line[i], space, line[i + 1]});
      i += 2;
    } else {
      next.push_back(line[i++]);
    }
  }
  std::string out;
  for (const Piece& piece : next) {
    const char* gap = piece.kind == Kind::symbol ? " " : "";
    out.append(gap).append(piece.bytes).append(gap);
  }
  return out;
}

}  // namespace

std::string_view name_of(BleuTokeniser tokeniser) {
  return spelling(tokeniser)[static_cast<std::size_t>(tokeniser)];
}

BleuTokeniser bleu_tokeniser(std::string_view name) {
  const auto words = spelling(BleuTokeniser{});
  const auto found = std::find(words.begin(), words.end(), name);
  if (found != words.end()) return static_cast<BleuTokeniser>(found - words.begin());
  fail("bleu: no tokeniser '{}'; there are 13a, zh, char, intl and none", name);
}

BleuTokeniser bleu_tokeniser_of(const std::vector<std::string>& lines) {
  // The CJK ideographs of the basic plane are U+4E00 … U+9FFF: three bytes from E4 B8 80 on.
  std::size_t han = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(lines.size(), 200); ++i) {
    for (char c : lines[i]) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0xE4 && byte <= 0xE9) ++han;
    }
  }
  return han > 200 ? BleuTokeniser::zh : BleuTokeniser::v13a;
}

std::vector<std::string> tokenise(std::string_view text, BleuTokeniser tokeniser) {
  text = trim_right(text);
  std::string line;
  switch (tokeniser) {
    case BleuTokeniser::v13a:
      line = tokenise_13a(text);
      break;
    case BleuTokeniser::zh:
      line = tokenise_zh(text);
      break;
    case BleuTokeniser::intl:
      line = tokenise_intl(text);
      break;
    case BleuTokeniser::none:
      line = text;
      break;
    case BleuTokeniser::character: {
      std::vector<std::string> characters;
      for (const CodePoint& c : code_points(text)) {
        if (!is_white(c.value)) characters.emplace_back(c.bytes);
      }
      return characters;
    }
  }
  const std::vector<std::string_view> words = split_white(line);
  return {words.begin(), words.end()};
}

}  // namespace qkv
