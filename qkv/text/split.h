// Cutting text into words and putting words together again, for any script. Input is valid UTF-8
// (see normalise.h); results are views into it unless said otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/utf8.h"

namespace qkv {

/// Written without spaces between words: Han, kana, bopomofo.
bool is_cjk(char32_t c);
/// Punctuation and symbols of any script.
bool is_punctuation(char32_t c);
/// Letters of the Latin script, with or without diacritics.
bool is_latin(char32_t c);

/// Runs of anything but white space.
std::vector<std::string_view> split_spaces(std::string_view text);

/// Every white-space character (tabs, wide and no-break spaces) as an ordinary space.
std::string plain_spaces(std::string_view text);

/// Words, numbers, punctuation marks and single CJK characters:
///   "Don't pay 3.50, 王先生!"  ->  Don't | pay | 3.50 | , | 王 | 先 | 生 | !
/// Apostrophes and hyphens inside a word and points inside a number belong to it; a run of one mark
/// ("...") stays together, and so does a sign of several code points (a flag, a family, a skin
/// tone: Unicode's grapheme clusters, UAX 29).
std::vector<std::string_view> split_words(std::string_view text);

/// How running text becomes words: space leaves words as they stand between spaces, word cuts as
/// split_words does, character makes every character but spaces a word, text leaves the whole text
/// in one piece, pair makes two of it, with a tab between (no word when there is only white space).
enum class WordCut : std::uint8_t { space, word, character, text, pair };
constexpr std::array<std::string_view, 5> spelling(WordCut) {
  return {"space", "word", "character", "text", "pair"};
}
/// Whether a "word" is a text, for a model of pieces to cut.
constexpr bool keeps_texts(WordCut cut) { return cut == WordCut::text || cut == WordCut::pair; }
/// "space", "word", "character", "text", "pair"; the second form throws Error with that list.
std::string_view name_of(WordCut cut);
WordCut word_cut_of(std::string_view name);
/// Takes any bytes; bad ones are repaired. Throws Error for a pair without a tab or with several.
std::vector<std::string> cut_words(std::string_view text, WordCut cut);

/// Text as the page variant reads it: everything but white space, Latin letters and ' is deleted,
/// the rest is split at white space. "it's 5 o'clock!" -> it's | o'clock
std::vector<std::string> split_page(std::string_view text);

/// The opposite of split_words for conventionally spaced text: no space before , . ! ? ) or after
/// (, straight quotes by turns open and close, nothing between CJK characters and around their
/// marks, and none inside a sign of several code points that was cut into words.
std::string join_words(std::span<const std::string_view> words);

}  // namespace qkv
