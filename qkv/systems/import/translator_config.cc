#include <cmath>
#include <initializer_list>

#include "qkv/base/error.h"
#include "qkv/systems/import/activations.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/import/hf_translator.h"

namespace qkv {
namespace {

constexpr const char* kGenerationFile = "generation_config.json";
constexpr std::int64_t kSide = std::int64_t{1} << 30;  // no model has a larger one

std::int64_t whole(ForeignFields& f, std::string_view name, std::int64_t least,
                   std::optional<std::int64_t> fallback = {}) {
  const auto value = f.number(name);
  if (!value && fallback) return *fallback;
  if (!value) f.refuse(name, "is missing");
  if (*value < static_cast<double>(least) || *value > static_cast<double>(kSide) ||
      std::floor(*value) != *value) {
    f.refuse(name, fmt::format("expected a whole number from {}", least));
  }
  return static_cast<std::int64_t>(*value);
}

std::int32_t token(ForeignFields& f, std::string_view name, std::int64_t fallback) {
  return static_cast<std::int32_t>(whole(f, name, 0, fallback));
}

void read_sizes(ForeignFields& f, Transformer::Config& c, bool marian) {
  c.source_vocabulary = whole(f, "vocab_size", 1);
  c.target_vocabulary =
      marian ? whole(f, "decoder_vocab_size", 1, c.source_vocabulary) : c.source_vocabulary;
  c.width = whole(f, "d_model", 1);
  c.heads = whole(f, "encoder_attention_heads", 1);
  f.only("decoder_attention_heads", {c.heads});
  c.feed_forward = whole(f, "encoder_ffn_dim", 1);
  f.only("decoder_ffn_dim", {c.feed_forward});
  c.encoder_layers = whole(f, "encoder_layers", 0);
  c.decoder_layers = whole(f, "decoder_layers", 0);
  c.max_length = whole(f, "max_position_embeddings", 2);
  const std::string activation = f.text("activation_function").value_or(marian ? "gelu" : "relu");
  for (std::size_t i = 0; i < std::size(kActivationNames); ++i) {
    if (activation == kActivationNames[i]) c.activation = kActivationOf[i];
  }
  if (std::ranges::find(kActivationNames, activation) == std::end(kActivationNames)) {
    f.refuse("activation_function", fmt::format("'{}' is not known here", activation));
  }
  c.scale_embedding = f.boolean("scale_embedding").value_or(!marian);
  c.dropout = f.number("dropout").value_or(0.1);
  c.attention_dropout = f.number("attention_dropout").value_or(0.0);
  c.activation_dropout = f.number("activation_dropout").value_or(0.0);
  c.norm_eps = 1e-5;  // PyTorch's, which no configuration says
}

void read_form(ForeignFields& f, ForeignTranslator& t) {
  Transformer::Config& c = t.network;
  f.only("is_encoder_decoder", {true});
  if (t.marian) {
    f.only("static_position_embeddings", {true});
    f.only("normalize_before", {false});
    f.only("normalize_embedding", {false});
    f.only("add_final_layer_norm", {false});
    f.only("add_bias_logits", {false});
    c.sinusoid = Sinusoid::halves;
    c.share_embeddings = f.boolean("share_encoder_decoder_embeddings").value_or(true);
    t.tables = f.boolean(kTablesField).value_or(false);
  } else {
    c.norm = NormPlacement::pre;
    c.final_norm = true;
    c.sinusoid = Sinusoid::blocks;
    c.first_position = t.pad + 1;
  }
  c.tie_output = f.boolean("tie_word_embeddings").value_or(true);
  // Training alone, bookkeeping of other programs, and what generation_config.json says again.
  f.harmless({"_name_or_path",
              "architectures",
              "model_type",
              "transformers_version",
              "torch_dtype",
              "dtype",
              "use_cache",
              "init_std",
              "encoder_layerdrop",
              "decoder_layerdrop",
              "num_hidden_layers",
              "classifier_dropout",
              "classif_dropout",
              "id2label",
              "label2id",
              "num_labels",
              "gradient_checkpointing",
              "output_past",
              "tokenizer_class",
              "_num_labels",
              "extra_pos_embeddings",
              "_attn_implementation",
              "attn_implementation",
              "_commit_hash",
              "task_specific_params",
              "language",
              "prefix",
              "force_bos_token_to_be_generated",
              "output_attentions",
              "output_hidden_states",
              "return_dict",
              "save_step",
              "save_adapter",
              "variant",
              "max_source_positions"});
}

/// What the file says that this program does not do when it translates: said, not refused, since
/// the network is the same.
void note_unused(ForeignFields& f, std::vector<std::string>& notes, std::string_view name,
                 const Json& usual) {
  const Json& value = f[name];
  if (value.is_null() || value == usual) return;
  notes.push_back(fmt::format("{}: '{}' is {}, which does not count here", f.file(), name,
                              value.dump(-1, ' ', true, Json::error_handler_t::replace)));
}

void read_never(ForeignFields& f, ForeignTranslator& t) {
  const auto is_id = [&](const Json& id) {
    return id.is_number_integer() && id >= 0 && id < t.network.target_vocabulary;
  };
  const auto add = [&](const Json& id) {
    const auto n = id.get<std::int32_t>();
    if (std::ranges::find(t.tokens.never, n) == t.tokens.never.end()) t.tokens.never.push_back(n);
  };
  const Json& bad = f["bad_words_ids"];
  if (!bad.is_null() && !bad.is_array()) f.refuse("bad_words_ids", "expected a list of lists");
  for (const Json& words : bad) {
    if (!words.is_array() || !std::all_of(words.begin(), words.end(), is_id)) {
      f.refuse("bad_words_ids", "expected lists of numbers of tokens");
    }
    if (words.size() == 1) add(words[0]);
    if (words.size() > 1) t.tokens.never_in_a_row.push_back(words.get<std::vector<std::int32_t>>());
  }
  const Json& suppressed = f["suppress_tokens"];
  if (!suppressed.is_null() &&
      (!suppressed.is_array() || !std::all_of(suppressed.begin(), suppressed.end(), is_id))) {
    f.refuse("suppress_tokens", "expected a list of numbers of tokens");
  }
  for (const Json& id : suppressed) add(id);
}

void read_lengths(ForeignFields& f, TranslateOptions& o) {
  const bool forced = f.has("forced_eos_token_id");
  o.at_limit = forced ? LimitRule::free : LimitRule::cut;
  // They count the start and the end, which a length here does not; a forced end is one of theirs.
  if (const auto most = f.number("max_length")) {
    o.max_length = std::max<std::int64_t>(1, static_cast<std::int64_t>(*most) - (forced ? 2 : 1));
  }
  if (const auto most = f.number("max_new_tokens")) {
    o.max_length = std::max<std::int64_t>(1, static_cast<std::int64_t>(*most) - (forced ? 1 : 0));
  }
  if (const auto least = f.number("min_length")) {
    o.min_length = std::max<std::int64_t>(0, static_cast<std::int64_t>(*least) - 1);
  }
  if (const auto least = f.number("min_new_tokens")) {
    o.min_length = std::max(o.min_length, static_cast<std::int64_t>(*least));
  }
  if (o.max_length > 0) o.max_factor = 1e6;  // no limit by the source
}

void read_search(ForeignFields& f, ForeignTranslator& t) {
  TranslateOptions& o = t.defaults;
  o.beam = static_cast<int>(whole(f, "num_beams", 1, o.beam));
  o.length_penalty = f.number("length_penalty").value_or(1.0);
  const Json& early = f["early_stopping"];
  o.stop = early == true ? StopRule::full : early == "never" ? StopRule::exact : StopRule::worst;
  if (f.boolean("do_sample").value_or(false)) {
    o.sample = true;
    o.top_k = 50;  // where nothing is said
  }
  if (o.sample) {
    o.temperature = f.number("temperature").value_or(1.0);
    o.top_k = whole(f, "top_k", 0, o.top_k);
    o.top_p = f.number("top_p").value_or(1.0);
  }
  f.harmless({"temperature", "top_k", "top_p", "typical_p", "epsilon_cutoff", "eta_cutoff"});
  read_lengths(f, o);
  read_never(f, t);
  for (const char* name : {"repetition_penalty", "encoder_repetition_penalty"}) {
    note_unused(f, t.notes, name, 1.0);
  }
  o.no_repeat_ngram_size = whole(f, "no_repeat_ngram_size", 0, 0);
  const bool bans = o.no_repeat_ngram_size > 0 || !t.tokens.never_in_a_row.empty();
  if (f.boolean("renormalize_logits").value_or(false) && bans) {
    t.notes.push_back(fmt::format(
        "{}: 'renormalize_logits' is true, but what is banned by what stands before keeps its "
        "share of the probability here",
        f.file()));
  }
  note_unused(f, t.notes, "encoder_no_repeat_ngram_size", 0);
  note_unused(f, t.notes, "num_beam_groups", 1);
  note_unused(f, t.notes, "diversity_penalty", 0.0);
  note_unused(f, t.notes, "num_return_sequences", 1);
  for (const char* name :
       {"begin_suppress_tokens", "exponential_decay_length_penalty", "force_words_ids",
        "constraints", "penalty_alpha", "guidance_scale", "sequence_bias", "forced_decoder_ids"}) {
    note_unused(f, t.notes, name, nullptr);
  }
}

void read_special(ForeignFields& f, ForeignTranslator& t) {
  Json end = f["eos_token_id"];
  if (end.is_array() && !end.empty()) {
    if (end.size() > 1) {
      t.notes.push_back(fmt::format("{}: of 'eos_token_id' the first counts alone", f.file()));
    }
    end = end[0];
  }
  if (!end.is_null() && !end.is_number_unsigned()) f.refuse("eos_token_id", "expected a number");
  const std::int64_t fallback = t.marian ? 0 : 2;
  t.tokens.end =
      end.is_null() || end >= kSide ? static_cast<std::int32_t>(fallback) : end.get<std::int32_t>();
  t.tokens.source_end = t.tokens.end;
  t.tokens.start = token(f, "decoder_start_token_id", t.marian ? t.pad : t.tokens.end);
  if (f.has("forced_eos_token_id")) f.only("forced_eos_token_id", {t.tokens.end});
  if (f.has("forced_bos_token_id")) {
    t.tokens.target_begin = {token(f, "forced_bos_token_id", 0)};
  }
  f.harmless({"bos_token_id",
              "pad_token_id",
              "_from_model_config",
              "transformers_version",
              "use_cache",
              "output_scores",
              "output_attentions",
              "output_hidden_states",
              "return_dict_in_generate",
              "remove_invalid_values",
              "tf_legacy_loss",
              "use_bfloat16",
              "max_time",
              "low_memory",
              "cache_implementation",
              "is_decoder",
              "sep_token_id",
              "torchscript",
              "pruned_heads",
              "cross_attention_hidden_size",
              "add_cross_attention",
              "tie_encoder_decoder",
              "finetuning_task",
              "problem_type",
              "chunk_size_feed_forward"});
}

/// What config.json says of generating, but generation_config.json wins.
Json generation_of(const ModelDirectory& directory, const Json& config, std::string& path) {
  Json whole = config;
  if (!is_file(directory.file(kGenerationFile))) return whole;
  path = directory.file(kGenerationFile).string();
  const Json own = read_json(path);
  if (!own.is_object()) throw DataError(path, 0, "expected an object");
  for (const auto& [name, value] : own.items()) whole[name] = value;
  return whole;
}

}  // namespace

bool is_hf_translator(const Json& config) {
  const auto type = config.find("model_type");
  return type != config.end() && !config.contains("task") &&
         (*type == "marian" || *type == "m2m_100");
}

ForeignTranslator read_translator_config(const ModelDirectory& directory) {
  const Json& config = directory.foreign_config();
  ForeignTranslator t;
  t.marian = config["model_type"] == "marian";
  ForeignFields f(config, directory.config_path());
  const Json& names = f["architectures"];
  const char* expected = t.marian ? "MarianMTModel" : "M2M100ForConditionalGeneration";
  if (!names.is_null() && names != Json::array({expected})) {
    f.refuse("architectures", fmt::format("is not {}, the class that translates", expected));
  }
  read_sizes(f, t.network, t.marian);
  t.pad = token(f, "pad_token_id", t.marian ? t.network.target_vocabulary - 1 : 1);
  read_form(f, t);
  std::string path = directory.config_path();
  const Json generation = generation_of(directory, config, path);
  ForeignFields g(generation, path);
  read_special(g, t);
  read_search(g, t);
  g.know_with(f);  // it holds the fields of both files
  g.note_unknown(t.notes);
  return t;
}

}  // namespace qkv
