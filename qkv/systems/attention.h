// What each kind of model attends to, as maps with their labels; for the systems' attention().
#pragma once

#include <string>
#include <string_view>

#include "qkv/view/attention_maps.h"

namespace qkv {

struct ActionModel;
struct BertModel;
struct Clip;
struct LabellerModel;
struct LanguageModel;
struct LookOptions;
struct TranslationModel;

/// Encoder, decoder and between them, over what the model translates when `target` is empty.
AttentionMaps attention_of(const TranslationModel& model, std::string_view source,
                           std::string_view target, const LookOptions& look);
/// The encoder's layers ("encoder"), and pooling with the label as the one row ("cross").
AttentionMaps attention_of(const LabellerModel& model, std::string_view text,
                           const LookOptions& look);
/// What each token looks back at ("decoder"); rows are named after what they predict, the last
/// after the likeliest token. Throws for a model that keeps a state.
AttentionMaps attention_of(const LanguageModel& model, std::string_view text);
/// All layers ("encoder"); the text may hold [MASK], and the title shows it filled.
AttentionMaps attention_of(const BertModel& model, std::string_view text, const LookOptions& look);
/// All layers ("encoder"), and what the class token alone looks at ("cross"). Columns are frames.
AttentionMaps attention_of(const ActionModel& model, const Clip& clip);

}  // namespace qkv
