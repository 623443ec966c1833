#include "qkv/systems/bert_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"
#include "qkv/systems/import/bert_weights.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/weights_file.h"
#include "qkv/text/normalise.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

constexpr const char* kLongestWordField = "max_input_chars_per_word";
constexpr const char* kMaskField = "mask_token";
constexpr const char* kSentenceField = "sentence";
constexpr const char* kDenseField = "dense";
constexpr const char* kLongestField = "model_max_length";

/// Whose tokeniser is a tokenizer.json.
bool reads_pipeline(BertFamily family) {
  return family != BertFamily::bert && family != BertFamily::distilbert;
}

/// What config.json says of the case of text.
std::optional<bool> lower_case(const Json& config, const std::string& path) {
  if (!config.contains("do_lower_case")) return {};
  return FieldReader(config, path).boolean("do_lower_case");
}

}  // namespace

void save_pieces(const BertPieces& pieces, const std::filesystem::path& folder, Json& config) {
  const WordPiece* own = pieces.word_piece();
  if (own == nullptr) {
    write_file(folder / kTokenizerFile, pieces.pipeline()->json());
    config[kMaskField] = pieces.mask() < 0 ? "" : pieces.piece(pieces.mask());
    return;
  }
  write_file(folder / kPiecesFile, own->to_text());
  if (own->longest_word() != WordPiece::kLongestWord) {
    config[kLongestWordField] = own->longest_word();
  }
}

BertPieces load_pieces(const std::filesystem::path& directory, const BertConfig& sizes, bool lower,
                       const Json& config) {
  FieldReader reader(config, (directory / kConfigFile).string());
  const bool pipeline = reads_pipeline(sizes.family) || reader.has(kMaskField);
  const std::filesystem::path path = directory / (pipeline ? kTokenizerFile : kPiecesFile);
  BertPieces pieces;
  if (pipeline) {
    const TokenPipeline pipeline_of = TokenPipeline::from_json(read_file(path), path.string());
    TokenRoles roles = pipeline_of.roles();
    roles.mask = pipeline_of.id(reader.text(kMaskField, ""));
    pieces = BertPieces(pipeline_of.with_roles(roles), path.string());
  } else {
    WordPiece own = WordPiece::load(path, lower);
    own.set_longest_word(static_cast<std::size_t>(reader.integer(
        kLongestWordField, {.least = 1, .most = 1'000'000}, WordPiece::kLongestWord)));
    pieces = std::move(own);
  }
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

bool is_bert_config(const Json& config) {
  return bert_family(config) && (!config.contains("task") || config["task"] == "mlm");
}

namespace {

/// Only what is not the default, so that our own models have no such field.
void save_sentence(const BertModel& model, Json& config) {
  const SentenceSettings& s = model.sentence;
  Json said = Json::object();
  if (s.pooling != TextVector::mean) said["pooling"] = name_of(s.pooling);
  if (!s.dense.empty()) said[kDenseField] = dense_json(s.dense);
  if (s.normalise) said["normalise"] = true;
  if (s.similarity != Similarity::cosine) said["similarity"] = name_of(s.similarity);
  if (s.longest > 0) said["longest"] = s.longest;
  if (!s.prompt.empty()) said["prompt"] = s.prompt;
  if (!s.prompt_counts) said["prompt_counts"] = false;
  if (!s.refused.empty()) said["refused"] = s.refused;
  if (!said.empty()) config[kSentenceField] = std::move(said);
  if (model.longest > 0) config[kLongestField] = model.longest;
}

void load_sentence(const Json& config, const std::string& path, BertModel& model) {
  FieldReader top(config, path);
  constexpr IntegerRange tokens = {.least = 3, .most = std::int64_t{1} << 30};
  if (top.has(kLongestField)) model.longest = top.integer(kLongestField, tokens);
  SentenceSettings& s = model.sentence;
  if (!top.has(kSentenceField)) return read_dense_json({}, path, s.dense);
  FieldReader said = top.object(kSentenceField);
  const bool has_dense = said.has(kDenseField);
  read_dense_json(has_dense ? config[kSentenceField][kDenseField] : Json(), path, s.dense);
  s.pooling = static_cast<TextVector>(said.choice("pooling", names_of<TextVector>(), 0));
  s.normalise = said.boolean("normalise", false);
  s.similarity = static_cast<Similarity>(said.choice("similarity", names_of<Similarity>(), 0));
  if (said.has("longest")) s.longest = said.integer("longest", tokens);
  s.prompt = said.text("prompt", "");
  s.prompt_counts = said.boolean("prompt_counts", true);
  s.refused = said.text("refused", "");
  said.finish();
}

void save_change(const BertModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  Json config = bert_config_json(model.network.bert.config);
  config["task"] = "mlm";
  config["preset"] = model.preset;
  save_sentence(model, config);
  save_adapter(*model.adapter, lora_entries(model), writer.folder(), config);
  writer.commit(std::move(config));
}

BertModel read_change(const ModelDirectory& directory, const BertConfig& sizes, Adapters adapters) {
  const Json& config = directory.config();
  const std::string path = directory.config_path();
  const AdapterBase base = read_adapter(directory, FieldReader(config, path).object(kAdapterField));
  BertModel model = load_bert_model(base.directory);
  if (bert_config_json(model.network.bert.config) != bert_config_json(sizes)) {
    throw DataError(path, 0, fmt::format("has sizes of another model than {}", base.directory));
  }
  std::vector<SentenceDense> dense = std::move(model.sentence.dense);
  model.sentence = {};
  model.sentence.dense = std::move(dense);
  load_sentence(config, path, model);
  model.keep_encoder();
  take_adapter(model, base, directory, adapters);
  return model;
}

}  // namespace

void BertModel::keep_encoder() {
  network.transform = {};
  network.transform_norm = {};
  network.word_bias = {};
  network.next = {};
  if (sentence.pooling != TextVector::pooled) network.bert.pooler = {};
}

void save_bert_model(const BertModel& model, const std::filesystem::path& directory) {
  if (model.adapter) return save_change(model, directory);
  const BertConfig& sizes = model.network.bert.config;
  DirectoryWriter writer(directory);
  Json config = bert_config_json(sizes);
  std::vector<NamedTensor> tensors;
  for (auto& [name, tensor] : read_state(bert_entries(model))) {
    tensors.push_back({foreign_bert_name(name, sizes, BertHead::words), std::move(tensor)});
  }
  save_safetensors(writer.folder() / kWeightsFile, tensors, {{"format", "pt"}});
  const Bert::Parts parts = model.network.parts();
  config["architectures"] = {std::string(bert_class_prefix(sizes.family)) +
                             (parts.next    ? "ForPreTraining"
                              : parts.words ? "ForMaskedLM"
                                            : "Model")};
  config["task"] = "mlm";
  config["preset"] = model.preset;
  save_pieces(model.pieces, writer.folder(), config);
  if (model.pieces.word_piece() != nullptr) {
    config["do_lower_case"] = model.pieces.lower();
    config["pad_token_id"] = std::max(0, model.pieces.pad());
  }
  save_sentence(model, config);
  writer.commit(std::move(config));
}

BertFiles read_foreign_files(const ModelDirectory& directory, BertConfig& sizes,
                             BertWeights& weights) {
  const std::string config_path = directory.config_path();
  check_bert_config(directory.foreign_config(), config_path, weights.notes);
  const bool pipeline = reads_pipeline(sizes.family);
  BertFiles files = pipeline ? read_pipeline_files(directory.path())
                             : read_bert_files(directory.path(),
                                               lower_case(directory.foreign_config(), config_path));
  const std::string path = directory.file(pipeline ? kTokenizerFile : kPiecesFile).string();
  const std::int64_t pieces = files.pieces.size();
  if (pieces > sizes.vocab_size) {
    throw DataError(path, 0,
                    fmt::format("has {} pieces, the model of {} expects {}; files of two models "
                                "mixed?",
                                pieces, config_path, sizes.vocab_size));
  }
  files.pieces.require_words(path);
  if (pieces < sizes.vocab_size && drop_spare_rows(weights, pieces) > 0) {
    weights.notes.push_back(
        fmt::format("{}: {} rows of the vocabulary belong to no piece and are "
                    "left out",
                    weights.path, sizes.vocab_size - pieces));
    sizes.vocab_size = pieces;
  }
  weights.notes.insert(weights.notes.end(), files.notes.begin(), files.notes.end());
  return files;
}

namespace {

/// Those that a directory of ours has weights of.
std::vector<SentenceDense> blank_dense(const BertWeights& weights) {
  std::vector<SentenceDense> dense;
  try {
    for (;;) {
      auto next = blank_dense(weights.state, fmt::format("{}.{}.", kDenseName, dense.size()));
      if (!next) return dense;
      dense.push_back(std::move(*next));
    }
  } catch (const Error& e) {
    throw DataError(weights.path, 0, e.what());
  }
}

BertModel read_bert_model(const ModelDirectory& directory, Adapters adapters) {
  const bool foreign = is_foreign_bert(directory.foreign_config());
  const Json& config = foreign ? directory.foreign_config() : directory.config();
  const std::string config_path = directory.config_path();
  if (!is_bert_config(config)) {
    throw DataError(config_path, 0,
                    fmt::format("is no BERT (task '{}'); train one with qkv train mlm",
                                config.value("task", Json("?")).dump()));
  }
  BertConfig sizes = bert_config_from(config, config_path);
  if (!foreign && config.contains(kAdapterField)) return read_change(directory, sizes, adapters);
  BertModel model;
  if (config.contains("preset") && config["preset"].is_string()) {
    model.preset = config["preset"].get<std::string>();
  }
  BertWeights weights = read_bert_weights(directory, sizes, BertHead::words);
  if (foreign) {
    add_sinusoids(weights, config, sizes);
    BertFiles files = read_foreign_files(directory, sizes, weights);
    model.pieces = std::move(files.pieces);
    model.longest = files.longest;
    model.sentence = std::move(files.sentence);
  } else {
    model.pieces = load_pieces(directory.path(), sizes,
                               lower_case(config, config_path).value_or(true), config);
    model.sentence.dense = blank_dense(weights);
    load_sentence(config, config_path, model);
  }
  check_dense(model.sentence.dense, sizes.hidden_size,
              foreign ? directory.file("modules.json").string() : config_path);
  const Bert::Parts parts{.pooler = weights.has("bert.pooler.dense.weight"),
                          .words = weights.has("cls.predictions.transform.dense.weight"),
                          .next = weights.has("cls.seq_relationship.weight")};
  const bool roberta =
      sizes.family == BertFamily::roberta || sizes.family == BertFamily::xlm_roberta;
  if (parts.words && roberta && sizes.hidden_act != Activation::gelu) {
    throw DataError(config_path, 0,
                    "field 'hidden_act': the head for hidden words of this family has gelu, "
                    "whatever its layers have; this program has one for both");
  }
  model.network =
      network_within<Bert>(directory, weights.path, weights.numbers,
                           static_cast<std::int64_t>(weights.state.size()), sizes, parts);
  // Those of another program's Dense modules are there already.
  const StateEntries entries = foreign ? bert_entries(model.network) : bert_entries(model);
  if (foreign) drop_unused(weights, entries);
  model.notes = weights.notes;
  take_bert_weights(model, entries, std::move(weights));
  return model;
}

}  // namespace

BertModel load_bert_model(const std::filesystem::path& directory, Adapters adapters) {
  return load_whole(directory,
                    [adapters](const ModelDirectory& d) { return read_bert_model(d, adapters); });
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

std::int64_t BertModel::vector_width() const {
  return sentence.dense.empty() ? network.bert.config.hidden_size : sentence.dense.back().out();
}

std::int64_t BertModel::room() const {
  const std::int64_t positions = network.bert.config.room();
  return longest > 0 ? std::min(longest, positions) : positions;
}

namespace {

/// `cut`: how many texts are longer.
BertRows rows_within(const BertModel& model, std::span<const std::string> texts, bool masked,
                     std::int64_t longest, std::int64_t* cut = nullptr) {
  const auto room = static_cast<std::size_t>(longest) - 2;
  BertRows rows;
  std::vector<std::int64_t> lengths;
  for (const std::string& text : texts) {
    std::vector<std::int32_t> ids =
        masked ? model.pieces.encode_masked(text) : model.pieces.encode(text);
    if (cut != nullptr && ids.size() > room) ++*cut;
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

Tensor sentence_vectors(const BertModel& model, const BertRows& rows, TextVector how) {
  Tensor vectors = pooled_states(model, rows, how);
  for (const SentenceDense& dense : model.sentence.dense) vectors = dense(vectors);
  return vectors;
}

Tensor text_vectors(const BertModel& model, const BertRows& rows, TextVector how) {
  const NoRecording off;
  const Tensor vectors = sentence_vectors(model, rows, how);
  const std::span<const float> numbers = vectors.values();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (std::isfinite(numbers[i])) continue;
    fail<NumericError>("embed: the model gives {} for text {}; its weights ran away", numbers[i],
                       static_cast<std::int64_t>(i) / vectors.dim(1) + 1);
  }
  return vectors;
}

namespace {

/// Without white space around it, as sentence-transformers reads a text.
std::string stripped(std::string text) {
  const std::vector<std::string_view> words = split_spaces(text);
  if (words.empty()) return {};
  const std::size_t begin = text.find(words.front());
  return text.substr(begin, text.rfind(words.back()) + words.back().size() - begin);
}

}  // namespace

std::int64_t sentence_room(const BertModel& model) {
  const std::int64_t longest = model.sentence.longest;
  return longest > 0 ? std::min(longest, model.room()) : model.room();
}

BertRows sentence_rows(const BertModel& model, std::span<const std::string> texts,
                       std::int64_t* cut) {
  std::vector<std::string> prompted;
  for (const std::string& text : texts) {
    prompted.push_back(stripped(repair_utf8(model.sentence.prompt + text)));
  }
  return rows_within(model, prompted, false, sentence_room(model), cut);
}

Tensor embed_texts(const BertModel& model, std::span<const std::string> texts,
                   const EmbedOptions& options) {
  const SentenceSettings& s = model.sentence;
  if (!options.pooling && !s.refused.empty()) {
    fail("{}; choose a --pooling of your own", s.refused);
  }
  const Tensor vectors =
      text_vectors(model, sentence_rows(model, texts), options.pooling.value_or(s.pooling));
  return options.normalise.value_or(s.normalise) ? rows_of_length_one(vectors) : vectors;
}

}  // namespace qkv
