// The attention of one sentence or pair and its pictures; for `qkv look` and `qkv demo`.
#pragma once

#include <filesystem>
#include <string>

#include "qkv/systems/action_model.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/labeller_model.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/translation_model.h"
#include "qkv/view/attention_maps.h"

namespace qkv::app {

struct LookSettings {
  std::string source;
  std::string target;          // empty: what the model translates
  std::string kind = "cross";  // encoder, decoder or cross
  int layer = -1;              // negative: from the last
  int head = kMeanHead;
  bool tokens = false;  // sub-words instead of words
  std::string clips;    // a model of actions: a file of clips …
  std::string clip;     // … and the id of the one to look at; empty: the first
};

AttentionMaps attention_of(const TranslationModel& model, const LookSettings& settings);
/// What a tagger or classifier attends to: its encoder's layers ("encoder"), and its pooling with
/// the label as the one row ("cross").
AttentionMaps attention_of(const LabellerModel& model, const LookSettings& settings);
/// What each token of a text looks back at in a language model ("decoder"); rows are named after
/// what they predict, the last after the likeliest token. Throws for a model without weights.
AttentionMaps attention_of(const LanguageModel& model, const LookSettings& settings);
/// What AcT attends to: all layers ("encoder"), and what the class token alone looks at ("cross",
/// with the action as the one row). Columns are frames of the clip.
AttentionMaps attention_of(const ActionModel& model, const LookSettings& settings);
/// What a BERT attends to; the source may hold [MASK], and the title shows it filled.
AttentionMaps attention_of(const BertModel& model, const LookSettings& settings);
std::string terminal_picture(const AttentionMaps& maps, const LookSettings& settings);
/// By the name's ending: .svg, .png, .json or .html; throws Error otherwise.
void write_picture(const AttentionMaps& maps, const LookSettings& settings,
                   const std::filesystem::path& path);

}  // namespace qkv::app
