// Packages of Argos Translate and LibreTranslate: an .argosmodel, which is a zip, or what those
// programs keep of it in a directory.
//   metadata.json         from_code, to_code, type, target_prefix
//   model/                a translator of CTranslate2
//   sentencepiece.model   how texts become pieces
// Translated as there: sentence by sentence, beam 4, length penalty 0.2, unknown words as they
// stand in the source.
//
// Source: argostranslate (package.py, translate.py, tokenizer.py).
#pragma once

#include "qkv/io/model_files.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

bool is_argos_package(const ModelFiles& files);
/// Throws FileError or DataError; what is no translator, or cuts text in a way that is not known
/// here, is refused by name.
TranslationModel read_argos_translator(const ModelFiles& files);

}  // namespace qkv
