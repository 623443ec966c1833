// The special tokens of translators that other programs have trained: in config.json, around a
// source, at the beginning of a target.
#pragma once

#include <string>
#include <string_view>

#include "qkv/io/json.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

Json tokens_json(const TranslationTokens& tokens);
/// Throws DataError for a field that is missing, unknown or of another type.
TranslationTokens tokens_from(const Json& json, FieldReader reader);
/// What config.json says of TranslateOptions; all fields must be there.
TranslateOptions translate_options_from(FieldReader reader);
/// Throws DataError where a number lies outside the vocabularies.
void check_tokens(const TranslationTokens& tokens, const TranslationModel& model,
                  const std::string& path);

/// The token of a language, from a vocabulary that must have it. Throws Error, naming the option.
std::int32_t language_token(const TranslationTokens& tokens, const Tokeniser& vocabulary,
                            std::string_view option, std::string_view language);
/// A source as the network reads it, its end left out.
std::vector<std::int32_t> encode_source(const TranslationModel& model, std::string_view text,
                                        const TranslateOptions& options);
/// What every target begins with.
std::vector<std::int32_t> target_begin(const TranslationModel& model,
                                       const TranslateOptions& options);

}  // namespace qkv
