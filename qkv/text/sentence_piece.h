// Tokenisers of translators whose numbers are not those of SentencePiece: a .spm file cuts the
// text, and the names of its pieces are looked up in another vocabulary (Marian, M2M100, Argos).
//
// In a tokenizer.json, which knows no such model, it is one of this library's own:
//   "model": {"type": "SentencePiece", "model": base64 of the .spm, "vocab": {piece: number},
//             "unk_token": "<unk>", "languages": false},
//   "decoder": {"type": "SentencePiece", "special": pieces that stand in the text as they are}
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "qkv/text/token_pipeline.h"

namespace qkv {

struct SentencePieceParts {
  std::string model;                        // the bytes of the .spm file
  std::map<std::string, std::int32_t> ids;  // of pieces
  std::string unk_token = "<unk>";          // what pieces without a number are
  std::string end_token = {};               // behind every text; empty: none
  /// Found where a text spells them, and left out of decoded texts. Their numbers may stand in
  /// `ids` too.
  std::map<std::string, std::int32_t> special = {};
  bool languages = false;   // ">>fra<<" names the target language and is no text (Marian)
  bool own_spaces = false;  // decoding takes ▁ for a space and nothing else (Argos)
};

/// The tokenizer.json of the parts.
nlohmann::json sentence_piece_json(const SentencePieceParts& parts);
/// `path` is for messages. Throws DataError for a damaged model.
TokenPipeline sentence_piece_pipeline(const SentencePieceParts& parts, std::string_view path);

/// A pipeline of sentence_piece_json() without a token. Throws Error where it stands around texts.
TokenPipeline without_token(const TokenPipeline& pipeline, std::int32_t id, std::string_view path);

/// The parts that such a pipeline was made of; nothing for other pipelines.
std::optional<SentencePieceParts> sentence_piece_parts(const TokenPipeline& pipeline);

/// Tokens between spaces by their names in `tokens`, which are their numbers; decoded with spaces
/// between them. For models whose text was cut before (CTranslate2). Throws DataError for a token
/// that is there twice.
TokenPipeline token_list_pipeline(const std::vector<std::string>& tokens,
                                  const std::string& unk_token, std::string_view path);

}  // namespace qkv
