// Translators of other programs that are known by the files that lie there, before any config.json
// is read: CTranslate2's (ct2_translator.h), packages of Argos Translate (argos_package.h), and
// Marian's own (marian_npz.h).
#pragma once

#include <optional>

#include "qkv/io/model_files.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

/// Nothing where it is none of them; an archive must be one. Throws FileError or DataError.
std::optional<TranslationModel> read_packaged_translator(const ModelFiles& files);
/// How it cuts texts of a side.
std::optional<TokenPipeline> read_packaged_tokeniser(const ModelFiles& files, TextSide side);

}  // namespace qkv
