#include "qkv/systems/bert_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/kernels/loss.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

constexpr IntegerRange kSize = {.least = 0, .most = std::int64_t{1} << 30};
// Hugging Face's spellings; the last two are the same function.
constexpr std::string_view kActivations[] = {"gelu", "relu", "gelu_new", "gelu_pytorch_tanh"};
constexpr Activation kActivationOf[] = {Activation::gelu, Activation::relu, Activation::gelu_tanh,
                                        Activation::gelu_tanh};

std::string_view activation_name(Activation activation) {
  for (std::size_t i = 0; i < std::size(kActivations); ++i) {
    if (kActivationOf[i] == activation) return kActivations[i];
  }
  fail("bert: this activation has no published name");
}

bool of_bert(const Json& config) {
  return config.is_object() && config.contains("model_type") && config["model_type"] == "bert";
}

/// Whether text is to be lower-cased: said by our configuration or the tokeniser's of Hugging Face;
/// where nobody says so, it is.
bool lower_case(const Json& config, const std::filesystem::path& directory) {
  const std::filesystem::path other = directory / "tokenizer_config.json";
  const bool here = config.contains("do_lower_case");
  if (!here && !std::filesystem::exists(other)) return true;
  const Json json = here ? config : read_json(other);
  if (!json.is_object() || !json.contains("do_lower_case")) return true;
  if (!json["do_lower_case"].is_boolean()) {
    throw DataError((here ? directory / kConfigFile : other).string(), 0,
                    "field 'do_lower_case': expected true or false");
  }
  return json["do_lower_case"].get<bool>();
}

/// All tensors of a file but copies; names of a bare encoder get the prefix that models have.
StateDict tensors_of(const SafetensorsFile& file) {
  const std::vector<std::string>& names = file.names();
  const bool bare = std::none_of(names.begin(), names.end(), [](const std::string& name) {
    return name.starts_with("bert.") || name.starts_with("cls.");
  });
  StateDict state;
  for (const std::string& name : names) {
    if (is_redundant_bert_name(name)) continue;
    state.emplace_back(modern_bert_name((bare ? "bert." : "") + name), file.tensor(name));
  }
  return state;
}

bool has(const StateDict& state, std::string_view name) {
  return std::any_of(state.begin(), state.end(), [&](const auto& e) { return e.first == name; });
}

}  // namespace

bool could_hold(const BertConfig& c, std::int64_t stored, std::int64_t tensors) {
  const auto fits = [stored](std::int64_t a, std::int64_t b) { return b == 0 || a <= stored / b; };
  return fits(c.vocab_size, c.hidden_size) && fits(c.max_position_embeddings, c.hidden_size) &&
         fits(c.type_vocab_size, c.hidden_size) && c.num_hidden_layers <= tensors &&
         (c.num_hidden_layers == 0 ||
          (fits(c.hidden_size, c.hidden_size) && fits(c.intermediate_size, c.hidden_size)));
}

WordPiece load_pieces(const std::filesystem::path& directory, const BertConfig& sizes, bool lower) {
  const std::filesystem::path path = directory / kPiecesFile;
  WordPiece pieces = WordPiece::load(path, lower);
  if (pieces.size() != sizes.vocab_size) {
    throw DataError(
        path.string(), 0,
        fmt::format("has {} pieces, the model of {} expects {}; files of two models "
                    "mixed?",
                    pieces.size(), (directory / kConfigFile).string(), sizes.vocab_size));
  }
  return pieces;
}

bool is_bert_config(const Json& config) {
  return of_bert(config) && (!config.contains("task") || config["task"] == "mlm");
}

Json require_any_model_directory(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kConfigFile;
  std::error_code code;
  if (std::filesystem::is_regular_file(path, code)) {
    Json config = read_json(path);
    if (of_bert(config) && !config.contains("format")) return config;
  }
  return require_model_directory(directory);
}

Json bert_config_json(const BertConfig& c) {
  return {{"model_type", "bert"},
          {"vocab_size", c.vocab_size},
          {"hidden_size", c.hidden_size},
          {"num_hidden_layers", c.num_hidden_layers},
          {"num_attention_heads", c.num_attention_heads},
          {"intermediate_size", c.intermediate_size},
          {"max_position_embeddings", c.max_position_embeddings},
          {"type_vocab_size", c.type_vocab_size},
          {"hidden_act", activation_name(c.hidden_act)},
          {"hidden_dropout_prob", c.hidden_dropout_prob},
          {"attention_probs_dropout_prob", c.attention_probs_dropout_prob},
          {"layer_norm_eps", c.layer_norm_eps},
          {"initializer_range", c.initializer_range},
          {"position_embedding_type", "absolute"}};
}

BertConfig bert_config_from(const Json& json, const std::string& path) {
  FieldReader r(json, path);
  BertConfig c;
  c.vocab_size = r.integer("vocab_size", kSize);
  c.hidden_size = r.integer("hidden_size", kSize);
  c.num_hidden_layers = r.integer("num_hidden_layers", kSize);
  c.num_attention_heads = r.integer("num_attention_heads", kSize);
  c.intermediate_size = r.integer("intermediate_size", kSize);
  c.max_position_embeddings = r.integer("max_position_embeddings", kSize);
  c.type_vocab_size = r.integer("type_vocab_size", kSize, 2);
  c.hidden_act = kActivationOf[r.choice("hidden_act", kActivations)];
  c.hidden_dropout_prob = r.number("hidden_dropout_prob", {0, 1}, 0.1);
  c.attention_probs_dropout_prob = r.number("attention_probs_dropout_prob", {0, 1}, 0.1);
  c.layer_norm_eps = r.number("layer_norm_eps", {0, 1}, 1e-12);
  c.initializer_range = r.number("initializer_range", {0, 10}, 0.02);
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

void save_bert_model(const BertModel& model, const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  write_file(directory / kPiecesFile, model.pieces.to_text());
  std::vector<NamedTensor> tensors;
  for (auto& [name, tensor] : bert_state(model.network)) {
    tensors.push_back({name, std::move(tensor)});
  }
  save_safetensors(directory / kWeightsFile, tensors, {{"format", "pt"}});
  Json config = bert_config_json(model.network.bert.config);
  const Bert::Parts parts = model.network.parts();
  config["architectures"] = {parts.next    ? "BertForPreTraining"
                             : parts.words ? "BertForMaskedLM"
                                           : "BertModel"};
  config["format"] = kModelFormat;
  config["task"] = "mlm";
  config["preset"] = model.preset;
  config["do_lower_case"] = model.pieces.lower();
  config["pad_token_id"] = std::max(0, model.pieces.pad());
  write_json(directory / kConfigFile, config);
}

BertModel load_bert_model(const std::filesystem::path& directory) {
  const Json config = require_any_model_directory(directory);
  const std::string config_path = (directory / kConfigFile).string();
  if (!is_bert_config(config)) {
    throw DataError(config_path, 0,
                    fmt::format("is no BERT (task '{}'); train one with qkv train mlm",
                                config.value("task", Json("?")).dump()));
  }
  const BertConfig sizes = bert_config_from(config, config_path);
  BertModel model;
  if (config.contains("preset") && config["preset"].is_string()) {
    model.preset = config["preset"].get<std::string>();
  }
  model.pieces = load_pieces(directory, sizes, lower_case(config, directory));
  const std::filesystem::path path = directory / kWeightsFile;
  const SafetensorsFile file(path);
  file.verify();
  file.check_finite();
  StateDict state = tensors_of(file);
  std::int64_t numbers = 0;
  for (const auto& entry : state) numbers += entry.second.count();
  if (!could_hold(sizes, numbers, static_cast<std::int64_t>(state.size()))) {
    throw DataError(path.string(), 0,
                    fmt::format("holds {} numbers in {} tensors, not the model of {}", numbers,
                                state.size(), config_path));
  }
  const Bert::Parts parts{.pooler = has(state, "bert.pooler.dense.weight"),
                          .words = has(state, "cls.predictions.transform.dense.weight"),
                          .next = has(state, "cls.seq_relationship.weight")};
  try {
    model.network = Bert::make(sizes, parts, Initialiser::blank());
    load_bert_state(model.network, std::move(state));
  } catch (const Error& e) {
    throw DataError(path.string(), 0, e.what());
  }
  return model;
}

BertRows rows_of(const BertModel& model, std::span<const std::string> texts, bool masked) {
  const auto room = static_cast<std::size_t>(model.network.bert.config.max_position_embeddings) - 2;
  BertRows rows;
  std::vector<std::int64_t> lengths;
  for (const std::string& text : texts) {
    std::vector<std::int32_t> ids =
        masked ? model.pieces.encode_masked(text) : model.pieces.encode(text);
    ids.resize(std::min(ids.size(), room));
    rows.ids.push_back(model.pieces.cls());
    rows.ids.insert(rows.ids.end(), ids.begin(), ids.end());
    rows.ids.push_back(model.pieces.sep());
    lengths.push_back(static_cast<std::int64_t>(ids.size()) + 2);
  }
  rows.segments = Segments(lengths);
  return rows;
}

std::vector<std::vector<BertCandidate>> fill_masks(const BertModel& model, const BertRows& rows,
                                                   int count) {
  const NoRecording off;
  std::vector<std::int64_t> where;
  for (std::size_t t = 0; t < rows.ids.size(); ++t) {
    if (rows.ids[t] == model.pieces.mask()) where.push_back(static_cast<std::int64_t>(t));
  }
  std::vector<std::vector<BertCandidate>> filled(where.size());
  if (where.empty() || count < 1) return filled;
  const Tensor scores = model.network.word_logits(rows, where);
  std::vector<std::int32_t> never;
  for (std::int32_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces.is_special(id)) never.push_back(id);
  }
  const auto k = static_cast<std::size_t>(std::min(count, model.pieces.size()));
  std::vector<std::int32_t> ids(where.size() * k);
  std::vector<float> log_p(ids.size());
  kernels::log_softmax_top_k(scores.dim(0), scores.dim(1), scores.data(), nullptr,
                             static_cast<int>(k), never.data(), static_cast<int>(never.size()),
                             ids.data(), log_p.data());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) continue;  // fewer pieces than asked for
    filled[i / k].push_back({ids[i], std::exp(static_cast<double>(log_p[i]))});
  }
  return filled;
}

Tensor text_vectors(const BertModel& model, const BertRows& rows, TextVector how) {
  const NoRecording off;
  const Tensor states = model.network.bert(rows);
  if (how == TextVector::mean) return segment_mean(states, rows.segments);
  if (how == TextVector::pooled) return model.network.bert.pooled(states, rows.segments);
  std::vector<std::int64_t> first;
  for (std::int64_t b = 0; b < rows.segments.count(); ++b) first.push_back(rows.segments.begin(b));
  return select_rows(states, first);
}

}  // namespace qkv
