#include "qkv/base/error.h"
#include "qkv/systems/import/bert_files.h"
#include "qkv/systems/import/fields.h"

namespace qkv {

void check_bert_config(const Json& config, const std::string& path,
                       std::vector<std::string>& notes) {
  ForeignFields f(config, path);
  // Those of BertConfig, and what says how the weights are used.
  f.harmless({"model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
              "intermediate_size", "max_position_embeddings", "type_vocab_size", "hidden_act",
              "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps",
              "initializer_range", "position_embedding_type", "is_decoder", "do_lower_case"});
  f.only("add_cross_attention", {false});
  f.only("is_encoder_decoder", {false});
  f.only("tie_word_embeddings", {true});
  f.only("torchscript", {false, true});
  f.only("embedding_size", {config.value("hidden_size", Json())});
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
