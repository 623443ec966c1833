// Translators in Hugging Face's form: MarianMT (OPUS-MT) and M2M100 (with NLLB).
//
//   Marian   post-norm, [sines | cosines]; its pad token, which starts targets with a row of zeros
//            and is never produced, is no token here: the row goes, and the start is a zero vector.
//            What transformers gives that token of each probability without renormalize_logits is
//            not given here, as Marian itself does not
//   M2M100   pre-norm; sources begin with the token of their language, targets with that of theirs
//
// Source: transformers 4.40 and 5 (config, modeling, tokenization and generation of both).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "qkv/io/directory.h"
#include "qkv/nn/state_dict.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

/// What config.json and generation_config.json say.
struct ForeignTranslator {
  bool marian = false;
  Transformer::Config network;  // vocabularies as the configuration has them
  TranslationTokens tokens;     // by the configuration's numbers
  TranslateOptions defaults;
  std::int64_t pad = -1;
  bool tables = false;  // kTablesField
  std::vector<std::string> notes;
};

bool is_hf_translator(const Json& config);
/// Throws DataError for a directory that is damaged or would make another network.
TranslationModel read_hf_translator(const ModelDirectory& directory);

// Names of tensors; translator_entries() has the others.
inline constexpr const char* kSharedTable = "model.shared.weight";
inline constexpr const char* kSourceTable = "model.encoder.embed_tokens.weight";
inline constexpr const char* kTargetTable = "model.decoder.embed_tokens.weight";
inline constexpr const char* kSourcePlaces = "model.encoder.embed_positions.weight";
inline constexpr const char* kTargetPlaces = "model.decoder.embed_positions.weight";
/// Ours, in config.json: the positions are no sinusoids that a program can compute. transformers
/// leaves the tables out when it saves, but keeps the field.
inline constexpr const char* kTablesField = "qkv_position_tables";
inline constexpr const char* kOutputTable = "lm_head.weight";
inline constexpr const char* kLogitsBias = "final_logits_bias";  // Marian's

/// The bias that an export gives to rows without a token: in each type of weights, far below every
/// logit.
inline constexpr float kNeverBias = -1e4F;

// Its steps.
ForeignTranslator read_translator_config(const ModelDirectory& directory);

/// The weights by name, copies of tables left out.
struct ForeignTables {
  std::string path;  // for messages
  std::map<std::string, Tensor, std::less<>> tensors;
  bool without_pad = false;  // the rows of pad, the last of each table, are gone

  /// The table that a side's tokens are looked up in, and that of the output.
  std::string source_table, target_table, output;
};
/// Corrects the network's configuration by what is there.
ForeignTables read_translator_tables(const ModelDirectory& directory, ForeignTranslator& settings);
/// Sets source, target and joint, and what is known of languages.
void read_translator_tokenisers(const ModelDirectory& directory, bool without_pad,
                                ForeignTranslator& settings, TranslationModel& model);
/// Tables without rows that no token has, made the network.
Transformer translator_network(const ModelDirectory& directory, ForeignTables tables,
                               ForeignTranslator& settings);
/// The network's weights under the names of both classes.
StateEntries translator_entries(const Transformer& network, bool marian);

}  // namespace qkv
