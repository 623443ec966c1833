// Any bytes as a vocabulary file, and as text for the tokenisers that need no training.
#pragma once

#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/text/tokeniser.h"
#include "qkv/text/vocabulary.h"

namespace qkv {

inline void fuzz_text(std::string_view bytes) {
  try {
    const Vocabulary vocabulary = Vocabulary::from_text(bytes, "fuzz");
    fuzz_require(Vocabulary::from_text(vocabulary.to_text(), "again").size() == vocabulary.size(),
                 "another size after writing");
  } catch (const Error&) {
  }
  static const std::vector<Tokeniser> tokenisers = [] {
    const std::vector<std::string> sentences = {"the dog's running", "你好 the 世界", "É ﬁ 1,000"};
    std::vector<Tokeniser> all;
    for (const auto kind : {Tokeniser::Kind::word, Tokeniser::Kind::character,
                            Tokeniser::Kind::space, Tokeniser::Kind::page}) {
      all.push_back(Tokeniser::train({.kind = kind}, sentences));
    }
    return all;
  }();
  for (const Tokeniser& tokeniser : tokenisers) {
    try {
      const std::vector<std::int32_t> ids = tokeniser.encode(bytes);
      for (const std::int32_t id : ids) {
        fuzz_require(id >= 0 && id < tokeniser.size(), "a number outside the vocabulary");
      }
      fuzz_require(tokeniser.words(ids).size() == ids.size(), "words and tokens differ");
      fuzz_require(tokeniser.pieces(bytes).size() == ids.size(), "pieces and tokens differ");
      (void)tokeniser.decode(ids);
    } catch (const Error&) {
    }
  }
}

inline std::vector<std::string> text_seeds() {
  TokenCounts counts;
  for (const char* token : {"the", "狗", "tab\t", "back\\slash", "é"})
    count_token(counts, token, 3);
  return {Vocabulary(counts).to_text(), "the dog's running across the grass.", "你明天有空吗？ a b",
          "e\xcc\x81 \xef\xac\x81 \xe2\x80\x8d <eos>", "\xff\xfe\xc3"};
}

}  // namespace qkv
