// How a translation model is decoded: its special tokens, its steps, the best of each source.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qkv/decode/batch_translator.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

/// Start and end of the model's targets, and what is never produced.
void set_special_tokens(const TranslationModel& model, SearchOptions& options);

/// The model one token a step, for search; of the options a recurrent network takes source_eos
/// alone, and throws for a cache. The model must outlive it.
std::unique_ptr<StepModel> decoder_of(const TranslationModel& model,
                                      const TransformerDecoderOptions& options);

/// The best translation of each source as text.
std::vector<std::string> translate_tokens(const TranslationModel& model,
                                          std::span<const Tokens> sources,
                                          BatchTranslatorOptions options);

}  // namespace qkv
