#include "qkv/text/pipeline/pre_tokenisers.h"

#include <algorithm>
#include <array>
#include <vector>

#include "qkv/text/pipeline/byte_level.h"
#include "qkv/text/pipeline/normalisers.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

struct Range {
  std::size_t begin = 0, end = 0;
  bool match = false;
};

/// Matches and what lies between them; inverted, each is called the other.
std::vector<Range> ranges_of(const Pattern& pattern, std::string_view text, bool invert) {
  std::vector<Range> ranges;
  std::size_t at = 0;
  find_all(pattern, text, [&](std::size_t begin, std::size_t end) {
    if (at < begin) ranges.push_back({at, begin, invert});
    ranges.push_back({begin, end, !invert});
    at = end;
  });
  if (at < text.size()) ranges.push_back({at, text.size(), invert});
  return ranges;
}

/// The words that a behaviour makes of the ranges.
std::vector<Range> words_of(const std::vector<Range>& ranges, Behaviour behaviour) {
  std::vector<Range> words;
  bool before = false;  // the range before was a match
  const auto join = [&words](const Range& r, bool joins) {
    if (joins && !words.empty()) {
      words.back().begin = std::min(words.back().begin, r.begin);
      words.back().end = std::max(words.back().end, r.end);
    } else {
      words.push_back(r);
    }
  };
  switch (behaviour) {
    case Behaviour::removed:
      for (const Range& r : ranges) {
        if (!r.match) words.push_back(r);
      }
      break;
    case Behaviour::isolated:
      words = ranges;
      break;
    case Behaviour::contiguous:
      for (const Range& r : ranges) {
        join(r, r.match == before);
        before = r.match;
      }
      break;
    case Behaviour::merged_with_previous:
      for (const Range& r : ranges) {
        join(r, r.match && !before);
        before = r.match;
      }
      break;
    case Behaviour::merged_with_next:
      for (auto r = ranges.rbegin(); r != ranges.rend(); ++r) {
        join(*r, r->match && !before);
        before = r->match;
      }
      std::reverse(words.begin(), words.end());
      break;
  }
  return words;
}

void split(const Pattern& pattern, Behaviour behaviour, bool invert, TracedText& text) {
  text.cut([&](std::string_view whole, auto&& emit) {
    if (behaviour == Behaviour::isolated && !invert) {  // the most common one, without lists
      std::size_t at = 0;
      find_all(pattern, whole, [&](std::size_t begin, std::size_t end) {
        emit(at, begin);
        emit(begin, end);
        at = end;
      });
      emit(at, whole.size());
      return;
    }
    for (const Range& r : words_of(ranges_of(pattern, whole, invert), behaviour)) {
      emit(r.begin, r.end);
    }
  });
}

ClassRun single(bool (*member)(char32_t)) { return {member, 1, 1}; }

enum class BertClass : std::uint8_t { word, space, mark };
BertClass bert_class(char32_t c) {
  return is_punctuation_or_ascii(c) ? BertClass::mark
         : is_space(c)              ? BertClass::space
                                    : BertClass::word;
}
/// The same, of ASCII from a table.
BertClass fast_bert_class(char32_t c) {
  static const auto ascii = [] {
    std::array<BertClass, 128> classes{};
    for (char32_t i = 0; i < 128; ++i) classes[i] = bert_class(i);
    return classes;
  }();
  return c < 128 ? ascii[c] : bert_class(c);
}

struct Apply {
  TracedText& text;

  void operator()(const BertWords&) const {
    text.cut([](std::string_view whole, auto&& emit) {
      std::size_t begin = 0, at = 0;
      for_each_point(whole, [&](const CodePoint& c) {
        const std::size_t end = at + c.bytes.size();
        if (const BertClass kind = fast_bert_class(c.value); kind != BertClass::word) {
          emit(begin, at);
          if (kind == BertClass::mark) emit(at, end);
          begin = end;
        }
        at = end;
      });
      emit(begin, at);
    });
  }
  void operator()(const WhiteSpace&) const {
    split(single(is_space), Behaviour::removed, false, text);
  }
  void operator()(const ByteCharacters& b) const {
    if (b.prefix_space) {
      text.rewrite([](std::string_view old, const Stretch&) { return !old.starts_with(' '); },
                   [](std::string_view old, Rewriter& out) { prepend(" ", old, out); });
    }
    if (b.words) split(WordScan{}, Behaviour::isolated, false, text);
    const auto changes = [](std::string_view old, const Stretch&) {
      return std::any_of(old.begin(), old.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F;
      });
    };
    text.rewrite(changes, [](std::string_view old, Rewriter& out) {
      for_each_point(old, [&](const CodePoint& c) {
        int change = 0;
        for (const char byte : c.bytes) {
          out.put(character_of_byte(static_cast<unsigned char>(byte)), change);
          change = 1;
        }
      });
    });
  }
  void operator()(const VisibleSpaces& v) const {
    replace_all(Literal{" "}, v.sign, text);
    const auto lacks = [&v](std::string_view old, const Stretch& s) {
      return !old.starts_with(v.sign) &&
             (v.prefix == Prefix::always || (v.prefix == Prefix::first && s.origin == 0));
    };
    text.rewrite(lacks, [&v](std::string_view old, Rewriter& out) { prepend(v.sign, old, out); });
    if (v.cut) split(Literal{v.sign}, Behaviour::merged_with_next, false, text);
  }
  void operator()(const Numbers& n) const {
    split(single(is_number), n.single ? Behaviour::isolated : Behaviour::contiguous, false, text);
  }
  void operator()(const Punctuation& p) const {
    split(single(is_punctuation_or_ascii), p.behaviour, false, text);
  }
  void operator()(const Splitting& s) const { split(s.pattern, s.behaviour, s.invert, text); }
};

}  // namespace

void apply(const PreTokeniser& pre_tokeniser, TracedText& text) {
  std::visit(Apply{text}, pre_tokeniser);
}

}  // namespace qkv::pipeline
