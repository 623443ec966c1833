// What tokenizer.json calls decoders: pieces to text, each a step from a list of texts to another.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "qkv/text/pipeline/patterns.h"
#include "qkv/text/subword.h"

namespace qkv::pipeline {

/// Spaces between pieces but before those with the prefix, which goes.
struct WordPieceDecoder {
  std::string prefix = "##";
  bool clean_up = true;  // no space before marks and within contractions
};
struct ByteLevelDecoder {};
struct VisibleSpaceDecoder {
  std::string sign = "\xE2\x96\x81";
  bool prefix = true;  // one at the beginning was put there
};
struct ByteFallbackDecoder {};  // <0x0A>
struct FuseDecoder {};          // all pieces are one
struct StripDecoder {
  std::string content = " ";  // one character
  std::size_t start = 0, stop = 0;
};
struct ReplaceDecoder {
  Pattern pattern;
  std::string content;
};
struct SuffixDecoder {  // BPEDecoder
  std::string suffix = "</w>";
};
/// SentencePiece's own joining, then without white space at the ends (Marian).
struct SubwordDecoder {
  Subword model;
  std::vector<std::string> special;  // pieces that stand in the text as they are
};

using Decoder =
    std::variant<WordPieceDecoder, ByteLevelDecoder, VisibleSpaceDecoder, ByteFallbackDecoder,
                 FuseDecoder, StripDecoder, ReplaceDecoder, SuffixDecoder, SubwordDecoder>;

void apply(const Decoder& decoder, std::vector<std::string>& pieces);

}  // namespace qkv::pipeline
