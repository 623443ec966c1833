// What readers of different families of tokenisers share.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "qkv/text/pipeline/notes.h"
#include "qkv/text/pipeline/parts.h"

namespace qkv::pipeline {

/// By role, "pad_token".
using Defaults = std::map<std::string, AddedToken>;

AddedToken named(std::string_view content, bool lstrip = false);
/// {piece: number}
PieceIds read_vocabulary_file(const std::filesystem::path& path);
/// The number of a token that must be there.
std::int32_t required(const PieceIds& ids, const std::string& token,
                      const std::filesystem::path& path);
/// The pipeline of what would be its tokenizer.json, with the tokens and roles that the files
/// beside it name. `ids`: the vocabulary. Throws DataError, where no file is named with `path`.
Parts finish(nlohmann::json json, const PieceIds& ids, const Notes& notes, const Defaults& defaults,
             const std::filesystem::path& path);
/// Settings of SentencePiece of the tokeniser's own are refused.
void refuse_settings(const Notes& notes);

/// Marian's (source.spm, target.spm, vocab.json, perhaps target_vocab.json) and M2M100's
/// (sentencepiece.bpe.model, vocab.json): a .spm file cuts the text, and the names of its pieces
/// are looked up. As the JSON of sentence_piece.h.
Parts read_looked_up(const std::filesystem::path& directory, TextSide side, const Notes& notes);

}  // namespace qkv::pipeline
