// Any bytes as running text: sentences, words, characters.
#pragma once

#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/utf8.h"
#include "qkv/text/normalise.h"
#include "qkv/text/sentences.h"
#include "qkv/text/split.h"

namespace qkv {

inline std::string without_spaces(std::string_view text) {
  std::string kept;
  for (const CodePoint& c : code_points(text)) {
    if (!is_space(c.value)) kept += c.bytes;
  }
  return kept;
}

inline void fuzz_sentences(std::string_view bytes) {
  std::string whole;
  const std::vector<SentencePiece> pieces = split_sentences(bytes);
  for (const SentencePiece& piece : pieces) {
    fuzz_require(&piece == pieces.data() || !piece.text.empty(), "an empty sentence");
    fuzz_require(trim_spaces(piece.text) == piece.text, "white space at the ends");
    fuzz_require(is_blank(piece.space_after), "text is taken for space");
    whole.append(piece.text).append(piece.space_after);
    const std::string line = one_line(piece.text);
    fuzz_require(line.find('\n') == line.npos, "two lines");
    fuzz_require(without_spaces(line) == without_spaces(piece.text), "one line loses text");
  }
  fuzz_require(whole == bytes, "the sentences are not the text");
  const std::string text = repair_utf8(bytes);
  std::string words;
  for (const std::string_view word : split_words(text)) {
    fuzz_require(!word.empty(), "an empty word");
    words += word;
  }
  fuzz_require(words == without_spaces(text), "words lose text");
  (void)join_words(split_words(text));
  fuzz_require(trim_spaces(trim_spaces(bytes)) == trim_spaces(bytes), "trimmed twice");
  for (const std::string_view field : split_blanks(bytes)) fuzz_require(!field.empty(), "empty");
}

inline std::vector<std::string> sentences_seeds() {
  return {
      "Mr. Smith met Dr. Brown at 5 p.m. in the U.S. He said \"Stop!\" Then he left.\n\nNext...",
      "Am 3. Oktober, z. B. „Was?“, fragte er. »Komm!« - 1. Item\n2. Item\r\n\r\n# Title\nText",
      "« Vraiment ? » dit-il. ¿Qué tal? ¡Bien! EE. UU. J.-C. [12] (p. 5.)",
      "他说：“你好！”然后走了。「はい。」と言った。真的吗?我不信\n！",
      "👍🏽 🇩🇪🇫🇷 1️⃣ e\u0301 \u200D\u3000\u2029x \u1112\u1161\u11AB",
      "\xFF. \xFF A.\xE2\x80"};
}

}  // namespace qkv
