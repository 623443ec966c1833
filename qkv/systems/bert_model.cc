#include "qkv/systems/bert_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/ops/choose.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"
#include "qkv/systems/import/activations.h"
#include "qkv/systems/import/bert_weights.h"
#include "qkv/systems/import/decoder_config.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

constexpr const char* kLongestWordField = "max_input_chars_per_word";
constexpr IntegerRange kSize = {.least = 0, .most = std::int64_t{1} << 30};
bool of_bert(const Json& config) {
  return config.is_object() && config.contains("model_type") && config["model_type"] == "bert";
}

/// Also when another program has written a directory of ours again: it keeps fields that it does
/// not know.
bool is_foreign(const Json& config) {
  return of_bert(config) && (!config.contains("format") || config.contains("transformers_version"));
}

/// What config.json says of the case of text.
std::optional<bool> lower_case(const Json& config, const std::string& path) {
  if (!config.contains("do_lower_case")) return {};
  return FieldReader(config, path).boolean("do_lower_case");
}

}  // namespace

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
  pieces.require_words(path.string());
  return pieces;
}

void keep_longest_word(const WordPiece& pieces, Json& config) {
  if (pieces.longest_word() != WordPiece::kLongestWord) {
    config[kLongestWordField] = pieces.longest_word();
  }
}

void take_longest_word(const Json& config, const std::string& path, WordPiece& pieces) {
  FieldReader reader(config, path);
  pieces.set_longest_word(static_cast<std::size_t>(
      reader.integer(kLongestWordField, {.least = 1, .most = 1'000'000}, WordPiece::kLongestWord)));
}

bool is_bert_config(const Json& config) {
  return of_bert(config) && (!config.contains("task") || config["task"] == "mlm");
}

Json require_any_model_directory(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kConfigFile;
  std::error_code code;
  if (std::filesystem::is_regular_file(path, code)) {
    Json config = read_json(path);
    if (is_foreign(config) || is_foreign_decoder(config)) return config;
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
  c.hidden_act = kActivationOf[r.choice("hidden_act", kActivationNames)];
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
  DirectoryWriter writer(directory);
  write_file(writer.folder() / kPiecesFile, model.pieces.to_text());
  std::vector<NamedTensor> tensors;
  for (auto& [name, tensor] : bert_state(model.network)) {
    tensors.push_back({name, std::move(tensor)});
  }
  save_safetensors(writer.folder() / kWeightsFile, tensors, {{"format", "pt"}});
  Json config = bert_config_json(model.network.bert.config);
  const Bert::Parts parts = model.network.parts();
  config["architectures"] = {parts.next    ? "BertForPreTraining"
                             : parts.words ? "BertForMaskedLM"
                                           : "BertModel"};
  config["task"] = "mlm";
  config["preset"] = model.preset;
  config["do_lower_case"] = model.pieces.lower();
  keep_longest_word(model.pieces, config);
  config["pad_token_id"] = std::max(0, model.pieces.pad());
  writer.commit(std::move(config));
}

namespace {

/// The pieces and settings of another program's directory; rows of the vocabulary without a piece
/// go.
void read_foreign_pieces(const ModelDirectory& directory, BertModel& model, BertConfig& sizes,
                         BertWeights& weights) {
  const std::string config_path = directory.config_path();
  check_bert_config(directory.foreign_config(), config_path, model.notes);
  BertFiles files =
      read_bert_files(directory.path(), lower_case(directory.foreign_config(), config_path));
  const std::int64_t pieces = files.pieces.size();
  if (pieces > sizes.vocab_size) {
    throw DataError(directory.file(kPiecesFile).string(), 0,
                    fmt::format("has {} pieces, the model of {} expects {}; files of two models "
                                "mixed?",
                                pieces, config_path, sizes.vocab_size));
  }
  files.pieces.require_words(directory.file(kPiecesFile).string());
  if (pieces < sizes.vocab_size && drop_spare_rows(weights, pieces) > 0) {
    model.notes.push_back(
        fmt::format("{}: {} rows of the vocabulary belong to no piece and are "
                    "left out",
                    weights.path, sizes.vocab_size - pieces));
    sizes.vocab_size = pieces;
  }
  model.pieces = std::move(files.pieces);
  model.longest = files.longest;
  model.sentence = std::move(files.sentence);
  model.notes.insert(model.notes.end(), files.notes.begin(), files.notes.end());
}

BertModel read_bert_model(const ModelDirectory& directory) {
  const Json& config =
      is_foreign(directory.foreign_config()) ? directory.foreign_config() : directory.config();
  const std::string config_path = directory.config_path();
  if (!is_bert_config(config)) {
    throw DataError(config_path, 0,
                    fmt::format("is no BERT (task '{}'); train one with qkv train mlm",
                                config.value("task", Json("?")).dump()));
  }
  BertConfig sizes = bert_config_from(config, config_path);
  BertModel model;
  if (config.contains("preset") && config["preset"].is_string()) {
    model.preset = config["preset"].get<std::string>();
  }
  const bool foreign = is_foreign(config);
  BertWeights weights = read_bert_weights(directory);
  model.notes = weights.notes;
  if (foreign) {
    read_foreign_pieces(directory, model, sizes, weights);
  } else {
    model.pieces =
        load_pieces(directory.path(), sizes, lower_case(config, config_path).value_or(true));
    take_longest_word(config, config_path, model.pieces);
  }
  const Bert::Parts parts{.pooler = weights.has("bert.pooler.dense.weight"),
                          .words = weights.has("cls.predictions.transform.dense.weight"),
                          .next = weights.has("cls.seq_relationship.weight")};
  model.network =
      network_within<Bert>(directory, weights.path, weights.numbers,
                           static_cast<std::int64_t>(weights.state.size()), sizes, parts);
  try {
    if (foreign) {
      const std::vector<std::string> unused = drop_unused(weights, model.network);
      if (!unused.empty()) {
        model.notes.push_back(
            fmt::format("{}: {} tensors have no place in the network and are "
                        "not used: {}",
                        weights.path, unused.size(), listed(unused)));
      }
    }
    load_bert_state(model.network, std::move(weights.state));
  } catch (const Error& e) {
    throw DataError(weights.path, 0, e.what());
  }
  return model;
}

}  // namespace

BertModel load_bert_model(const std::filesystem::path& directory) {
  return read_whole(directory, read_bert_model);
}

void BertDesign::check() const {
  network.check();
  masks.check();
  if (network.hidden_act != Activation::gelu && network.hidden_act != Activation::gelu_tanh &&
      network.hidden_act != Activation::relu) {
    throw UsageError(fmt::format("--activation {}: a BERT has gelu, gelu_new or relu",
                                 name_of(network.hidden_act)));
  }
}

WordPiece make_pieces(const BertDesign& d, std::span<const std::string> lines) {
  const WordPieceOptions options{
      .lower = !d.cased, .vocabulary_size = d.vocabulary, .min_count = d.min_count};
  WordPiece pieces = d.pieces.empty() ? WordPiece::train(options, lines)
                                      : WordPiece::load(d.pieces, options.lower);
  pieces.require_words(d.pieces.empty() ? "the training text" : d.pieces);
  return pieces;
}

BertModel make_bert(const BertDesign& d, const WordPiece& pieces, std::uint64_t seed) {
  BertModel model;
  model.pieces = pieces;
  model.preset = d.preset;
  BertConfig config = d.network;
  config.vocab_size = pieces.size();
  // Positions that training never reaches would stay noise.
  config.max_position_embeddings = d.masks.max_length;
  model.network = Bert::make(seed, config, {.pooler = d.masks.pairs, .next = d.masks.pairs});
  return model;
}

std::int64_t BertModel::room() const {
  const std::int64_t positions = network.bert.config.max_position_embeddings;
  return longest > 0 ? std::min(longest, positions) : positions;
}

namespace {

BertRows rows_within(const BertModel& model, std::span<const std::string> texts, bool masked,
                     std::int64_t longest) {
  const auto room = static_cast<std::size_t>(longest) - 2;
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

}  // namespace

BertRows rows_of(const BertModel& model, std::span<const std::string> texts, bool masked) {
  return rows_within(model, texts, masked, model.room());
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
  choose_tokens(scores, {.count = static_cast<int>(k), .suppressed = never}, ids.data(),
                log_p.data());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) continue;  // fewer pieces than asked for
    filled[i / k].push_back({ids[i], std::exp(static_cast<double>(log_p[i]))});
    if (std::isnan(log_p[i])) filled[i / k].clear();
  }
  for (std::size_t m = 0; m < filled.size(); ++m) {
    if (!filled[m].empty()) continue;
    fail<NumericError>("fill: the model gives NaN for [MASK] {}; its weights ran away", m + 1);
  }
  return filled;
}

namespace {

Tensor pooled_states(const BertModel& model, const BertRows& rows, TextVector how) {
  const Tensor states = model.network.bert(rows);
  if (how == TextVector::mean) return segment_mean(states, rows.segments);
  if (how == TextVector::pooled) return model.network.bert.pooled(states, rows.segments);
  std::vector<std::int64_t> first;
  for (std::int64_t b = 0; b < rows.segments.count(); ++b) first.push_back(rows.segments.begin(b));
  return select_rows(states, first);
}

}  // namespace

Tensor text_vectors(const BertModel& model, const BertRows& rows, TextVector how) {
  const NoRecording off;
  const Tensor vectors = pooled_states(model, rows, how);
  const std::span<const float> numbers = vectors.values();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (std::isfinite(numbers[i])) continue;
    fail<NumericError>("embed: the model gives {} for text {}; its weights ran away", numbers[i],
                       static_cast<std::int64_t>(i) / vectors.dim(1) + 1);
  }
  return vectors;
}

Tensor embed_texts(const BertModel& model, std::span<const std::string> texts,
                   const EmbedOptions& options) {
  const SentenceSettings& s = model.sentence;
  if (!options.pooling && !s.refused.empty()) {
    fail("{}; choose a --pooling of your own", s.refused);
  }
  const std::int64_t room = s.longest > 0 ? std::min(s.longest, model.room()) : model.room();
  std::vector<std::string> prompted;
  if (!s.prompt.empty()) {
    for (const std::string& text : texts) prompted.push_back(s.prompt + text);
    texts = prompted;
  }
  const Tensor vectors = text_vectors(model, rows_within(model, texts, false, room),
                                      options.pooling.value_or(s.pooling));
  return options.normalise.value_or(s.normalise) ? rows_of_length_one(vectors) : vectors;
}

}  // namespace qkv
