// The tokenisers that BLEU is defined with. A BLEU score means nothing without the name of its
// tokeniser, so these are fixed for ever: each gives the tokens of sacreBLEU's tokeniser of the
// same name, oddities included. They are not meant for anything but scoring.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

enum class BleuTokeniser {
  v13a,       // "13a": mteval-v13a, the default; for languages that put spaces between words
  zh,         // "zh": Chinese characters one by one, the rest as 13a
  character,  // "char": every character that is not white space
  intl,       // "intl": mteval-v14, splits at Unicode punctuation and symbols
  none,       // "none": the text is tokenised already, split at white space
};
constexpr std::array<std::string_view, 5> spelling(BleuTokeniser) {
  return {"13a", "zh", "char", "intl", "none"};
}

/// The name in the signature.
std::string_view name_of(BleuTokeniser tokeniser);
/// The tokeniser of that name; throws Error with the list of names.
BleuTokeniser bleu_tokeniser(std::string_view name);

/// zh for lines with many Chinese characters, else 13a.
BleuTokeniser bleu_tokeniser_of(const std::vector<std::string>& lines);

std::vector<std::string> tokenise(std::string_view text, BleuTokeniser tokeniser);

}  // namespace qkv
