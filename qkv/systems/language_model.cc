#include "qkv/systems/language_model.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/import/decoder_files.h"
#include "qkv/systems/import/decoder_weights.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

constexpr const char* kStem = "text";
constexpr std::string_view kAttention[] = {"multihead_attention", "multiquery_attention",
                                           "grouped_query_attention", "linear_attention"};
constexpr std::string_view kTexts[] = {"stream", "lines"};
constexpr IntegerRange kSize = {.least = 0, .most = std::int64_t{1} << 30};

Json json_of(const Mpt::Config& c) {
  const Mpt::AttnConfig& a = c.attn_config;
  const std::size_t type = a.linear                                       ? 3
                           : a.kv_n_heads == 1                            ? 1
                           : a.kv_n_heads > 0 && a.kv_n_heads < c.n_heads ? 2
                                                                          : 0;
  Json json = {{"d_model", c.d_model},
               {"n_heads", c.n_heads},
               {"n_layers", c.n_layers},
               {"expansion_ratio", c.expansion_ratio},
               {"max_seq_len", c.max_seq_len},
               {"vocab_size", c.vocab_size},
               {"resid_pdrop", c.resid_pdrop},
               {"emb_pdrop", c.emb_pdrop},
               {"learned_pos_emb", c.learned_pos_emb},
               {"no_bias", c.no_bias},
               {"embedding_fraction", c.embedding_fraction},
               {"low_precision_layernorm", c.low_precision_layernorm},
               {"attn_config",
                {{"attn_type", kAttention[type]},
                 {"kv_n_heads", a.kv_n_heads},
                 {"attn_pdrop", a.attn_pdrop},
                 {"qk_ln", a.qk_ln},
                 {"clip_qkv", a.clip_qkv},
                 {"softmax_scale", a.softmax_scale},
                 {"prefix_lm", a.prefix_lm},
                 {"attn_uses_sequence_id", a.attn_uses_sequence_id},
                 {"alibi", a.alibi},
                 {"alibi_bias_max", a.alibi_bias_max},
                 {"rope", a.rope},
                 {"rope_theta", a.rope_theta}}}};
  if (const Json parts = config_json(c.parts); parts != config_json(MptParts())) {
    json["parts"] = parts;
  }
  json["logit_scale"] =
      c.logit_scale_inv_sqrt_d_model ? Json("inv_sqrt_d_model") : Json(c.logit_scale);
  return json;
}

Json json_of(const RnnLanguage::Config& c) { return config_json(c); }

Mpt::Config mpt_from(FieldReader r, const Json& json, const std::string& path) {
  Mpt::Config c;
  c.d_model = r.integer("d_model", kSize);
  c.n_heads = r.integer("n_heads", kSize);
  c.n_layers = r.integer("n_layers", kSize);
  c.expansion_ratio = r.integer("expansion_ratio", {.least = 1, .most = 1024});
  c.max_seq_len = r.integer("max_seq_len", kSize);
  c.vocab_size = r.integer("vocab_size", kSize);
  c.resid_pdrop = r.number("resid_pdrop");
  c.emb_pdrop = r.number("emb_pdrop");
  c.learned_pos_emb = r.boolean("learned_pos_emb");
  c.no_bias = r.boolean("no_bias");
  c.embedding_fraction = r.number("embedding_fraction");
  c.low_precision_layernorm = r.boolean("low_precision_layernorm");
  if (json.contains("logit_scale") && json["logit_scale"].is_string()) {
    if (r.text("logit_scale") != "inv_sqrt_d_model") {
      r.wrong("logit_scale", "a number or \"inv_sqrt_d_model\"");
    }
    c.logit_scale_inv_sqrt_d_model = true;
  } else {
    c.logit_scale = r.number("logit_scale");
  }
  FieldReader a = r.object("attn_config");
  c.attn_config.linear = a.choice("attn_type", kAttention) == 3;
  c.attn_config.kv_n_heads = a.integer("kv_n_heads", kSize);
  c.attn_config.attn_pdrop = a.number("attn_pdrop");
  c.attn_config.qk_ln = a.boolean("qk_ln");
  c.attn_config.clip_qkv = a.number("clip_qkv");
  c.attn_config.softmax_scale = a.number("softmax_scale");
  c.attn_config.prefix_lm = a.boolean("prefix_lm");
  c.attn_config.attn_uses_sequence_id = a.boolean("attn_uses_sequence_id");
  c.attn_config.alibi = a.boolean("alibi");
  c.attn_config.alibi_bias_max = a.number("alibi_bias_max");
  c.attn_config.rope = a.boolean("rope");
  c.attn_config.rope_theta = a.number("rope_theta");
  a.finish();
  if (r.has("parts")) c.parts = config_from<MptParts>(r.object("parts"), path);
  r.finish();
  return c;
}

/// How texts are written, where it is not qkv's own way. Directories say nothing of what stops a
/// text or stands before it.
Json wishes_json(const GeneratorOptions& options) {
  const Json all = config_json(options), plain = config_json(GeneratorOptions());
  Json wishes = Json::object();
  for (const auto& [name, value] : all.items()) {
    if (value != plain[name] && !value.is_array()) wishes[name] = value;
  }
  return wishes;
}

GeneratorOptions wishes_from(FieldReader reader) {
  GeneratorOptions options;
  GeneratorOptions::each(options, [&](const About& about, auto& field) {
    if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(field)>, std::vector<std::string>>) {
      if (reader.has(about.name)) read_field(reader, about.name, field, -(std::int64_t{1} << 30));
    }
  });
  reader.finish();
  return options;
}

bool by_characters(const Tokeniser& tokeniser) {
  return tokeniser.kind() == Tokeniser::Kind::character;
}

}  // namespace

std::int64_t LanguageModel::longest() const {
  return mpt() != nullptr && mpt()->config.learned_pos_emb ? mpt()->config.max_seq_len : 0;
}

MptBatch LanguageModel::mpt_batch(const LanguageBatch& batch) const {
  MptBatch b{.ids = batch.ids, .segments = batch.segments};
  if (sees_prefix()) b.prefix = batch.prefix;
  return b;
}

CrossEntropyResult LanguageModel::loss(const LanguageBatch& batch,
                                       const CrossEntropyOptions& options) const {
  if (mpt() != nullptr) return mpt()->loss(mpt_batch(batch), batch.targets, options);
  return std::get<RnnLanguage>(network).loss(batch.ids, batch.segments, batch.targets, options);
}

namespace {

/// What the output matrix reads of a batch, and the matrix.
std::pair<Tensor, VocabularyHead> head_of(const LanguageModel&, const RnnLanguage& rnn,
                                          const LanguageBatch& batch) {
  return {rnn(batch.ids, batch.segments).hidden,
          VocabularyHead(rnn.output_matrix(), rnn.output_form(), rnn.output_bias())};
}
std::pair<Tensor, VocabularyHead> head_of(const LanguageModel& model, const Mpt& mpt,
                                          const LanguageBatch& batch) {
  return {mpt.scaled(mpt(model.mpt_batch(batch))),
          VocabularyHead(mpt.output_matrix(), VocabularyMatrix::table, {})};
}

std::unique_ptr<StepModel> decoder_of(const Mpt& mpt, const LanguageDecoderOptions& options) {
  return std::make_unique<MptDecoder>(mpt, options);
}
std::unique_ptr<StepModel> decoder_of(const RnnLanguage& rnn,
                                      const LanguageDecoderOptions& options) {
  return std::make_unique<RnnLanguageDecoder>(rnn, options);
}

}  // namespace

std::vector<float> LanguageModel::log_probabilities(const LanguageBatch& batch) const {
  const NoRecording off;
  const auto [hidden, head] =
      std::visit([&](const auto& n) { return head_of(*this, n, batch); }, network);
  std::vector<std::int32_t> forced = batch.targets;
  for (std::int32_t& id : forced) {
    if (id < 0) id = 0;
  }
  std::vector<std::int32_t> chosen(forced.size());
  std::vector<float> scores(forced.size());
  head.choose(hidden, {.count = 1, .forced = forced}, chosen.data(), scores.data());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (batch.targets[i] < 0) scores[i] = 0.0f;
  }
  return scores;
}

std::unique_ptr<StepModel> LanguageModel::decoder(const LanguageDecoderOptions& options) const {
  return std::visit([&](const auto& n) { return decoder_of(n, options); }, network);
}

std::int32_t line_end_of(const Tokeniser& tokeniser) {
  if (tokeniser.pipeline()) {
    const std::vector<std::int32_t> newline = tokeniser.encode("\n");
    return newline.empty() ? tokeniser.eos() : newline.back();
  }
  return by_characters(tokeniser) ? tokeniser.encode("\n").front() : tokeniser.eos();
}

Tokeniser train_language_tokeniser(const TokeniserOptions& options,
                                   std::span<const std::string> lines) {
  if (options.kind != Tokeniser::Kind::character) return Tokeniser::train(options, lines);
  std::vector<std::string> whole;
  whole.reserve(lines.size());
  for (const std::string& line : lines) whole.push_back(line + "\n");
  return Tokeniser::train(options, whole);
}

namespace {

Mpt network_of(Mpt::Config c, const LanguageDesign& d, std::uint64_t seed) {
  c.max_seq_len = d.context;
  return Mpt::make(seed, c);
}
RnnLanguage network_of(const RnnLanguage::Config& c, const LanguageDesign&, std::uint64_t seed) {
  return RnnLanguage::make(seed, c);
}

}  // namespace

void LanguageDesign::check() const {
  std::visit(
      [&](auto sizes) {  // what can be checked before the text is read
        sizes.vocab_size = 1;
        sizes.check();
      },
      network);
}

LanguageModel make_language_model(const LanguageDesign& d, std::span<const std::string> lines,
                                  std::uint64_t seed) {
  LanguageModel model;
  model.preset = d.preset;
  model.by_line = d.by_line;
  model.context = d.context;
  model.tokeniser = train_language_tokeniser(d.tokeniser, lines);
  std::visit(
      [&](auto config) {
        config.vocab_size = model.tokeniser.size();
        model.network = network_of(config, d, seed);
      },
      d.network);
  return model;
}

StreamFormat LanguageModel::format() const {
  StreamFormat f;
  f.line_end = by_line ? tokeniser.eos() : line_end_of(tokeniser);
  f.start = by_line ? tokeniser.bos() : f.line_end;
  if (tokeniser.pipeline()) f.start = tokeniser.bos() >= 0 ? tokeniser.bos() : tokeniser.eos();
  f.unknown = tokeniser.unk();
  f.by_line = by_line;
  return f;
}

LineEncoder LanguageModel::encoder() const {
  return [this](std::string_view line) { return tokeniser.encode(line); };
}

std::vector<std::int32_t> LanguageModel::prompt(std::string_view text) const {
  const StreamFormat f = format();
  if (const TokenPipeline* pipeline = tokeniser.pipeline()) {
    std::vector<std::int32_t> ids = pipeline->ids(text);
    if (ids.empty() && f.start >= 0) ids.push_back(f.start);
    if (ids.empty()) fail("an empty prompt: this model has no token to begin with; give it a text");
    return ids;
  }
  std::vector<std::int32_t> ids = {f.start};
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find('\n', begin);
    const std::vector<std::int32_t> line = tokeniser.encode(text.substr(begin, end - begin));
    ids.insert(ids.end(), line.begin(), line.end());
    if (end == std::string_view::npos) return ids;
    ids.push_back(f.line_end);
    if (by_line) ids.push_back(f.start);
    begin = end + 1;
  }
}

LanguageBatch pack(const TextStream& stream, std::span<const Window> windows) {
  LanguageBatch batch;
  std::vector<std::int64_t> lengths;
  for (const Window& w : windows) {
    for (std::int64_t t = w.begin; t < w.end; ++t) {
      batch.ids.push_back(stream.ids[static_cast<std::size_t>(t)]);
      batch.prefix.push_back(t < w.scored ? 1 : 0);
      batch.targets.push_back(t + 1 >= w.scored ? stream.ids[static_cast<std::size_t>(t) + 1] : -1);
    }
    lengths.push_back(w.end - w.begin);
  }
  batch.segments = Segments(lengths);
  return batch;
}

namespace {

void save_change(const LanguageModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  Json config = {{"task", "lm"}, {"preset", model.preset}, {"text", kTexts[model.by_line ? 1 : 0]}};
  save_adapter(*model.adapter, lora_entries(model), writer.folder(), config);
  writer.commit(std::move(config));
}

LanguageModel read_change(const ModelDirectory& directory, FieldReader& reader, Adapters adapters) {
  const AdapterBase base = read_adapter(directory, reader.object(kAdapterField));
  LanguageModel model = load_language_model(base.directory);
  model.preset = reader.text("preset", "");
  model.by_line = reader.choice("text", kTexts) == 1;
  reader.finish();
  take_adapter(model, base, directory, adapters);
  return model;
}

}  // namespace

void save_language_model(const LanguageModel& model, const std::filesystem::path& directory) {
  if (model.adapter) return save_change(model, directory);
  DirectoryWriter writer(directory);
  model.tokeniser.save(writer.folder(), kStem);
  save_weights(named_parameters(model), writer.folder());
  Json config = {
      {"task", "lm"},
      {"architecture", name_of(model.architecture())},
      {"preset", model.preset},
      {"text", kTexts[model.by_line ? 1 : 0]},
      {"context", model.context},
      {"model", std::visit([](const auto& n) { return json_of(n.config); }, model.network)}};
  if (!model.ends.empty()) config["ends"] = model.ends;
  if (const Json wishes = wishes_json(model.defaults); !wishes.empty()) config["generate"] = wishes;
  writer.commit(std::move(config));
}

namespace {

LanguageModel read_foreign_model(const ModelDirectory& directory) {
  const Json& config = directory.foreign_config();
  ForeignDecoder decoder = read_decoder_config(config, directory.config_path());
  DecoderFiles files = read_decoder_files(directory.path(), config, decoder.network.vocab_size);
  LanguageModel model;
  model.network = read_decoder_weights(directory, decoder);
  model.tokeniser = std::move(files.tokeniser);
  model.ends = std::move(files.ends);
  model.defaults = std::move(files.defaults);
  model.context = decoder.context;
  model.preset = config["model_type"].get<std::string>();
  model.notes = std::move(decoder.notes);
  model.notes.insert(model.notes.end(), files.notes.begin(), files.notes.end());
  return model;
}

/// A pipeline leaves rows of the network without a token; an end must be a row.
void check_ends(const LanguageModel& model, const std::string& path) {
  for (const std::int32_t id : model.ends) {
    if (id < model.vocabulary()) continue;
    throw DataError(path, 0, fmt::format("field 'ends': {} is no token of the model", id));
  }
}

LanguageModel read_language_model(const ModelDirectory& directory, Adapters adapters) {
  if (is_foreign_decoder(directory.foreign_config())) return read_foreign_model(directory);
  const Json& config = directory.config();
  const std::string config_path = directory.config_path();
  FieldReader reader(config, config_path);
  reader.has("format");
  if (const std::string task = reader.text("task"); task != "lm") {
    throw DataError(config_path, 0, fmt::format("is no language model (task '{}')", task));
  }
  if (reader.has(kAdapterField)) return read_change(directory, reader, adapters);
  LanguageModel model;
  const auto architecture = static_cast<LanguageArchitecture>(
      reader.choice("architecture", names_of<LanguageArchitecture>()));
  model.preset = reader.text("preset", "");
  model.by_line = reader.choice("text", kTexts) == 1;
  model.context = reader.integer("context", {.least = 1, .most = std::int64_t{1} << 30});
  if (reader.has("ends")) {
    for (const std::int64_t id : reader.integers("ends", kSize)) {
      model.ends.push_back(static_cast<std::int32_t>(id));
    }
  }
  if (reader.has("generate")) model.defaults = wishes_from(reader.object("generate"));
  const bool recurrent = architecture == LanguageArchitecture::rnn;
  Mpt::Config sizes;
  RnnLanguage::Config rnn_sizes;
  FieldReader network = reader.object("model");
  if (recurrent) {
    rnn_sizes = config_from<RnnLanguage::Config>(std::move(network), config_path);
  } else {
    sizes = mpt_from(std::move(network), config["model"], config_path);
  }
  reader.finish();
  model.tokeniser = Tokeniser::load(directory.path(), kStem);
  const std::int64_t expected = recurrent ? rnn_sizes.vocab_size : sizes.vocab_size;
  const bool fits = model.tokeniser.pipeline() ? model.tokeniser.size() <= expected
                                               : model.tokeniser.size() == expected;
  if (!fits) {
    throw DataError(config_path, 0,
                    fmt::format("the vocabulary has {} tokens, the model expects {}; files of two "
                                "models mixed?",
                                model.tokeniser.size(), expected));
  }
  WeightsFile weights(directory);
  if (recurrent) {
    model.network = weights.network<RnnLanguage>(rnn_sizes);
  } else {
    model.network = weights.network<Mpt>(sizes);
  }
  weights.take_all(model);
  weights.finish();
  check_ends(model, config_path);
  return model;
}

}  // namespace

LanguageModel load_language_model(const std::filesystem::path& directory, Adapters adapters) {
  return load_whole(
      directory, [adapters](const ModelDirectory& d) { return read_language_model(d, adapters); });
}

}  // namespace qkv
