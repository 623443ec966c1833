// Translators as MarianMT or M2M100.
//
// MarianMT is a post-norm Transformer whose targets begin with a row of zeros (its pad token, the
// last of the vocabulary) and whose positions are [sines | cosines]; but where the weights hold
// tables of positions, transformers and CTranslate2's converter take those. So every sinusoid is
// exact as a table, and so is a start with a vector of its own: it stands alone at position 0 of
// the targets, whose row has it in.
#include <algorithm>
#include <utility>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/nn/positions.h"
#include "qkv/systems/export/translator_parts.h"
#include "qkv/systems/import/hf_translator.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

/// What a post-norm network has that MarianMT has not.
std::string_view beyond_marian(const Transformer::Config& c) {
  if (c.norm != NormPlacement::post) return "its norms stand before the layers";
  if (c.final_norm) return "a norm ends its stacks";
  if (!c.attention_output) return "its attention has no output matrix (W_O)";
  if (c.relu_projections) return "its projections go through a ReLU";
  if (c.norm_eps != 1e-5) return "the epsilon of its norms is not 1e-5";
  return {};
}

bool is_m2m100(const Transformer::Config& c) {
  return c.norm == NormPlacement::pre && c.final_norm && c.attention_output &&
         !c.relu_projections && c.norm_eps == 1e-5 && c.positions == PositionKind::sinusoidal &&
         c.sinusoid == Sinusoid::blocks && c.first_position > 0 && c.share_embeddings &&
         !c.zero_start && !c.output_bias;
}

/// `rows` rows, those that are new of zeros.
Tensor grown(const Tensor& table, std::int64_t rows) {
  const std::int64_t there = table.count();
  return generated({rows, table.dim(1)}, DType::f32,
                   [&](std::int64_t i) { return i < there ? number(table, i) : 0.0; });
}

/// Zeros where there is none, and no chance for rows beyond the tokens.
Tensor grown_bias(const Tensor& bias, std::int64_t tokens, std::int64_t rows) {
  return generated({1, rows}, DType::f32, [&](std::int64_t i) {
    if (i >= tokens) return static_cast<double>(kNeverBias);
    return bias.defined() ? number(bias, i) : 0.0;
  });
}

/// The rows that are added to the embeddings of a side.
Tensor places_of(const Transformer::Config& c, const Tensor& learned) {
  if (c.positions == PositionKind::learned) return learned;
  if (c.positions == PositionKind::none) return Tensor::zeros({c.max_length, c.width});
  return sinusoid(c.max_length, c.width, c.sinusoid, c.first_position);
}

/// With what stands at the beginning of every target in the first row.
Tensor with_start(const Tensor& places, const Transformer& network, std::int32_t start) {
  const std::vector<std::int32_t> token = {start}, first = {0};
  const NoRecording off;
  const Tensor row = network.embed_target(token, first);
  return generated(places.shape(), DType::f32, [&](std::int64_t i) {
    return i < row.count() ? number(row, i) : number(places, i);
  });
}

bool computes_places(const Transformer::Config& c) {
  return c.positions == PositionKind::sinusoidal && c.sinusoid == Sinusoid::halves &&
         c.first_position == 0 && c.zero_start;
}

/// `rows` of the tables, `outputs` of what is computed from them.
StateDict marian_state(const Transformer& m, std::int32_t start, std::int64_t rows,
                       std::int64_t outputs) {
  const Transformer::Config& c = m.config;
  StateDict state = read_state(translator_entries(m, true));
  std::erase_if(state, [](const auto& e) {
    return e.first == kLogitsBias || e.first == kSourcePlaces || e.first == kTargetPlaces;
  });
  for (auto& [name, tensor] : state) {
    const bool table = name == kSharedTable || name == kSourceTable || name == kTargetTable;
    if (table || name == kOutputTable) tensor = grown(tensor, table ? rows : outputs);
  }
  state.emplace_back(kLogitsBias, grown_bias(m.output_bias, c.target_vocabulary, outputs));
  if (computes_places(c)) return state;
  const Tensor target = places_of(c, m.target_positions);
  state.emplace_back(kSourcePlaces, places_of(c, m.source_positions));
  state.emplace_back(kTargetPlaces, c.zero_start ? target : with_start(target, m, start));
  return state;
}

/// Both languages in front of a source, or in front of a target, where MarianMT has none.
void check_marian_tokens(const TranslationTokens& t) {
  if (t.source_end < 0) fail("export: MarianMT ends its sources, and this model does not");
  if (!t.source_begin.empty() || !t.target_begin.empty() || t.source_language) {
    fail("export: MarianMT has no tokens before a text, and this model has");
  }
}

Exported export_marian(const TranslationModel& model, const Transformer& m,
                       const std::filesystem::path& folder) {
  const Transformer::Config& c = m.config;
  if (const std::string_view what = beyond_marian(c); !what.empty()) {
    fail(
        "export: {}: this network is no MarianMT, and no M2M100 either (norms before the layers "
        "and behind both stacks, sinusoids [sines | cosines] from 2)",
        what);
  }
  const TranslationTokens tokens = model.tokens();
  check_marian_tokens(tokens);
  // The targets' table has decoder_vocab_size rows in transformers 5 and vocab_size in 4, so both
  // are one number.
  const auto pad = static_cast<std::int32_t>(std::max(c.source_vocabulary, c.target_vocabulary));
  const MarianSide source = marian_side(model.source, tokens.source_end, pad);
  const MarianSide target = marian_side(model.target, tokens.end, pad);
  if (source.eos != target.eos || source.unk != target.unk) {
    fail(
        "export: MarianMT calls ends and unknown words of both languages alike, and here they are "
        "'{}', '{}' and '{}', '{}'",
        source.eos, source.unk, target.eos, target.unk);
  }
  save_foreign_weights(marian_state(m, tokens.start, source.rows, pad + 1), folder);
  save_marian_tokenisers(source, target, model, folder);
  const TokenIds ids = {pad, pad, true};
  Json config = network_json(c, ids, tokens.end);
  config.update({{"model_type", "marian"},
                 {"vocab_size", source.rows},
                 {"decoder_vocab_size", pad + 1},
                 {"share_encoder_decoder_embeddings", c.share_embeddings},
                 {"static_position_embeddings", true},
                 {"normalize_before", false},
                 {"normalize_embedding", false},
                 {"add_final_layer_norm", false},
                 {"add_bias_logits", false}});
  Exported done{.form = "MarianMTModel", .notes = {}};
  if (!computes_places(c)) {
    config[kTablesField] = true;
    done.notes.emplace_back(
        "its positions are tables, which transformers leaves out when it saves the model again: "
        "model._keys_to_ignore_on_save = None before save_pretrained() keeps them");
  }
  set_class(config, done.form);
  const Json generation = generation_json(model, c.max_length, ids, done.notes);
  // The class takes 0 where nothing is said, and copies it to where it counts when it saves.
  config["forced_eos_token_id"] = generation.value("forced_eos_token_id", Json());
  write_json(folder / kConfigFile, config);
  write_json(folder / "generation_config.json", generation);
  return done;
}

Exported export_m2m100(const TranslationModel& model, const Transformer& m,
                       const std::filesystem::path& folder) {
  const Transformer::Config& c = m.config;
  const TranslationTokens tokens = model.tokens();
  save_foreign_weights(read_state(translator_entries(m, false)), folder);
  save_m2m100_tokeniser(model, folder);
  const TokenIds ids = {tokens.start, static_cast<std::int32_t>(c.first_position - 1), false};
  Json config = network_json(c, ids, tokens.end);
  config.update({{"model_type", "m2m_100"}, {"vocab_size", c.source_vocabulary}});
  Exported done{.form = "M2M100ForConditionalGeneration", .notes = {}};
  set_class(config, done.form);
  write_json(folder / kConfigFile, config);
  Json generation = generation_json(model, c.max_length, ids, done.notes);
  if (!tokens.target_begin.empty()) {
    generation["forced_bos_token_id"] = tokens.target_begin.front();
  }
  write_json(folder / "generation_config.json", generation);
  return done;
}

}  // namespace

Exported export_translator(const TranslationModel& model, const std::filesystem::path& folder) {
  const auto* network = std::get_if<Transformer>(&model.network);
  if (network == nullptr) fail("export: no class of transformers is a recurrent translator");
  if (is_m2m100(network->config)) return export_m2m100(model, *network, folder);
  return export_marian(model, *network, folder);
}

}  // namespace qkv
