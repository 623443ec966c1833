#include "qkv/systems/import/decoder_config.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/systems/import/decoder_fields.h"

namespace qkv {
namespace {

constexpr IntegerRange kSize = {.least = 0, .most = std::int64_t{1} << 30};

struct Family {
  std::string_view model_type;
  DecoderFamily family;
  std::string_view classes[2];  // of language models
};
constexpr Family kFamilies[] = {
    {"gpt2", DecoderFamily::gpt2, {"GPT2LMHeadModel", "GPT2DoubleHeadsModel"}},
    {"gpt_neo", DecoderFamily::gpt_neo, {"GPTNeoForCausalLM", ""}},
    {"llama", DecoderFamily::llama, {"LlamaForCausalLM", ""}},
    {"mpt", DecoderFamily::mpt, {"MptForCausalLM", "MPTForCausalLM"}}};

const Family* family_of(const Json& config) {
  if (!config.is_object() || !config.contains("model_type")) return nullptr;
  for (const Family& family : kFamilies) {
    if (config["model_type"] == family.model_type) return &family;
  }
  return nullptr;
}

/// The class that wrote the model; empty where nobody says.
std::string class_of(DecoderFields& f, const Family& family) {
  const Json& names = f["architectures"];
  if (names.is_null()) return "";
  if (!names.is_array() || names.size() != 1 || !names[0].is_string()) {
    f.refuse("architectures", "is no list of one class");
  }
  const auto name = names[0].get<std::string>();
  if (name != family.classes[0] && name != family.classes[1]) {
    f.refuse("architectures",
             fmt::format("{} is no language model that this program reads; of '{}' it reads {}",
                         name, family.model_type, family.classes[0]));
  }
  return name;
}

}  // namespace

DecoderFields::DecoderFields(const Json& json, const std::string& file, std::string prefix)
    : ForeignFields(json, file), reader_(json, file, std::move(prefix)) {}

std::int64_t DecoderFields::size(std::string_view name) {
  (void)has(name);
  return reader_.integer(name, kSize);
}
std::int64_t DecoderFields::size(std::string_view name, std::int64_t fallback) {
  return has(name) ? reader_.integer(name, kSize) : fallback;
}
double DecoderFields::number_or(std::string_view name, double fallback) {
  return has(name) ? reader_.number(name) : fallback;
}
bool DecoderFields::flag(std::string_view name, bool fallback) {
  return has(name) ? reader_.boolean(name) : fallback;
}
Activation DecoderFields::activation(std::string_view name, std::string_view fallback) {
  if (has(name)) return kActivationOf[reader_.choice(name, kActivationNames)];
  for (std::size_t i = 0; i < std::size(kActivationNames); ++i) {
    if (kActivationNames[i] == fallback) return kActivationOf[i];
  }
  fail("no activation is called {}", fallback);
}
double DecoderFields::dropout(std::string_view name, double fallback) {
  return has(name) ? reader_.number(name, {0, 1}) : fallback;
}

void DecoderFields::common() {
  only("is_encoder_decoder", {false});
  only("add_cross_attention", {false});
  only("is_decoder", {false, true});
  for (const char* empty : {"pruned_heads", "quantization_config", "adapters", "sliding_window",
                            "layer_types", "compression_config"}) {
    const Json& value = (*this)[empty];
    if (!value.is_null() && !value.empty()) {
      refuse(empty, "makes it another network, which this program does not have");
    }
  }
  // Training, bookkeeping of other programs, and what the generation is told by other files.
  harmless({"_name_or_path",
            "architectures",
            "model_type",
            "auto_map",
            "transformers_version",
            "torch_dtype",
            "dtype",
            "use_cache",
            "pad_token_id",
            "bos_token_id",
            "eos_token_id",
            "sep_token_id",
            "decoder_start_token_id",
            "gradient_checkpointing",
            "classifier_dropout",
            "id2label",
            "label2id",
            "num_labels",
            "problem_type",
            "finetuning_task",
            "initializer_range",
            "output_past",
            "output_attentions",
            "output_hidden_states",
            "return_dict",
            "chunk_size_feed_forward",
            "_attn_implementation",
            "attn_implementation",
            "_attn_implementation_autoset",
            "torchscript",
            "use_bfloat16",
            "tokenizer_class",
            "task_specific_params",
            "tie_encoder_decoder",
            "prefix",
            "max_length",
            "min_length",
            "do_sample",
            "early_stopping",
            "num_beams",
            "num_beam_groups",
            "diversity_penalty",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
            "repetition_penalty",
            "length_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "bad_words_ids",
            "num_return_sequences",
            "output_scores",
            "return_dict_in_generate",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "remove_invalid_values",
            "exponential_decay_length_penalty",
            "suppress_tokens",
            "begin_suppress_tokens",
            "tf_legacy_loss",
            "cross_attention_hidden_size",
            "_commit_hash"});
}

bool is_foreign_decoder(const Json& config) {
  return family_of(config) != nullptr && !config.contains("format");
}

ForeignDecoder read_decoder_config(const Json& config, const std::string& path) {
  const Family* family = family_of(config);
  if (!family) throw DataError(path, 0, "is no decoder that this program reads");
  DecoderFields f(config, path);
  const std::string name = class_of(f, *family);
  ForeignDecoder decoder{.family = family->family};
  switch (family->family) {
    case DecoderFamily::gpt2:
      decoder.network = gpt2_config(f);
      break;
    case DecoderFamily::gpt_neo:
      decoder.network = gpt_neo_config(f);
      break;
    case DecoderFamily::llama:
      decoder.network = llama_config(f);
      break;
    case DecoderFamily::mpt:
      decoder.network = mpt_config(f, name == "MptForCausalLM");
      break;
  }
  decoder.context = decoder.network.max_seq_len;
  f.common();
  f.note_unknown(decoder.notes);
  try {
    decoder.network.check();
  } catch (const Error& e) {
    throw DataError(path, 0, e.what());
  }
  return decoder;
}

}  // namespace qkv
