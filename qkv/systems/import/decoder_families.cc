// The fields of GPT-2, GPT-Neo and Llama.
#include <initializer_list>

#include "qkv/base/error.h"
#include "qkv/systems/import/decoder_fields.h"

namespace qkv {

Mpt::Config gpt2_config(DecoderFields& f) {
  Mpt::Config c;
  c.d_model = f.size("n_embd", 768);
  c.n_heads = f.size("n_head", 12);
  c.n_layers = f.size("n_layer", 12);
  c.max_seq_len = f.size("n_positions", f.size("n_ctx", 1024));
  c.vocab_size = f.size("vocab_size", 50257);
  c.emb_pdrop = f.dropout("embd_pdrop", 0.1);
  c.resid_pdrop = f.dropout("resid_pdrop", 0.1);
  c.attn_config.attn_pdrop = f.dropout("attn_pdrop", 0.1);
  c.attn_config.softmax_scale = f.flag("scale_attn_weights", true) ? 0.0 : 1.0;
  MptParts& p = c.parts;
  p.ffn_width = f.size("n_inner", 4 * c.d_model);
  p.ffn_act = f.activation("activation_function", "gelu_new");
  p.norm_eps = f.number_or("layer_norm_epsilon", 1e-5);
  p.scores_by_layer = f.flag("scale_attn_by_inverse_layer_idx", false);
  p.untied = !f.flag("tie_word_embeddings", true);
  // The order of two multiplications, and the head of another class.
  f.harmless({"reorder_and_upcast_attn", "n_ctx", "summary_activation", "summary_first_dropout",
              "summary_proj_to_labels", "summary_type", "summary_use_proj"});
  return c;
}

namespace {

/// [[["global", "local"], 12]]: which layers see a window, one after the other.
std::vector<std::int64_t> neo_windows(DecoderFields& f, std::int64_t window, std::int64_t layers) {
  std::vector<std::int64_t> windows;
  const auto add = [&](const Json& kind) {
    if (kind != "global" && kind != "local") {
      f.refuse("attention_types", "has a kind of attention that is neither global nor local");
    }
    windows.push_back(kind == "local" ? window : 0);
  };
  const auto wrong = [&] {
    f.refuse("attention_types",
             fmt::format("is no list of kinds and their repetitions for {} layers", layers));
  };
  if (!f.has("attention_types")) {
    for (const Json& kind : f["attention_layers"]) add(kind);
    if (windows.empty()) {  // the class's default
      for (std::int64_t l = 0; l < layers; ++l) windows.push_back(l % 2 == 0 ? 0 : window);
    }
  } else {
    if (!f["attention_types"].is_array()) wrong();
    for (const Json& group : f["attention_types"]) {
      if (!group.is_array() || group.size() != 2 || !group[0].is_array() ||
          !group[1].is_number_unsigned()) {
        wrong();
      }
      const auto times = group[1].get<std::uint64_t>();
      for (std::uint64_t n = 0; n < times && std::ssize(windows) <= layers; ++n) {
        for (const Json& kind : group[0]) add(kind);
        if (group[0].empty()) break;
      }
    }
  }
  if (std::ssize(windows) != layers) wrong();
  return windows;
}

}  // namespace

Mpt::Config gpt_neo_config(DecoderFields& f) {
  Mpt::Config c;
  c.d_model = f.size("hidden_size", 2048);
  c.n_heads = f.size("num_heads", 16);
  c.n_layers = f.size("num_layers", 24);
  c.max_seq_len = f.size("max_position_embeddings", 2048);
  c.vocab_size = f.size("vocab_size", 50257);
  c.emb_pdrop = f.dropout("embed_dropout", 0.0);
  c.resid_pdrop = f.dropout("resid_dropout", 0.0);
  c.attn_config.attn_pdrop = f.dropout("attention_dropout", 0.0);
  c.attn_config.softmax_scale = 1.0;
  MptParts& p = c.parts;
  p.ffn_width = f.size("intermediate_size", 4 * c.d_model);
  p.ffn_act = f.activation("activation_function", "gelu_new");
  p.norm_eps = f.number_or("layer_norm_epsilon", 1e-5);
  p.qkv_bias = BiasOf::no;
  p.untied = !f.flag("tie_word_embeddings", true);
  p.windows = neo_windows(f, f.size("window_size", 256), c.n_layers);
  f.harmless({"attention_layers", "summary_activation", "summary_first_dropout",
              "summary_proj_to_labels", "summary_type", "summary_use_proj"});
  return c;
}

namespace {

void llama3_bands(DecoderFields& f, RotaryOptions& rotary, std::int64_t positions) {
  rotary.bands = {
      .factor = f.number_or("factor", 8.0),
      .low = f.number_or("low_freq_factor", 1.0),
      .high = f.number_or("high_freq_factor", 4.0),
      .original = f.number_or("original_max_position_embeddings", static_cast<double>(positions))};
}

/// rope_scaling of transformers 4, rope_parameters of 5: the latter hold the base, too.
void read_rope(DecoderFields& f, const char* name, Mpt::Config& c) {
  if (!f.has(name)) return;
  DecoderFields r(f[name], f.file(), std::string(name) + ".");
  c.attn_config.rope_theta = r.number_or("rope_theta", c.attn_config.rope_theta);
  const std::string kind = r.text("rope_type").value_or(r.text("type").value_or("default"));
  RotaryOptions& rotary = c.parts.rotary;
  if (kind == "linear") {
    const double factor = r.number_or("factor", 1.0);
    if (!(factor > 0.0)) r.refuse("factor", "must be above 0");
    rotary.scale = 1.0 / factor;
  } else if (kind == "llama3") {
    llama3_bands(r, rotary, c.max_seq_len);
  } else if (kind != "default") {
    f.refuse(name, fmt::format("positions of type '{}' are not supported; default, linear and "
                               "llama3 are",
                               kind));
  }
  r.only("partial_rotary_factor", {1, 1.0});
  r.harmless({"type"});
  r.refuse_unknown(f, name);
}

}  // namespace

Mpt::Config llama_config(DecoderFields& f) {
  Mpt::Config c;
  c.d_model = f.size("hidden_size", 4096);
  c.n_heads = f.size("num_attention_heads", 32);
  c.n_layers = f.size("num_hidden_layers", 32);
  c.max_seq_len = f.size("max_position_embeddings", 2048);
  c.vocab_size = f.size("vocab_size", 32000);
  c.learned_pos_emb = false;
  c.no_bias = true;
  Mpt::AttnConfig& a = c.attn_config;
  a.kv_n_heads = f.size("num_key_value_heads", c.n_heads);
  a.attn_pdrop = f.dropout("attention_dropout", 0.0);
  a.rope = true;
  a.rope_theta = f.number_or("rope_theta", 10000.0);
  MptParts& p = c.parts;
  p.norm = NormKind::rms;
  p.norm_eps = f.number_or("rms_norm_eps", 1e-6);
  p.head_dim = f.size("head_dim", 0);
  p.ffn_width = f.size("intermediate_size", 11008);
  p.ffn_act = f.activation("hidden_act", "silu");
  p.ffn_gated = true;
  if (f.flag("attention_bias", false)) p.qkv_bias = p.out_bias = BiasOf::yes;
  if (f.flag("mlp_bias", false)) p.ffn_bias = BiasOf::yes;
  p.untied = !f.flag("tie_word_embeddings", false);
  read_rope(f, "rope_scaling", c);
  read_rope(f, "rope_parameters", c);
  f.only("partial_rotary_factor", {1, 1.0});
  f.harmless({"pretraining_tp"});  // how products are cut there
  return c;
}

}  // namespace qkv
