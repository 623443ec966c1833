#include "qkv/systems/import/bert_config.h"

#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/systems/import/activations.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

constexpr IntegerRange kSize = {.least = 0, .most = std::int64_t{1} << 30};

/// What the sizes are called.
struct Keys {
  const char *width, *layers, *heads, *inner, *activation, *dropout, *attention_dropout;
};
constexpr Keys kBertKeys = {
    "hidden_size", "num_hidden_layers",   "num_attention_heads",         "intermediate_size",
    "hidden_act",  "hidden_dropout_prob", "attention_probs_dropout_prob"};
constexpr Keys kDistilKeys = {"dim",        "n_layers", "n_heads",          "hidden_dim",
                              "activation", "dropout",  "attention_dropout"};

const Keys& keys_of(BertFamily family) {
  return family == BertFamily::distilbert ? kDistilKeys : kBertKeys;
}

bool counts_from_pad(BertFamily family) {
  return family == BertFamily::roberta || family == BertFamily::xlm_roberta;
}

/// What only some of the family have.
void read_of_family(FieldReader& r, BertConfig& c) {
  if (c.family == BertFamily::distilbert) {
    c.type_vocab_size = 0;
    c.layer_norm_eps = 1e-12;  // not in its configuration
    c.pooler_act = Activation::relu;
    (void)r.boolean("sinusoidal_pos_embds", false);
    return;
  }
  c.type_vocab_size = r.integer("type_vocab_size", {.least = 1, .most = kSize.most}, 2);
  c.layer_norm_eps = r.number("layer_norm_eps", {0, 1}, 1e-12);
  if (counts_from_pad(c.family)) {
    c.first_position = r.integer("pad_token_id", {.least = 0, .most = kSize.most}, 1) + 1;
  }
  if (c.family == BertFamily::albert) {
    const IntegerRange some = {.least = 1, .most = kSize.most};
    c.embedding_size = r.integer("embedding_size", some, 128);
    c.num_hidden_groups = r.integer("num_hidden_groups", some, 1);
    c.inner_group_num = r.integer("inner_group_num", some, 1);
  }
}

}  // namespace

std::optional<BertFamily> bert_family(const Json& config) {
  const auto found = config.is_object() ? config.find("model_type") : config.end();
  if (!config.is_object() || found == config.end() || !found->is_string()) return {};
  const auto names = names_of<BertFamily>();
  const auto name = std::find(names.begin(), names.end(), found->get<std::string>());
  if (name == names.end()) return {};
  return static_cast<BertFamily>(name - names.begin());
}

bool is_foreign_bert(const Json& config) {
  return bert_family(config) &&
         (!config.contains("format") || config.contains("transformers_version"));
}

std::string_view bert_class_prefix(BertFamily family) {
  constexpr std::string_view names[] = {"Bert", "DistilBert", "Roberta", "XLMRoberta", "Albert"};
  return names[static_cast<std::size_t>(family)];
}

Json bert_config_json(const BertConfig& c) {
  const Keys& keys = keys_of(c.family);
  Json json = {{"model_type", name_of(c.family)},
               {"vocab_size", c.vocab_size},
               {keys.width, c.hidden_size},
               {keys.layers, c.num_hidden_layers},
               {keys.heads, c.num_attention_heads},
               {keys.inner, c.intermediate_size},
               {"max_position_embeddings", c.max_position_embeddings}};
  if (c.family != BertFamily::distilbert) json["type_vocab_size"] = c.type_vocab_size;
  json[keys.activation] = activation_name(c.hidden_act);
  json[keys.dropout] = c.hidden_dropout_prob;
  json[keys.attention_dropout] = c.attention_probs_dropout_prob;
  if (c.family != BertFamily::distilbert) json["layer_norm_eps"] = c.layer_norm_eps;
  json["initializer_range"] = c.initializer_range;
  if (c.family != BertFamily::distilbert) json["position_embedding_type"] = "absolute";
  if (counts_from_pad(c.family)) json["pad_token_id"] = c.first_position - 1;
  if (c.family == BertFamily::albert) {
    json["embedding_size"] = c.embedding_size;
    json["num_hidden_groups"] = c.num_hidden_groups;
    json["inner_group_num"] = c.inner_group_num;
  }
  return json;
}

BertConfig bert_config_from(const Json& json, const std::string& path) {
  FieldReader r(json, path);
  BertConfig c;
  c.family = bert_family(json).value_or(BertFamily::bert);
  const Keys& keys = keys_of(c.family);
  const bool albert = c.family == BertFamily::albert;
  c.vocab_size = r.integer("vocab_size", kSize);
  c.hidden_size = r.integer(keys.width, kSize);
  c.num_hidden_layers = r.integer(keys.layers, kSize);
  c.num_attention_heads = r.integer(keys.heads, kSize);
  c.intermediate_size = r.integer(keys.inner, kSize);
  c.max_position_embeddings = r.integer("max_position_embeddings", kSize);
  c.hidden_act = kActivationOf[albert ? r.choice(keys.activation, kActivationNames, 2)
                                      : r.choice(keys.activation, kActivationNames)];
  c.hidden_dropout_prob = r.number(keys.dropout, {0, 1}, albert ? 0.0 : 0.1);
  c.attention_probs_dropout_prob = r.number(keys.attention_dropout, {0, 1}, albert ? 0.0 : 0.1);
  c.initializer_range = r.number("initializer_range", {0, 10}, 0.02);
  read_of_family(r, c);
  static constexpr std::string_view positions[] = {"absolute"};
  (void)r.choice("position_embedding_type", positions, 0);
  if (r.boolean("is_decoder", false)) r.wrong("is_decoder", "false: an encoder");
  try {
    c.check();
  } catch (const Error& e) {
    throw DataError(path, 0, e.what());
  }
  return c;
}

void check_bert_config(const Json& config, const std::string& path,
                       std::vector<std::string>& notes) {
  ForeignFields f(config, path);
  const BertFamily family = bert_family(config).value_or(BertFamily::bert);
  const Keys& keys = keys_of(family);
  // Those of BertConfig, and what says how the weights are used.
  f.harmless({"model_type", "vocab_size", keys.width, keys.layers, keys.heads, keys.inner,
              keys.activation, keys.dropout, keys.attention_dropout, "max_position_embeddings",
              "initializer_range", "position_embedding_type", "is_decoder", "do_lower_case"});
  if (family == BertFamily::distilbert) {
    f.harmless({"sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout"});
    f.only("tie_weights_", {true});
  } else {
    f.harmless({"type_vocab_size", "layer_norm_eps"});
  }
  if (family == BertFamily::albert) {
    f.harmless(
        {"embedding_size", "num_hidden_groups", "inner_group_num", "classifier_dropout_prob"});
    f.only("down_scale_factor", {1});  // of experiments that its program dropped
    for (const char* none : {"gap_size", "net_structure_type", "num_memory_blocks"}) {
      f.only(none, {0});
    }
    f.only("layers_to_keep", {Json::array()});
  } else {
    f.only("embedding_size", {config.value(keys.width, Json())});
  }
  f.only("add_cross_attention", {false});
  f.only("is_encoder_decoder", {false});
  f.only("tie_word_embeddings", {true});
  f.only("torchscript", {false, true});
  for (const char* empty : {"pruned_heads", "quantization_config", "auto_map", "rope_scaling",
                            "rope_parameters", "adapters", "cross_attention_hidden_size"}) {
    const Json& value = f[empty];
    if (!value.is_null() && !value.empty()) {
      f.refuse(empty, "makes it another network than BERT's, which this program does not have");
    }
  }
  // Training, generation, bookkeeping of other programs, and the fields of the first TensorFlow
  // release for a pooler that nobody built.
  f.harmless(
      {"_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype",
       "use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id",
       "decoder_start_token_id", "gradient_checkpointing", "classifier_dropout", "id2label",
       "label2id", "num_labels", "problem_type", "finetuning_task", "directionality",
       "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
       "pooler_size_per_head", "pooler_type", "output_past", "output_attentions",
       "output_hidden_states", "return_dict", "chunk_size_feed_forward", "_attn_implementation",
       "attn_implementation", "_attn_implementation_autoset", "use_bfloat16", "tokenizer_class",
       "language", "name", "task_specific_params", "tie_encoder_decoder", "prefix", "max_length",
       "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
       "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty",
       "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
       "num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id",
       "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty",
       "suppress_tokens", "begin_suppress_tokens", "tf_legacy_loss", "attn_dropout",
       "sentence_transformers", "fused_attention", "_commit_hash", "model_max_length",
       // ours, when another program has written our directory again
       "format", "task", "preset", "manifest"});
  f.note_unknown(notes);
}

}  // namespace qkv
