// The parts of a tokenizer.json from its JSON. Each function throws DataError with the file and the
// way to what it does not know; null where a part may be missing stands for none.
#pragma once

#include <optional>
#include <vector>

#include "qkv/text/pipeline/json_part.h"
#include "qkv/text/pipeline/parts.h"

namespace qkv::pipeline {

std::vector<Normaliser> read_normalisers(const std::optional<JsonPart>& json);
std::vector<PreTokeniser> read_pre_tokenisers(const std::optional<JsonPart>& json);
std::optional<std::vector<Decoder>> read_decoders(const std::optional<JsonPart>& json);
/// Sets Parts::around and trims.
void read_post_processors(const std::optional<JsonPart>& json, Parts& parts);
/// The model, and its pieces with their numbers in `ids`.
Model read_model(const JsonPart& json, PieceIds& ids);
std::vector<AddedToken> read_added_tokens(const std::optional<JsonPart>& json);

/// A list of the members of a Sequence, flattened; of anything else itself.
std::vector<JsonPart> members_of(const JsonPart& part, const char* list, int depth = 0);
/// The sign of a space, and where one is put, of a Metaspace.
std::pair<std::string, Prefix> read_visible_space(const JsonPart& json);
/// {"String": …} or {"Regex": …}.
Pattern read_pattern(const JsonPart& json);

/// Builds a BPE model; merges by rank, each of two pieces. Throws Error for one whose pieces are
/// not in the vocabulary.
BpeModel make_bpe(PieceIds pieces, const std::vector<std::pair<std::string, std::string>>& merges,
                  BpeModel settings);
/// A score as Hugging Face's library reads the number from a file, at times the last bit off: ties
/// between ways to cut a word fall as they do there.
double as_read(double score);
UnigramModel make_unigram(const std::vector<std::pair<std::string, double>>& pieces,
                          std::int32_t unk, bool byte_fallback);
WordPieceModel make_word_piece(const PieceIds& pieces, std::string unk_token,
                               std::string_view prefix, std::size_t longest_word);

}  // namespace qkv::pipeline
