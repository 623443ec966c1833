// config.json and generation_config.json of translators; the opposite of
// import/translator_config.cc.
#include <algorithm>

#include "qkv/io/directory.h"
#include "qkv/systems/export/translator_parts.h"
#include "qkv/systems/import/activations.h"

namespace qkv {
namespace {

Json early_stopping(StopRule rule) {
  if (rule == StopRule::exact) return "never";
  return rule == StopRule::full;
}

void add_lengths(const TranslateOptions& o, std::int64_t positions, Json& json) {
  const bool forced = o.at_limit == LimitRule::free;
  constexpr std::int64_t kUsual = 512;
  // There they count the start, and an end that is forced.
  json["max_length"] =
      o.max_length > 0 ? o.max_length + (forced ? 2 : 1) : std::min(positions, kUsual);
  if (o.min_length > 0) json["min_length"] = o.min_length + 1;
}

/// What the defaults ask for and generate() does not do.
void note_unknown(const TranslateOptions& o, std::vector<std::string>& notes) {
  if (o.penalty_form != PenaltyForm::power || o.coverage_penalty != 0) {
    notes.emplace_back("generation_config.json knows no other penalty than |Y|^length_penalty");
  }
  if (o.replace_unknown) {
    notes.emplace_back("transformers does not replace unknown tokens by those of the source");
  }
  if (o.max_length == 0) {
    notes.emplace_back(
        "generation_config.json has no limit by the source's length: its max_length stands for it");
  }
}

}  // namespace

Json generation_json(const TranslationModel& model, std::int64_t positions, const TokenIds& ids,
                     std::vector<std::string>& notes) {
  const TranslateOptions& o = model.defaults;
  const TranslationTokens t = model.tokens();
  Json json = {{"pad_token_id", ids.pad},
               {"eos_token_id", t.end},
               {"decoder_start_token_id", ids.start},
               {"num_beams", o.beam},
               {"length_penalty", o.length_penalty},
               {"early_stopping", early_stopping(o.stop)},
               {"do_sample", o.sample}};
  if (o.sample) {
    json.update({{"temperature", o.temperature}, {"top_k", o.top_k}, {"top_p", o.top_p}});
  }
  if (o.at_limit == LimitRule::free) json["forced_eos_token_id"] = t.end;
  add_lengths(o, positions, json);
  Json never = Json::array();
  for (const std::int32_t id : t.never) never.push_back(Json::array({id}));
  if (ids.never_pad) never.push_back(Json::array({ids.pad}));
  if (!never.empty()) json["bad_words_ids"] = std::move(never);
  note_unknown(o, notes);
  return json;
}

Json network_json(const Transformer::Config& c, const TokenIds& ids, std::int32_t end) {
  Json json = {{"is_encoder_decoder", true},
               {"d_model", c.width},
               {"encoder_layers", c.encoder_layers},
               {"decoder_layers", c.decoder_layers},
               {"num_hidden_layers", c.encoder_layers},
               {"encoder_attention_heads", c.heads},
               {"decoder_attention_heads", c.heads},
               {"encoder_ffn_dim", c.feed_forward},
               {"decoder_ffn_dim", c.feed_forward},
               {"encoder_layerdrop", 0.0},
               {"decoder_layerdrop", 0.0},
               {"max_position_embeddings", c.max_length},
               {"activation_function", activation_name(c.activation)},
               {"dropout", c.dropout},
               {"attention_dropout", c.attention_dropout},
               {"activation_dropout", c.activation_dropout},
               {"scale_embedding", c.scale_embedding},
               {"tie_word_embeddings", c.tie_output}};
  json["pad_token_id"] = ids.pad;
  json["eos_token_id"] = end;
  json["decoder_start_token_id"] = ids.start;
  return json;
}

}  // namespace qkv
