#include "qkv/text/sentences.h"

#include <algorithm>
#include <cstddef>

#include <utf8proc.h>

#include "qkv/base/utf8.h"
#include "qkv/text/abbreviations.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

constexpr std::size_t kLongestWord = 32;  // code points looked at before and behind a full stop

bool is_one_of(char32_t c, std::u32string_view set) { return set.find(c) != set.npos; }

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}
bool is_upper(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LU || category(c) == UTF8PROC_CATEGORY_LT;
}
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_digit(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_line_end(char32_t c) {
  return c == U'\n' || c == U'\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}
bool is_hiragana(char32_t c) { return c >= 0x3041 && c <= 0x309F; }

/// Marks that end sentences with no space behind them.
bool is_wide_end(char32_t c) { return is_one_of(c, U"。！？｡．"); }
/// Written without spaces around it.
bool is_unspaced(char32_t c) {
  return is_cjk(c) || is_wide_end(c) || is_one_of(c, U"，、；：」』”）");
}
bool is_end(char32_t c) { return is_one_of(c, U".!?…؟۔।॥‼⁇⁈⁉") || is_wide_end(c); }
/// Marks that close what was opened, when they stand right behind the end.
bool is_closer(char32_t c) {
  const utf8proc_category_t k = category(c);
  return k == UTF8PROC_CATEGORY_PE || k == UTF8PROC_CATEGORY_PF || k == UTF8PROC_CATEGORY_PI ||
         is_one_of(c, U"\"'*_¹²³⁴⁵⁶⁷⁸⁹⁰＂＇");
}
/// Marks before the first word of a sentence.
bool is_opener(char32_t c) {
  const utf8proc_category_t k = category(c);
  return k == UTF8PROC_CATEGORY_PS || k == UTF8PROC_CATEGORY_PI || k == UTF8PROC_CATEGORY_PF ||
         is_one_of(c, U"\"'¿¡*_");
}

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text), points_(code_points(text)) {}

  std::vector<SentencePiece> pieces() {
    std::size_t at = spaces_end(0);
    if (at > 0) cut(0, at);
    while (at < points_.size()) at = after_next_end(at);
    if (begin_ < points_.size()) cut(points_.size(), points_.size());
    return std::move(pieces_);
  }

 private:
  char32_t value(std::size_t i) const { return i < points_.size() ? points_[i].value : U'\n'; }
  bool space_at(std::size_t i) const { return i < points_.size() && is_space(points_[i].value); }

  std::size_t spaces_end(std::size_t i) const {
    while (space_at(i)) ++i;
    return i;
  }
  std::size_t offset(std::size_t i) const {
    return i < points_.size() ? static_cast<std::size_t>(points_[i].bytes.data() - text_.data())
                              : text_.size();
  }
  std::string_view bytes(std::size_t from, std::size_t to) const {
    return text_.substr(offset(from), offset(to) - offset(from));
  }

  /// A sentence from begin_ to `end`, and the space up to `next`.
  void cut(std::size_t end, std::size_t next) {
    pieces_.push_back({bytes(begin_, end), bytes(end, next)});
    begin_ = next;
    word_ = next;
  }

  /// Looks at one code point, or at one end of a sentence with all that belongs to it, and says
  /// where to go on.
  std::size_t after_next_end(std::size_t i) {
    if (space_at(i)) {
      const std::size_t next = spaces_end(i);
      if (next == points_.size() || breaks(i, next)) {
        cut(i, next);
      } else {
        before_ = word_;
        word_ = next;
      }
      return next;
    }
    if (!is_end(value(i))) return i + 1;
    std::size_t run = i;
    while (run < points_.size() && is_end(value(run))) ++run;
    const std::size_t closed = closers_end(run, is_wide_end(value(run - 1)));
    const std::size_t next = spaces_end(closed);
    const bool ends = next == points_.size() || (next > closed && breaks(closed, next)) ||
                      ends_sentence(i, run, closed, next);
    if (ends) {
      cut(closed, next);
      return next;
    }
    return closed;
  }

  /// Behind closing marks; among them French ones after a space and references such as [12]. What
  /// closes in German (“) opens behind a wide mark.
  std::size_t closers_end(std::size_t i, bool wide) const {
    for (;;) {
      const char32_t c = value(i);
      const bool opens = wide && category(c) == UTF8PROC_CATEGORY_PI;
      if (i < points_.size() && is_closer(c) && !opens) {
        ++i;
      } else if (c == U'[' && reference_end(i) > i) {
        i = reference_end(i);
      } else if (space_at(i) && is_one_of(value(spaces_end(i)), U"»›") &&
                 !line_end_in(i, spaces_end(i)) && !is_word_start(spaces_end(i) + 1)) {
        i = spaces_end(i) + 1;
      } else {
        return i;
      }
    }
  }
  std::size_t reference_end(std::size_t i) const {
    std::size_t end = i + 1;
    while (end < i + 8 && is_digit(value(end))) ++end;
    return end > i + 1 && value(end) == U']' ? end + 1 : i;
  }
  bool is_word_start(std::size_t i) const {
    return i < points_.size() && !is_space(value(i)) && !is_punctuation(value(i));
  }
  bool line_end_in(std::size_t from, std::size_t to) const {
    for (; from < to; ++from) {
      if (is_line_end(value(from))) return true;
    }
    return false;
  }

  // --- Line ends ---

  /// Whether the white space [from, to) ends a sentence by itself.
  bool breaks(std::size_t from, std::size_t to) const {
    int ends = 0;
    std::size_t line = from;
    for (std::size_t i = from; i < to; ++i) {
      const char32_t c = value(i);
      if (c == 0x2029 || c == U'\f') return true;
      if (!is_line_end(c) || (c == U'\n' && i > from && value(i - 1) == U'\r')) continue;
      ++ends;
      line = i + 1;
    }
    if (ends == 0) return false;
    return ends > 1 || value(begin_) == U'#' || begins_item(from, std::max(line, to));
  }

  /// Whether the line that begins at `i` is an item of a list; `from` is where the text before it
  /// ends. A dash or a number may also stand at the begin of a line by chance.
  bool begins_item(std::size_t from, std::size_t i) const {
    const char32_t c = value(i);
    if (is_one_of(c, U"•◦▪●") || (c == U'#' && is_one_of(value(i + 1), U"# "))) return true;
    std::size_t digits = i;
    while (digits < i + 3 && is_digit(value(digits))) ++digits;
    const bool number = digits > i && is_one_of(value(digits), U".)") && space_at(digits + 1);
    const bool dash = is_one_of(c, U"-*+–—") && space_at(i + 1);
    if (!number && !dash) return false;
    const char32_t last = from > 0 ? value(from - 1) : U'.';
    return is_end(last) || is_closer(last) || is_one_of(last, U":;：；") || begins_as_item();
  }
  bool begins_as_item() const {
    std::size_t i = begin_;
    if (is_one_of(value(i), U"-*+–—•") && space_at(i + 1)) return true;
    while (i < begin_ + 3 && is_digit(value(i))) ++i;
    return i > begin_ && is_one_of(value(i), U".)") && space_at(i + 1);
  }

  // --- Ends of sentences ---

  /// The end marks [i, run), closing marks [run, closed), white space [closed, next).
  bool ends_sentence(std::size_t i, std::size_t run, std::size_t closed, std::size_t next) const {
    if (is_wide_end(value(run - 1)) || between_wide(i, run, closed)) return wide(run, closed, next);
    if (next == closed) return false;
    std::size_t word = next;
    while (word < next + kLongestWord && is_opener(value(word))) ++word;
    const bool plain = run == i + 1 && value(i) == U'.';
    // A full stop between spaces: text cut into words, perhaps in small letters throughout.
    if (plain && run == closed && i > 0 && space_at(i - 1)) return true;
    if (goes_on(next, word)) return false;
    if (!plain) {
      // "Well… I think": after an ellipsis an I tells nothing.
      const bool ellipsis = value(run - 1) == U'…' || value(i) == U'.';
      return !(ellipsis && run == closed && word_at(word) == "I");
    }
    return run < closed || full_stop_ends(i, word, word > next);
  }

  /// Chinese and Japanese: no space is needed, but what is said may go on: 「はい。」と言った.
  bool wide(std::size_t run, std::size_t closed, std::size_t next) const {
    if (closed == run || next > closed) return true;
    if (is_hiragana(value(closed)) || is_one_of(value(closed), U"，、；：,;:—…")) return false;
    // “你好！”他说: who said it, within a few characters.
    for (std::size_t i = closed; i < closed + 5 && is_cjk(value(i)); ++i) {
      if (is_one_of(value(i), U"说說问問道喊答叫")) return false;
    }
    return true;
  }
  /// ! and ? of ASCII between characters that are written without spaces.
  bool between_wide(std::size_t i, std::size_t run, std::size_t closed) const {
    return is_one_of(value(run - 1), U"!?") && i > 0 && is_cjk(value(i - 1)) &&
           is_cjk(value(closed));
  }

  /// Whether what follows can only be the rest of the sentence.
  bool goes_on(std::size_t next, std::size_t word) const {
    const char32_t c = value(word);
    if (is_lower(c)) return true;
    if (is_one_of(c, U",;:)]}%…")) return true;
    if (word > next || !is_one_of(c, U"-–—")) return false;
    const std::size_t behind = spaces_end(word + 1);  // a dash: he said, or another speaker
    return is_lower(value(behind)) || behind == points_.size();
  }

  /// A single full stop at `i`, with `word` what stands behind it.
  bool full_stop_ends(std::size_t i, std::size_t word, bool opened) const {
    const std::size_t first = token_begin(i);
    const std::string_view token = bytes(first, i);
    if (token.empty()) return true;
    const bool number = is_digit(value(word));
    const bool leads = first == begin_ || (first > begin_ && all_openers(begin_, first));
    if (i - first <= 3 && is_digit(value(first)) && is_digit(value(i - 1))) {
      if (leads) return false;  // the number of an item
      return !ordinal(first, i, word);
    }
    const std::string_view following = word_at(word);
    if (i - first == 1 && category(value(first)) != UTF8PROC_CATEGORY_ND) {
      return letter_ends(first, word, leads);
    }
    switch (kind_of(token, word_before(first))) {
      case Abbreviation::title:
        return false;
      case Abbreviation::number:
        return !number && !is_roman(following);
      case Abbreviation::either:
        return either_ends(token, following, number, opened);
      case Abbreviation::none:
        break;
    }
    return true;
  }

  /// "p. ex.", "EE. UU.": in two words as in one.
  static Abbreviation kind_of(std::string_view token, std::string_view before) {
    if (before.ends_with('.')) {
      const Abbreviation kind = abbreviation_of(std::string(before).append(token));
      if (kind != Abbreviation::none) return kind;
    }
    return abbreviation_of(token);
  }

  bool either_ends(std::string_view token, std::string_view following, bool number,
                   bool opened) const {
    if (number) return false;
    if (token == "etc" || token == "usw" || token == "usf") return true;
    if (is_date_word(following)) return false;
    // Hours end sentences before any capital, states and companies before a sure beginner.
    if (token == "a.m" || token == "p.m" || token == "A.M" || token == "P.M") return true;
    return opened || begins_sentences(following);
  }

  /// A letter before the full stop: an initial, an abbreviation (z. B.), or the last word.
  bool letter_ends(std::size_t first, std::size_t word, bool leads) const {
    if (!is_upper(value(first)) && !is_lower(value(first))) return true;
    if (leads) return false;
    const std::string_view before = word_before(first);
    if (precedes_letter(before)) return true;
    // The pronoun: "So do I." An initial stands behind a capital or a full stop.
    if (value(first) == U'I' && !before.empty() && is_lower(first_code_point(before).value)) {
      return true;
    }
    if (is_lower(value(first)) || before.ends_with('.')) return false;
    const std::string_view following = word_at(word);
    if (is_cjk(value(word))) return true;
    // Names go on with Le, El, Die … as well: only pronouns and articles of English are sure.
    constexpr std::string_view kSure[] = {"The", "He", "She", "It", "We", "They", "This", "That"};
    return std::find(std::begin(kSure), std::end(kSure), following) != std::end(kSure);
  }

  bool ordinal(std::size_t first, std::size_t i, std::size_t word) const {
    if (i - first > 2) return false;
    if (is_date_word(word_at(word))) return true;
    return precedes_ordinal(word_before(first));
  }

  static bool is_roman(std::string_view word) {
    return word.size() > 1 && word.find_first_not_of("IVXLCDM") == std::string_view::npos;
  }

  // --- Words ---

  /// Where the word that ends at `end` begins, without opening marks.
  std::size_t token_begin(std::size_t end) const {
    std::size_t i = std::max(word_, end > kLongestWord ? end - kLongestWord : 0);
    for (std::size_t k = i; k < end; ++k) {
      if (is_opener(value(k)) || value(k) == 0x2019 || is_one_of(value(k), U"—–")) i = k + 1;
    }
    return i;
  }
  bool all_openers(std::size_t from, std::size_t to) const {
    for (; from < to; ++from) {
      if (!is_opener(value(from))) return false;
    }
    return true;
  }
  /// The word before the one that holds code point `at`; empty at the begin of a sentence.
  std::string_view word_before(std::size_t at) const {
    if (at != word_ || before_ >= word_ || before_ < begin_) return {};
    std::size_t end = before_;
    while (end < word_ && !space_at(end) && end < before_ + kLongestWord) ++end;
    return bytes(before_, end);
  }
  /// Letters from `i` on.
  std::string_view word_at(std::size_t i) const {
    std::size_t end = i;
    while (end < points_.size() && end < i + kLongestWord && !is_space(value(end)) &&
           !is_punctuation(value(end))) {
      ++end;
    }
    return bytes(i, end);
  }

  std::string_view text_;
  std::vector<CodePoint> points_;
  std::vector<SentencePiece> pieces_;
  std::size_t begin_ = 0;   // of the sentence
  std::size_t word_ = 0;    // of the word that is read
  std::size_t before_ = 0;  // of the word before it
};

}  // namespace

std::vector<SentencePiece> split_sentences(std::string_view text) {
  return Splitter(text).pieces();
}

std::string one_line(std::string_view sentence) {
  const std::vector<CodePoint> points = code_points(sentence);
  std::string line;
  for (std::size_t i = 0; i < points.size();) {
    std::size_t end = i;
    bool ends = false;
    for (; end < points.size() && is_space(points[end].value); ++end) {
      ends = ends || is_line_end(points[end].value);
    }
    if (end == i) {
      line += points[i++].bytes;
      continue;
    }
    if (!ends) {
      for (; i < end; ++i) line += points[i].bytes;
      continue;
    }
    if (i > 0 && end < points.size()) line += space_between(points[i - 1].bytes, points[end].bytes);
    i = end;
  }
  return line;
}

std::string_view space_between(std::string_view left, std::string_view right) {
  if (left.empty() || right.empty()) return {};
  const bool joined =
      is_unspaced(code_points(left).back().value) && is_unspaced(first_code_point(right).value);
  return joined ? "" : " ";
}

}  // namespace qkv
