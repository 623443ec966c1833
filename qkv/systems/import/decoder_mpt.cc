// The fields of MPT, as Hugging Face's class and as llm-foundry's read them.
#include "qkv/base/error.h"
#include "qkv/systems/import/decoder_fields.h"

namespace qkv {
namespace {

const Json& nested(DecoderFields& f, std::string_view name) {
  static const Json kNone = Json::object();
  return f.has(name) ? f[name] : kNone;
}

void read_logit_scale(DecoderFields& f, Mpt::Config& c) {
  const Json& scale = f["logit_scale"];
  if (scale.is_null()) return;
  if (scale.is_string()) {
    if (scale != "inv_sqrt_d_model") f.refuse("logit_scale", "is no number or inv_sqrt_d_model");
    c.logit_scale_inv_sqrt_d_model = true;
  } else {
    c.logit_scale = f.number_or("logit_scale", 1.0);
  }
}

/// What both classes read of attn_config.
void read_attention(DecoderFields& a, Mpt::AttnConfig& c) {
  c.attn_pdrop = a.dropout("attn_pdrop", 0.0);
  c.clip_qkv = a.number_or("clip_qkv", 0.0);
  c.softmax_scale = a.number_or("softmax_scale", 0.0);
  a.only("attn_logit_softcapping", {nullptr});
  a.only("qk_gn", {false});
  a.only("reuse_kv_layer_idx", {nullptr});
  a.harmless({"attn_impl", "fused_qkv", "model_type", "rope_impl", "rope_dail_config"});
}

void sizes(DecoderFields& f, Mpt::Config& c) {
  c.d_model = f.size("d_model", 2048);
  c.n_heads = f.size("n_heads", 16);
  c.n_layers = f.size("n_layers", 24);
  c.max_seq_len = f.size("max_seq_len", 2048);
  c.vocab_size = f.size("vocab_size", 50368);
  c.resid_pdrop = f.dropout("resid_pdrop", 0.0);
  c.emb_pdrop = f.dropout("emb_pdrop", 0.0);
  c.embedding_fraction = f.number_or("embedding_fraction", 1.0);
  f.harmless({"init_device", "init_config", "verbose", "use_pad_tok_in_ffn", "loss_fn", "name",
              "is_hf", "layer_norm_epsilon", "norm_eps"});
}

/// Its class has ALiBi without a bound of its own, no biases, feed-forward blocks of four times the
/// width and one head of keys for each of queries, whatever the options say.
Mpt::Config native_config(DecoderFields& f) {
  Mpt::Config c;
  sizes(f, c);
  c.no_bias = true;
  c.learned_pos_emb = false;
  c.parts.norm_eps = f.number_or("layer_norm_epsilon", 1e-5);
  c.parts.untied = !f.flag("tie_word_embeddings", true);
  f.only("expansion_ratio", {4});
  f.only("no_bias", {true});
  f.only("norm_type", {"low_precision_layernorm", "layernorm"});
  f.harmless({"learned_pos_emb", "logit_scale"});  // which the class does not read
  Mpt::AttnConfig& a = c.attn_config;
  a.alibi = true;
  DecoderFields attention(nested(f, "attn_config"), f.file(), "attn_config.");
  read_attention(attention, a);
  attention.only("attn_type", {"multihead_attention"});
  attention.only("alibi", {true});
  attention.only("alibi_bias_max", {8});
  for (const char* off : {"qk_ln", "rope", "prefix_lm", "attn_uses_sequence_id"}) {
    attention.only(off, {false});
  }
  attention.only("kv_n_heads", {c.n_heads});
  attention.common();  // transformers 5 writes it as a configuration of its own
  attention.refuse_unknown(f, "attn_config");
  return c;
}

void read_rope(DecoderFields& a, Mpt::Config& c) {
  c.attn_config.rope = a.flag("rope", false);
  c.attn_config.rope_theta = a.number_or("rope_theta", 10000.0);
  DecoderFields r(nested(a, "rope_hf_config"), a.file(), "attn_config.rope_hf_config.");
  const std::string kind = r.text("type").value_or("no_scaling");
  const double factor = r.number_or("factor", 1.0);
  if (kind == "linear" && factor > 0.0) {
    c.parts.rotary.scale = 1.0 / factor;
  } else if (kind != "no_scaling") {
    a.refuse("rope_hf_config", fmt::format("positions of type '{}' are not supported", kind));
  }
  r.refuse_unknown(a, "rope_hf_config");
}

void read_foundry_attention(DecoderFields& a, Mpt::Config& c) {
  Mpt::AttnConfig& o = c.attn_config;
  read_attention(a, o);
  const std::string type = a.text("attn_type").value_or("multihead_attention");
  if (type == "multiquery_attention") {
    o.kv_n_heads = 1;
    a.harmless({"kv_n_heads"});
  } else if (type == "grouped_query_attention") {
    o.kv_n_heads = a.size("kv_n_heads", c.n_heads);
  } else if (type == "multihead_attention") {
    a.only("kv_n_heads", {c.n_heads});
  } else {
    a.refuse("attn_type", fmt::format("'{}' is not supported", type));
  }
  o.qk_ln = a.flag("qk_ln", false);
  o.prefix_lm = a.flag("prefix_lm", false);
  a.only("attn_uses_sequence_id", {false, true});  // for packed training alone
  o.alibi = a.flag("alibi", false);
  o.alibi_bias_max = a.number_or("alibi_bias_max", 8.0);
  read_rope(a, c);
  const Json& window = a["sliding_window_size"];
  if (window.is_number_integer() && window.get<std::int64_t>() > 0) {
    // Theirs counts the tokens before the one that looks.
    c.parts.windows.assign(static_cast<std::size_t>(c.n_layers), window.get<std::int64_t>() + 1);
  } else {
    a.only("sliding_window_size", {-1});
  }
}

void read_foundry_ffn(DecoderFields& ffn, Mpt::Config& c) {
  const std::string type = ffn.text("ffn_type").value_or("mptmlp");
  if (type != "mptmlp" && type != "mptglu") {
    ffn.refuse("ffn_type", fmt::format("'{}' is not supported; mptmlp and mptglu are", type));
  }
  c.parts.ffn_gated = type == "mptglu";
  c.parts.ffn_width = ffn.size("ffn_hidden_size", 0);
  if (ffn.has("ffn_act_fn")) {
    DecoderFields act(ffn["ffn_act_fn"], ffn.file(), "ffn_config.ffn_act_fn.");
    c.parts.ffn_act = act.activation("name", "gelu");
    if (act.text("approximate").value_or("none") == "tanh") c.parts.ffn_act = Activation::gelu_tanh;
    act.only("approximate", {"none", "tanh"});
    act.refuse_unknown(ffn, "ffn_act_fn");
  }
  ffn.harmless({"fc_type"});
}

Mpt::Config foundry_config(DecoderFields& f) {
  Mpt::Config c;
  sizes(f, c);
  const double ratio = f.number_or("expansion_ratio", 4.0);
  if (!(ratio > 0.0 && ratio <= 1024.0)) f.refuse("expansion_ratio", "must be in (0, 1024]");
  c.learned_pos_emb = f.flag("learned_pos_emb", true);
  c.no_bias = f.flag("no_bias", false);
  // "rmsnorm" divides by the root mean square or multiplies by it, as the version was.
  f.only("norm_type", {"low_precision_layernorm", "layernorm"});
  c.parts.norm_eps = f.number_or("norm_eps", 1e-5);
  c.parts.untied = !f.flag("tie_word_embeddings", true);
  read_logit_scale(f, c);
  f.only("block_overrides", {nullptr});
  DecoderFields attention(nested(f, "attn_config"), f.file(), "attn_config.");
  read_foundry_attention(attention, c);
  attention.refuse_unknown(f, "attn_config");
  DecoderFields ffn(nested(f, "ffn_config"), f.file(), "ffn_config.");
  read_foundry_ffn(ffn, c);
  ffn.refuse_unknown(f, "ffn_config");
  if (c.parts.ffn_width == 0) {
    c.parts.ffn_width = static_cast<std::int64_t>(ratio * static_cast<double>(c.d_model));
  }
  return c;
}

}  // namespace

Mpt::Config mpt_config(DecoderFields& f, bool native) {
  return native ? native_config(f) : foundry_config(f);
}

}  // namespace qkv
