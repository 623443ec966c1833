// Translators in CTranslate2's form: model.bin, vocabularies as .txt or .json, config.json (which
// old ones do not have). Texts are what stands between spaces, since such a directory holds no rule
// for cutting words; a sentencepiece.model, or source.spm and target.spm, beside it cut them.
//
// Source: CTranslate2 4 (specs, converters, translate options' defaults).
#pragma once

#include <optional>
#include <string>

#include "qkv/io/ct2_file.h"
#include "qkv/io/model_files.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

bool is_ct2_translator(const ModelFiles& files);

/// How texts become pieces, where the directory itself does not say.
struct Ct2Pieces {
  std::optional<std::string> source_model, target_model;  // SentencePiece's, their bytes
};
/// Throws FileError, or DataError for damage and for networks that are none of these.
TranslationModel read_ct2_translator(const ModelFiles& files, const Ct2Pieces& pieces = {});
/// The network of a model.bin, with `notes` of what was passed over. For fuzzing too.
Transformer ct2_network(const Ct2File& file, double norm_eps, std::vector<std::string>& notes);

}  // namespace qkv
