// The steps of writing a translator for transformers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qkv/systems/export/parts.h"

namespace qkv {

/// Tokens of a network there that ours has not, or under another number.
struct TokenIds {
  std::int32_t start = 0, pad = 0;
  bool never_pad = false;  // a token that must be kept from being produced
};

/// The fields that both classes have.
Json network_json(const Transformer::Config& config, const TokenIds& ids, std::int32_t end);
/// generation_config.json, with notes of what generate() does not do.
Json generation_json(const TranslationModel& model, std::int64_t positions, const TokenIds& ids,
                     std::vector<std::string>& notes);

/// A side of Marian's tokeniser.
struct MarianSide {
  std::string model;  // SentencePiece's, the bytes of the .spm
  Json ids;           // of all pieces, without pad
  std::string unk, eos;
  std::int32_t pad = 0, rows = 0;  // the number of pad, and of the numbers with it
};
/// Throws Error for a tokeniser that is none of SentencePiece, or does more than it. `end`: the
/// token that ends a text of this side, which must be there. Pad gets the number `pad` where it is
/// free, else the one behind all others.
MarianSide marian_side(const Tokeniser& tokeniser, std::int32_t end, std::int32_t pad);
/// vocab.json, the .spm files and tokenizer_config.json.
void save_marian_tokenisers(const MarianSide& source, const MarianSide& target,
                            const TranslationModel& model, const std::filesystem::path& folder);
/// sentencepiece.bpe.model with vocab.json, or tokenizer.json (NLLB).
void save_m2m100_tokeniser(const TranslationModel& model, const std::filesystem::path& folder);

}  // namespace qkv
