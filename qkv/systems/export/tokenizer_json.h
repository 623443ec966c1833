// Our tokenisers in the form of tokenizer.json, which transformers reads whatever its version, with
// what it wants beside it. All are written for its class PreTrainedTokenizerFast, which takes the
// file as it stands; the classes with names of their own build theirs anew from the pieces.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "qkv/io/json.h"
#include "qkv/text/token_pipeline.h"
#include "qkv/text/tokeniser.h"
#include "qkv/text/wordpiece.h"

namespace qkv {

/// A pipeline's own file, or what would be it, without limits of length.
Json tokenizer_json(const TokenPipeline& pipeline);
/// BERT's: [CLS] text [SEP].
Json tokenizer_json(const WordPiece& pieces);

/// How a language model of ours reads text, whole lines with their ends.
struct LineTokens {
  std::int32_t start = -1;    // stands before every text; −1: nothing
  std::int32_t newline = -1;  // what "\n" is; −1: white space like any other
};
/// Sub-words, characters, or what stands between spaces; Error for the other kinds.
Json tokenizer_json(const Tokeniser& tokeniser, const LineTokens& lines);

/// What a token is called in a file, with its role there: {"bos_token", "<s>"}; "" is none.
using NamedTokens = std::vector<std::pair<std::string, std::string>>;
/// tokenizer_config.json and special_tokens_map.json. `types`: texts have segments.
void save_token_names(const NamedTokens& tokens, std::int64_t longest, bool types,
                      const std::filesystem::path& folder);

}  // namespace qkv
