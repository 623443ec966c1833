#include "qkv/text/split.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <utf8proc.h>

#include "qkv/base/error.h"
#include "qkv/text/normalise.h"

namespace qkv {
namespace {

struct Range {
  char32_t first, last;
};

// Script=Latin of Unicode 14 (Scripts.txt).
constexpr Range kLatin[] = {
    {0x0041, 0x005A},   {0x0061, 0x007A},   {0x00AA, 0x00AA},  {0x00BA, 0x00BA}, {0x00C0, 0x00D6},
    {0x00D8, 0x00F6},   {0x00F8, 0x02B8},   {0x02E0, 0x02E4},  {0x1D00, 0x1D25}, {0x1D2C, 0x1D5C},
    {0x1D62, 0x1D65},   {0x1D6B, 0x1D77},   {0x1D79, 0x1DBE},  {0x1E00, 0x1EFF}, {0x2071, 0x2071},
    {0x207F, 0x207F},   {0x2090, 0x209C},   {0x212A, 0x212B},  {0x2132, 0x2132}, {0x214E, 0x214E},
    {0x2160, 0x2188},   {0x2C60, 0x2C7F},   {0xA722, 0xA787},  {0xA78B, 0xA7CA}, {0xA7D0, 0xA7D1},
    {0xA7D3, 0xA7D3},   {0xA7D5, 0xA7D9},   {0xA7F2, 0xA7FF},  {0xAB30, 0xAB5A}, {0xAB5C, 0xAB64},
    {0xAB66, 0xAB69},   {0xFB00, 0xFB06},   {0xFF21, 0xFF3A},  {0xFF41, 0xFF5A}, {0x10780, 0x10785},
    {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x1DF00, 0x1DF1E}};

// Han, Hiragana, Katakana (with its length mark) and Bopomofo; gaps inside the blocks do not
// matter.
constexpr Range kCjk[] = {
    {0x2E80, 0x2FD5},   {0x3005, 0x3007},   {0x3021, 0x3029},  {0x3038, 0x303B}, {0x3041, 0x3096},
    {0x309D, 0x309F},   {0x30A1, 0x30FA},   {0x30FC, 0x30FF},  {0x3105, 0x312F}, {0x31A0, 0x31BF},
    {0x31F0, 0x31FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},  {0xF900, 0xFAD9}, {0xFF66, 0xFF9D},
    {0x16FE2, 0x16FE3}, {0x1AFF0, 0x1B167}, {0x20000, 0x3134A}};

bool within(std::span<const Range> ranges, char32_t c) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), c,
                       [](char32_t value, const Range& r) { return value < r.first; });
  return after != ranges.begin() && c <= std::prev(after)->last;
}

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_digit(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

// Letters, digits and what else may stand inside a word (joiners, "_").
bool is_word(char32_t c) { return !is_space(c) && !is_cjk(c) && !is_punctuation(c); }

// May `c` between two word characters be part of the word?
bool joins(char32_t before, char32_t c, char32_t after) {
  if (!is_word(before) || !is_word(after)) return false;
  if (c == U'\'' || c == U'\u2019' || c == U'-' || c == U'\u2010') return true;
  return (c == U'.' || c == U',' || c == U':') && is_digit(before) && is_digit(after);
}

std::string_view cover(std::string_view first, std::string_view last) {
  return {first.data(), static_cast<std::size_t>(last.data() + last.size() - first.data())};
}

bool is_wide_mark(char32_t c) {
  return (c >= 0x3001 && c <= 0x303F) || (c >= 0xFF01 && c <= 0xFF65 && is_punctuation(c));
}

bool closes(char32_t c) {
  const utf8proc_category_t k = category(c);
  if (k == UTF8PROC_CATEGORY_PE || k == UTF8PROC_CATEGORY_PF) return true;
  return std::u32string_view(U".,!?;:%/\u2026\u2030\u00B0").find(c) != std::u32string_view::npos;
}

bool is_regional(char32_t c) { return c >= 0x1F1E6 && c <= 0x1F1FF; }

/// Whether the next word goes on with a sign of several code points: those that were cut apart by
/// an older vocabulary become one again.
bool completes(std::string_view before, std::string_view next) {
  const char32_t c = first_code_point(next).value;
  if (c == 0x200D || c == 0xFE0F || c == 0x20E3) return true;  // joiner, keycap
  if ((c >= 0x1F3FB && c <= 0x1F3FF) || (c >= 0xE0020 && c <= 0xE007F)) return true;  // skin, tags
  if (before.ends_with("\u200D")) return is_punctuation(c);
  // One half of a flag, and the other.
  return is_regional(c) && next.size() == 4 && before.size() == 4 &&
         is_regional(first_code_point(before).value);
}

bool opens(char32_t c) {
  const utf8proc_category_t k = category(c);
  if (k == UTF8PROC_CATEGORY_PS || k == UTF8PROC_CATEGORY_PI) return true;
  return std::u32string_view(U"$#@/\u00A3\u00BF\u00A1").find(c) != std::u32string_view::npos;
}

}  // namespace

bool is_cjk(char32_t c) { return c >= 0x2E80 && within(kCjk, c); }
bool is_latin(char32_t c) { return within(kLatin, c); }

bool is_punctuation(char32_t c) {
  const utf8proc_category_t k = category(c);
  return k >= UTF8PROC_CATEGORY_PD && k <= UTF8PROC_CATEGORY_SO;  // all P* but Pc, all S*
}

std::vector<std::string_view> split_spaces(std::string_view text) {
  std::vector<std::string_view> parts;
  bool inside = false;
  for (const CodePoint& c : code_points(text)) {
    if (is_space(c.value)) {
      inside = false;
    } else if (inside) {
      parts.back() = cover(parts.back(), c.bytes);
    } else {
      parts.push_back(c.bytes);
      inside = true;
    }
  }
  return parts;
}

std::string plain_spaces(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (const CodePoint& c : code_points(text)) {
    plain += is_space(c.value) ? std::string_view(" ") : c.bytes;
  }
  return plain;
}

namespace {

/// A grapheme cluster: what must not be parted. White space is one by itself, whatever follows.
struct Cluster {
  std::string_view bytes;
  char32_t first, second, last;  // code points; second is 0 when there is none
};

std::vector<Cluster> clusters_of(std::string_view text) {
  std::vector<Cluster> clusters;
  utf8proc_int32_t state = 0;
  for (const CodePoint& c : code_points(text)) {
    const auto value = static_cast<utf8proc_int32_t>(c.value);
    const bool apart =
        clusters.empty() || utf8proc_grapheme_break_stateful(
                                static_cast<utf8proc_int32_t>(clusters.back().last), value, &state);
    // White space is never part of a sign, whatever stands before it (U+0602 would take it).
    if (apart || is_space(clusters.back().last) || is_space(c.value)) {
      clusters.push_back({.bytes = c.bytes, .first = c.value, .second = 0, .last = c.value});
    } else {
      Cluster& cluster = clusters.back();
      cluster.bytes = cover(cluster.bytes, c.bytes);
      if (cluster.second == 0) cluster.second = c.value;
      cluster.last = c.value;
    }
  }
  return clusters;
}

/// The end of the word that begins at `begin` with a word character.
std::size_t word_end(const std::vector<Cluster>& clusters, std::size_t begin) {
  const auto goes_on = [&clusters](std::size_t i) {
    const Cluster& c = clusters[i];
    if (is_word(c.first)) return true;
    const char32_t after = c.second != 0             ? c.second
                           : i + 1 < clusters.size() ? clusters[i + 1].first
                                                     : U' ';
    return joins(clusters[i - 1].last, c.first, after);
  };
  std::size_t end = begin + 1;
  while (end < clusters.size() && goes_on(end)) ++end;
  return end;
}

}  // namespace

std::vector<std::string_view> split_words(std::string_view text) {
  const std::vector<Cluster> clusters = clusters_of(text);
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < clusters.size();) {
    const Cluster& first = clusters[i];
    const std::size_t begin = i++;
    if (is_space(first.first)) continue;
    if (is_word(first.first)) {
      i = word_end(clusters, begin);
    } else if (is_punctuation(first.first)) {
      while (i < clusters.size() && clusters[i].bytes == first.bytes) ++i;
    }
    words.push_back(cover(first.bytes, clusters[i - 1].bytes));
  }
  return words;
}

namespace {
constexpr auto kCuts = spelling(WordCut{});
}  // namespace

std::string_view name_of(WordCut cut) { return kCuts[static_cast<std::size_t>(cut)]; }

WordCut word_cut_of(std::string_view name) {
  const auto found = std::find(kCuts.begin(), kCuts.end(), name);
  if (found == kCuts.end()) fail("'{}' is not one of space, word, character, text, pair", name);
  return static_cast<WordCut>(found - kCuts.begin());
}

namespace {

std::vector<std::string_view> two_texts(std::string_view line) {
  const auto tabs = std::count(line.begin(), line.end(), '\t');
  if (tabs != 1) fail("expected two texts with a tab between, found {} tabs", tabs);
  const std::size_t tab = line.find('\t');
  return {line.substr(0, tab), line.substr(tab + 1)};
}

}  // namespace

std::vector<std::string> cut_words(std::string_view text, WordCut cut) {
  const std::string repaired = repair_utf8(text);
  std::vector<std::string_view> parts;
  if (cut == WordCut::word) {
    parts = split_words(repaired);
  } else if (cut == WordCut::text) {
    if (!split_spaces(repaired).empty()) parts.push_back(repaired);
  } else if (cut == WordCut::pair) {
    if (!split_spaces(repaired).empty()) parts = two_texts(repaired);
  } else {
    for (const std::string_view word : split_spaces(repaired)) {
      if (cut == WordCut::space) {
        parts.push_back(word);
      } else {
        for (const std::string_view character : characters(word)) parts.push_back(character);
      }
    }
  }
  return {parts.begin(), parts.end()};
}

std::vector<std::string> split_page(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view part : split_spaces(text)) {
    std::string kept;
    for (const CodePoint& c : code_points(part)) {
      if (is_latin(c.value) || c.value == U'\'') kept += c.bytes;
    }
    if (!kept.empty()) words.push_back(std::move(kept));
  }
  return words;
}

std::string join_words(std::span<const std::string_view> words) {
  std::string text;
  char32_t before = 0;    // last code point so far
  bool glued = true;      // nothing may stand between the last word and the next one
  bool open[2] = {};      // inside "…", inside '…'
  std::string_view last;  // the word before, unless it was the second half of a flag
  for (const std::string_view word : words) {
    if (word.empty()) continue;
    const char32_t first = first_code_point(word).value;
    const bool quote = word == "\"" || word == "'";
    bool& quoted = open[word == "'"];
    const bool east =
        is_cjk(first) || is_cjk(before) || is_wide_mark(first) || is_wide_mark(before);
    const bool one = !last.empty() && completes(last, word);
    const bool space = !glued && !east && !closes(first) && !(quote && quoted) && !one;
    if (space) text += ' ';
    last = one && is_regional(first) ? std::string_view() : word;
    text += word;
    before = code_points(word).back().value;
    glued = quote ? !quoted : opens(before);
    if (quote) quoted = !quoted;
  }
  return text;
}

}  // namespace qkv
