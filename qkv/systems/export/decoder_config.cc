#include "qkv/systems/export/decoder_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/import/activations.h"

namespace qkv {
namespace {

using Config = Mpt::Config;

std::int64_t head_dim(const Config& c) {
  return c.parts.head_dim > 0 ? c.parts.head_dim : c.d_model / c.n_heads;
}
std::int64_t key_heads(const Config& c) {
  return c.attn_config.kv_n_heads > 0 ? c.attn_config.kv_n_heads : c.n_heads;
}
Json or_null(double value) { return value == 0 ? Json() : Json(value); }

Json gpt2_json(const Config& c) {
  const double scale = c.attn_config.softmax_scale;
  return {{"model_type", "gpt2"},
          {"n_embd", c.d_model},
          {"n_head", c.n_heads},
          {"n_layer", c.n_layers},
          {"n_positions", c.max_seq_len},
          {"n_inner", c.ffn_width()},
          {"vocab_size", c.vocab_size},
          {"activation_function", activation_name(c.parts.ffn_act)},
          {"layer_norm_epsilon", c.parts.norm_eps},
          {"embd_pdrop", c.emb_pdrop},
          {"resid_pdrop", c.resid_pdrop},
          {"attn_pdrop", c.attn_config.attn_pdrop},
          {"scale_attn_weights", scale != 1.0},
          {"scale_attn_by_inverse_layer_idx", c.parts.scores_by_layer},
          {"tie_word_embeddings", !c.parts.untied}};
}

Json gpt_neo_json(const Config& c) {
  Json kinds = Json::array(), types = Json::array();
  std::int64_t window = 256;
  for (std::int64_t l = 0; l < c.n_layers; ++l) {
    const std::int64_t own =
        c.parts.windows.empty() ? 0 : c.parts.windows[static_cast<std::size_t>(l)];
    if (own > 0) window = own;
    const char* kind = own > 0 ? "local" : "global";
    kinds.push_back(kind);
    types.push_back(Json::array({Json::array({kind}), 1U}));
  }
  return {{"model_type", "gpt_neo"},
          {"hidden_size", c.d_model},
          {"num_heads", c.n_heads},
          {"num_layers", c.n_layers},
          {"max_position_embeddings", c.max_seq_len},
          {"intermediate_size", c.ffn_width()},
          {"vocab_size", c.vocab_size},
          {"attention_types", std::move(types)},
          {"attention_layers", std::move(kinds)},
          {"window_size", window},
          {"activation_function", activation_name(c.parts.ffn_act)},
          {"layer_norm_epsilon", c.parts.norm_eps},
          {"embed_dropout", c.emb_pdrop},
          {"resid_dropout", c.resid_pdrop},
          {"attention_dropout", c.attn_config.attn_pdrop},
          {"tie_word_embeddings", !c.parts.untied}};
}

/// What 1 / factor gives the scale back, to the bit.
double factor_of(double scale) {
  const double factor = 1.0 / scale;
  for (const double other : {std::nextafter(factor, 0.0), std::nextafter(factor, 2 * factor)}) {
    if (1.0 / factor != scale && 1.0 / other == scale) return other;
  }
  return factor;
}

/// The fields that transformers 4 and 5 read of rotary positions.
void add_rope(const Config& c, Json& json) {
  const RotaryOptions& r = c.parts.rotary;
  Json scaling = nullptr;
  if (r.bands.factor != 1.0) {
    scaling = {{"rope_type", "llama3"},
               {"factor", r.bands.factor},
               {"low_freq_factor", r.bands.low},
               {"high_freq_factor", r.bands.high},
               {"original_max_position_embeddings", static_cast<std::int64_t>(r.bands.original)}};
  } else if (r.scale != 1.0) {
    scaling = {{"type", "linear"}, {"factor", factor_of(r.scale)}};
  }
  Json parameters = scaling.is_null() ? Json::object() : scaling;
  parameters["rope_type"] = parameters.value("rope_type", scaling.is_null() ? "default" : "linear");
  parameters.erase("type");
  parameters["rope_theta"] = c.attn_config.rope_theta;
  json["rope_theta"] = c.attn_config.rope_theta;
  json["rope_scaling"] = std::move(scaling);
  json["rope_parameters"] = std::move(parameters);
}

Json llama_json(const Config& c) {
  const MptParts& p = c.parts;
  Json json = {{"model_type", "llama"},
               {"hidden_size", c.d_model},
               {"num_attention_heads", c.n_heads},
               {"num_key_value_heads", key_heads(c)},
               {"num_hidden_layers", c.n_layers},
               {"max_position_embeddings", c.max_seq_len},
               {"vocab_size", c.vocab_size},
               {"intermediate_size", c.ffn_width()},
               {"head_dim", head_dim(c)},
               {"hidden_act", activation_name(p.ffn_act)},
               {"rms_norm_eps", p.norm_eps},
               {"attention_dropout", c.attn_config.attn_pdrop},
               {"attention_bias", has_bias(p.qkv_bias, c.no_bias)},
               {"mlp_bias", has_bias(p.ffn_bias, c.no_bias)},
               {"tie_word_embeddings", !p.untied}};
  add_rope(c, json);
  return json;
}

Json mpt_json(const Config& c) {
  return {{"model_type", "mpt"},
          {"d_model", c.d_model},
          {"n_heads", c.n_heads},
          {"n_layers", c.n_layers},
          {"max_seq_len", c.max_seq_len},
          {"vocab_size", c.vocab_size},
          {"emb_pdrop", c.emb_pdrop},
          {"resid_pdrop", c.resid_pdrop},
          {"embedding_fraction", c.embedding_fraction},
          {"learned_pos_emb", c.learned_pos_emb},
          {"no_bias", c.no_bias},
          {"tie_word_embeddings", !c.parts.untied}};
}

/// Of transformers' own class, which computes less than its options say.
Json native_json(const Config& c) {
  Json json = mpt_json(c);
  json["expansion_ratio"] = 4;
  json["layer_norm_epsilon"] = c.parts.norm_eps;
  json["attn_config"] = {{"attn_type", "multihead_attention"},
                         {"attn_pdrop", 0},  // transformers 5 takes whole numbers alone
                         {"clip_qkv", or_null(c.attn_config.clip_qkv)},
                         {"softmax_scale", or_null(c.attn_config.softmax_scale)},
                         {"qk_ln", false},
                         {"prefix_lm", false},
                         {"attn_uses_sequence_id", false},
                         {"alibi", true},
                         {"alibi_bias_max", 8}};
  return json;
}

Json foundry_attention(const Config& c) {
  const Mpt::AttnConfig& a = c.attn_config;
  const std::int64_t keys = key_heads(c);
  const bool all = keys == c.n_heads;
  Json json = {{"attn_type", all         ? "multihead_attention"
                             : keys == 1 ? "multiquery_attention"
                                         : "grouped_query_attention"},
               {"attn_pdrop", a.attn_pdrop},
               {"attn_impl", "torch"},
               {"fused_qkv", true},
               {"clip_qkv", or_null(a.clip_qkv)},
               {"softmax_scale", or_null(a.softmax_scale)},
               {"qk_ln", a.qk_ln},
               {"prefix_lm", a.prefix_lm},
               {"attn_uses_sequence_id", a.attn_uses_sequence_id},
               {"alibi", a.alibi},
               {"alibi_bias_max", a.alibi_bias_max},
               {"rope", a.rope},
               {"rope_theta", a.rope_theta},
               {"rope_impl", "hf"}};
  if (!all && keys > 1) json["kv_n_heads"] = keys;
  if (a.rope && c.parts.rotary.scale != 1.0) {
    json["rope_hf_config"] = {{"type", "linear"}, {"factor", factor_of(c.parts.rotary.scale)}};
  }
  if (!c.parts.windows.empty()) json["sliding_window_size"] = c.parts.windows.front() - 1;
  return json;
}

Json foundry_json(const Config& c) {
  Json json = mpt_json(c);
  const bool tanh = c.parts.ffn_act == Activation::gelu_tanh;
  Json act = {{"name", tanh ? "gelu" : activation_name(c.parts.ffn_act)}};
  if (c.parts.ffn_act == Activation::gelu || tanh) act["approximate"] = tanh ? "tanh" : "none";
  json["expansion_ratio"] = c.expansion_ratio;
  json["norm_type"] = c.low_precision_layernorm ? "low_precision_layernorm" : "layernorm";
  json["norm_eps"] = c.parts.norm_eps;
  json["logit_scale"] = c.logit_scale_inv_sqrt_d_model ? Json("inv_sqrt_d_model")
                        : c.logit_scale == 1.0         ? Json()
                                                       : Json(c.logit_scale);
  json["attn_config"] = foundry_attention(c);
  json["ffn_config"] = {{"ffn_type", c.parts.ffn_gated ? "mptglu" : "mptmlp"},
                        {"ffn_hidden_size", c.ffn_width()},
                        {"ffn_act_fn", std::move(act)}};
  return json;
}

/// The same network with everything said out loud, and nothing that only training uses.
Json essence(Config c) {
  MptParts& p = c.parts;
  Mpt::AttnConfig& a = c.attn_config;
  const bool no_bias = c.no_bias;
  a.kv_n_heads = key_heads(c);
  p.head_dim = head_dim(c);
  p.ffn_width = c.ffn_width();
  c.expansion_ratio = 1;
  for (BiasOf* bias : {&p.qkv_bias, &p.out_bias, &p.ffn_bias}) {
    *bias = has_bias(*bias, no_bias) ? BiasOf::yes : BiasOf::no;
  }
  c.no_bias = no_bias || p.norm == NormKind::rms;  // now of norms alone
  if (a.softmax_scale == 1.0 / std::sqrt(static_cast<double>(p.head_dim))) a.softmax_scale = 0;
  if (c.logit_scale_inv_sqrt_d_model) {
    c.logit_scale = 1.0 / std::sqrt(static_cast<double>(c.d_model));
    c.logit_scale_inv_sqrt_d_model = false;
  }
  if (!a.alibi) a.alibi_bias_max = 0;
  if (!a.rope) a.rope_theta = 0, p.rotary = {};
  if (p.rotary.bands.factor == 1.0) p.rotary.bands = {};
  if (std::ranges::all_of(p.windows, [](std::int64_t w) { return w == 0; })) p.windows.clear();
  c.emb_pdrop = c.resid_pdrop = a.attn_pdrop = 0;
  c.embedding_fraction = 1;
  c.low_precision_layernorm = a.attn_uses_sequence_id = false;
  Json json = config_json(c);
  json.update(config_json(p));
  json["logit_scale"] = c.logit_scale;
  return json;
}

struct Candidate {
  std::string_view model_type, name;
  DecoderFamily family;
  Json (*json)(const Config&);
};
constexpr Candidate kForms[] = {
    {"mpt", "MptForCausalLM", DecoderFamily::mpt, native_json},
    {"gpt2", "GPT2LMHeadModel", DecoderFamily::gpt2, gpt2_json},
    {"llama", "LlamaForCausalLM", DecoderFamily::llama, llama_json},
    {"gpt_neo", "GPTNeoForCausalLM", DecoderFamily::gpt_neo, gpt_neo_json},
    {"mpt", "MPTForCausalLM", DecoderFamily::mpt, foundry_json}};

/// What the form has not of the network: "linear true"; empty: it has all.
std::string missing(const Config& network, const Candidate& candidate, const Json& config) {
  Json here = essence(network), there;
  try {
    there = essence(read_decoder_config(config, candidate.name.data()).network);
  } catch (const Error& e) {
    return e.what();
  }
  for (const auto& [name, value] : here.items()) {
    if (there[name] != value) return fmt::format("{} {}", name, value.dump());
  }
  return {};
}

}  // namespace

DecoderForm decoder_form(const Config& network, std::string_view preferred) {
  std::string lacks;
  for (const bool first : {true, false}) {
    for (const Candidate& form : kForms) {
      if (first != (form.model_type == preferred)) continue;
      Json config = form.json(network);
      config["architectures"] = {std::string(form.name)};
      std::string what = missing(network, form, config);
      if (what.empty()) {
        return {form.family, std::string(form.name), std::move(config), form.json == foundry_json};
      }
      if (form.json == foundry_json) lacks = std::move(what);
    }
  }
  fail("export: this network is no GPT-2, Llama or GPT-Neo, and '{}' is in no MPT either", lacks);
}

}  // namespace qkv
