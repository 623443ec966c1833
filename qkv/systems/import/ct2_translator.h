// Translators in CTranslate2's form: model.bin, vocabularies as .txt or .json, config.json (which
// old ones do not have). Texts are what stands between spaces, since such a directory holds no rule
// for cutting words; a sentencepiece.model, or source.spm and target.spm, beside it cut them. So
// does the sentencepiece.bpe.model of M2M100 and NLLB (ct2-transformers-converter --copy_files),
// whose tokenisers write the language before a source and </s> behind it; without it the text must
// hold both, as CTranslate2 is given them.
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
  bool source_end = false;  // their tokeniser ends sources with </s>, whatever config.json says
};
/// Throws FileError, or DataError for damage and for networks that are none of these.
TranslationModel read_ct2_translator(const ModelFiles& files, const Ct2Pieces& pieces = {});
/// The network of a model.bin, with `notes` of what was passed over. For fuzzing too.
Transformer ct2_network(const Ct2File& file, double norm_eps, std::vector<std::string>& notes);

}  // namespace qkv
