// Tokens beside the model's, which are found in the text before anything else looks at it: [MASK],
// <|endoftext|>, and what users added.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/text/pipeline/normalisers.h"
#include "qkv/text/pipeline/piece_trie.h"
#include "qkv/text/pipeline/traced.h"

namespace qkv::pipeline {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;      // decoding may leave it out
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the spaces before it
  bool rstrip = false;       // and those behind it
  bool normalised = false;   // looked for after normalisation
};

class AddedTokens {
 public:
  AddedTokens() = default;
  /// The normalisers are applied to tokens that are looked for after them.
  AddedTokens(std::vector<AddedToken> tokens, const std::vector<Normaliser>& normalisers);

  const std::vector<AddedToken>& all() const { return tokens_; }
  /// Makes stretches of their own of the tokens that are not `normalised`, or of those that are.
  void find(TracedText& text, bool normalised) const;

 private:
  std::vector<AddedToken> tokens_;
  /// What is looked for at one of the two times, by place in tokens_.
  struct Sought {
    PieceTrie trie;
    std::bitset<256> begins;  // the bytes that one of them begins with
  };

  Sought raw_, normalised_;
};

}  // namespace qkv::pipeline
