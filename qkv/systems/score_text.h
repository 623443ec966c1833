// How well a language model predicts a text: loss, perplexity, bits a character.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "qkv/data/text_stream.h"
#include "qkv/systems/generator.h"
#include "qkv/systems/language_model.h"

namespace qkv {

/// Every token of the stream once.
TextScore score_text(const LanguageModel& model, const TextStream& stream,
                     const ScoreOptions& options = {});
/// The same, with log p of every predicted token in their order; `sink` gets (index in stream.ids,
/// log p). `correct` is not counted.
TextScore score_tokens(const LanguageModel& model, const TextStream& stream,
                       const ScoreOptions& options,
                       const std::function<void(std::int64_t, float)>& sink);

}  // namespace qkv
