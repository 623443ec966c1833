// Which words a full stop may follow without ending the sentence, and which words begin one; what
// split_sentences() knows of English, German, French and Spanish.
#pragma once

#include <cstdint>
#include <string_view>

namespace qkv {

enum class Abbreviation : std::uint8_t {
  none,
  title,   ///< before a name or a noun, never at the end: Mr., Dr., bzw.
  number,  ///< only before a number: No. 5, S. 12, Art. 3; a word of its own otherwise
  either,  ///< may end a sentence, or not: etc., Inc., a.m.
};

/// `word` without its last full stop, as it is written; what the word is an abbreviation of does
/// not matter. Knows initialisms with full stops inside as well: U.S, z.B, Ph.D.
Abbreviation abbreviation_of(std::string_view word);

/// A word, with its capital, that begins sentences and hardly ever goes on with a name: "The".
bool begins_sentences(std::string_view word);
/// Names and dates go on with these although they are capitals: weekdays and months.
bool is_date_word(std::string_view word);
/// A German word before an ordinal number: "am 3. Oktober", "der 2. Platz".
bool precedes_ordinal(std::string_view word);
/// A word before a letter that is no initial: "Plan B.", "vitamin C."
bool precedes_letter(std::string_view word);

}  // namespace qkv
