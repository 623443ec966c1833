#include "qkv/systems/labeller_model.h"

#include <algorithm>
#include <array>
#include <utility>

#include <utf8proc.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/import/bert_labels.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/make_labeller.h"
#include "qkv/systems/weights_file.h"
#include "qkv/text/normalise.h"

namespace qkv {

namespace {

constexpr const char* kPriorTensor = "prior";
constexpr const char* kLongestField = "model_max_length";

struct Stored {
  const char* name;
  std::int64_t specials;  // tokens that the network does not count
  Vocabulary LabellerModel::*vocabulary;
  std::int64_t Labeller::Config::*size;
};
constexpr Stored kVocabularies[] = {
    {"words", 0, &LabellerModel::words, &Labeller::Config::words},
    {"characters", 0, &LabellerModel::characters, &Labeller::Config::characters},
    {"tags", Vocabulary::kSpecials, &LabellerModel::tags, &Labeller::Config::tags},
    {"classes", Vocabulary::kSpecials, &LabellerModel::classes, &Labeller::Config::classes}};

std::filesystem::path vocabulary_path(const std::filesystem::path& directory, const char* name) {
  return directory / (std::string(name) + ".vocabulary");
}

// The rules as tensors of 0 and 1.
struct RuleTensor {
  const char* name;
  std::vector<std::uint8_t> TagRules::*rule;
};
constexpr RuleTensor kRules[] = {{"rules.transition", &TagRules::transition},
                                 {"rules.start", &TagRules::start},
                                 {"rules.end", &TagRules::end}};

std::vector<NamedTensor> tensors_of(const LabellerModel& model) {
  std::vector<NamedTensor> tensors = named_parameters(model);
  const Labeller& m = model.network;
  if (m.config.prior != PriorMask::none) {
    if (!m.prior.defined())
      fail("labeller: config.prior asks for a table, but set_prior() never came");
    tensors.push_back({kPriorTensor, m.prior});
  }
  for (const RuleTensor& r : kRules) {
    const std::vector<std::uint8_t>& rule = m.rules.*(r.rule);
    if (rule.empty()) continue;
    const std::vector<float> values(rule.begin(), rule.end());
    tensors.push_back({r.name, Tensor::of(values, {static_cast<std::int64_t>(values.size())})});
  }
  return tensors;
}

/// Takes all tensors of a file, each once; of a change of a BERT those of the heads.
void read_tensors(WeightsFile& weights, bool heads_alone, Labeller& network) {
  weights.take_all(network,
                   [&](std::string_view path) { return !heads_alone || is_of_head(path); });
  if (network.config.prior != PriorMask::none && !weights.contains(kPriorTensor)) {
    throw DataError(weights.path(), 0, "has no tensor 'prior', which the configuration asks for");
  }
  TagRules rules;
  for (const RuleTensor& r : kRules) {
    if (!weights.contains(r.name)) continue;
    const Tensor values = weights.take(r.name);
    for (const float v : values.values()) {
      if (v != 0.0F && v != 1.0F) {
        throw DataError(weights.path(), 0,
                        fmt::format("tensor '{}' holds {}, not 0 or 1", r.name, v));
      }
      (rules.*(r.rule)).push_back(v != 0.0F);
    }
  }
  try {
    network.set_rules(rules);
    if (network.config.prior != PriorMask::none) {
      network.set_prior(weights.take(kPriorTensor));
    }
  } catch (const DataError&) {
    throw;
  } catch (const Error& e) {
    throw DataError(weights.path(), 0, e.what());
  }
  weights.finish();
}

std::string_view task_of(const Labeller::Config& c) {
  if (c.tags > 0 && c.classes > 0) return "intent";
  return c.tags > 0 ? "tag" : "classify";
}

}  // namespace

std::string word_as_read(std::string_view word, const WordOptions& options) {
  std::string out = normalise(word, {.lower = options.lowercase});
  if (options.zero_digits) {
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c >= '0' && c <= '9'; }, '0');
  }
  return out;
}

std::int32_t word_shape(std::string_view word) {
  enum : std::int32_t { lower, capital, upper, mixed, digits, number, code, signs, other };
  std::int64_t upper_case = 0, lower_case = 0, numerals = 0, letters = 0, marks = 0;
  bool starts_upper = false;
  for (const CodePoint& c : code_points(word)) {
    const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c.value));
    const bool is_upper = category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
    if (is_upper && upper_case + lower_case + numerals + letters + marks == 0) starts_upper = true;
    upper_case += is_upper;
    lower_case += category == UTF8PROC_CATEGORY_LL;
    letters += category == UTF8PROC_CATEGORY_LO || category == UTF8PROC_CATEGORY_LM;
    numerals += category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL;
    marks += category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_SO;
  }
  const std::int64_t cased = upper_case + lower_case;
  if (numerals > 0) return cased + letters > 0 ? code : marks > 0 ? number : digits;
  if (cased == 0) return letters == 0 && marks > 0 ? signs : other;
  if (upper_case == 0) return lower;
  if (lower_case == 0 && upper_case > 1) return upper;
  return starts_upper && upper_case == 1 ? capital : mixed;
}

bool is_of_head(std::string_view path) {
  return !path.starts_with("bert.") || path.starts_with("bert.pooler.");
}

std::string_view LabellerModel::task() const { return task_of(network.config); }

std::int64_t LabellerModel::room() const {
  const std::int64_t positions = network.config.bert.room();
  return (longest > 0 ? std::min(longest, positions) : positions) - 2;
}

LabelBatch LabellerModel::piece_batch(std::span<const std::vector<std::string>> sentences) const {
  const auto most_pieces = static_cast<std::size_t>(room());
  LabelBatch b;
  std::vector<std::int64_t> lengths, piece_lengths;
  for (const std::vector<std::string>& sentence : sentences) {
    std::vector<std::vector<std::int32_t>> of_words;
    std::size_t most = 1;
    for (const std::string& word : sentence) {
      of_words.push_back(pieces.encode_word(word, of_words.empty()));
      if (of_words.back().empty()) of_words.back() = {pieces.unk()};  // nothing that can be seen
      most = std::max(most, of_words.back().size());
    }
    // A sentence of too many pieces loses the last ones of its longest words.
    const auto total = [&](std::size_t limit) {
      std::size_t sum = 0;
      for (const auto& word : of_words) sum += std::min(word.size(), limit);
      return sum;
    };
    while (most > 1 && total(most) > most_pieces) --most;
    const std::size_t begin = b.pieces.size();
    std::size_t left_out = 0;
    b.pieces.push_back(pieces.cls());
    for (auto& word : of_words) {
      b.first_piece.push_back(static_cast<std::int32_t>(b.pieces.size() - begin));
      left_out += word.size() - std::min(word.size(), most);
      word.resize(std::min(word.size(), most));
      b.pieces.insert(b.pieces.end(), word.begin(), word.end());
    }
    b.pieces.push_back(pieces.sep());
    lengths.push_back(static_cast<std::int64_t>(sentence.size()));
    piece_lengths.push_back(static_cast<std::int64_t>(b.pieces.size() - begin));
    b.left_out.push_back(static_cast<std::int64_t>(left_out));
  }
  b.segments = Segments(lengths);
  b.piece_segments = Segments(piece_lengths);
  return b;
}

LabelBatch LabellerModel::pair_batch(std::span<const std::vector<std::string>> sentences) const {
  const bool segments = network.config.bert.type_vocab_size > 1;
  LabelBatch b;
  std::vector<std::int64_t> lengths, piece_lengths;
  for (const std::vector<std::string>& sentence : sentences) {
    PiecePair pair;
    if (sentence.empty()) {  // a blank line
      pair.ids = {pieces.cls(), pieces.sep()};
      pair.types = {0, 0};
    } else if (sentence.size() == 2) {
      pair = pieces.encode_pair(sentence[0], sentence[1], room() + 2);
      b.first_piece.push_back(static_cast<std::int32_t>(pair.first));
      b.first_piece.push_back(static_cast<std::int32_t>(pair.second));
    } else {
      fail("labeller: {} texts where two are due", sentence.size());
    }
    b.pieces.insert(b.pieces.end(), pair.ids.begin(), pair.ids.end());
    if (segments) b.piece_types.insert(b.piece_types.end(), pair.types.begin(), pair.types.end());
    lengths.push_back(static_cast<std::int64_t>(sentence.size()));
    piece_lengths.push_back(static_cast<std::int64_t>(pair.ids.size()));
    b.left_out.push_back(pair.left_out);
  }
  b.segments = Segments(lengths);
  b.piece_segments = Segments(piece_lengths);
  return b;
}

void LabellerModel::check_cut(WordCut cut) const {
  if (cut != WordCut::pair) return;
  if (network.config.tags > 0) fail("--words pair: two texts a line are for classifiers");
  if (network.config.encoder != LabelEncoder::bert) {
    fail("--words pair: this model's encoder is '{}'; a BERT reads two texts (--init)",
         name_of(network.config.encoder));
  }
}

std::vector<std::string> LabellerModel::cut(std::string_view line, WordCut how) const {
  if (how != WordCut::space || network.config.tags == 0) return cut_words(line, how);
  const std::string repaired = repair_utf8(line);
  const std::vector<std::string_view> parts = split_blanks(repaired);
  return {parts.begin(), parts.end()};
}

LabelBatch LabellerModel::batch(std::span<const std::vector<std::string>> sentences,
                                std::optional<WordCut> cut) const {
  const WordCut how = cut.value_or(word_options.cut);
  check_cut(how);
  if (how == WordCut::pair) return pair_batch(sentences);
  if (network.config.encoder == LabelEncoder::bert) return piece_batch(sentences);
  LabelBatch b;
  std::vector<std::int64_t> lengths, letters;
  for (const std::vector<std::string>& sentence : sentences) {
    lengths.push_back(static_cast<std::int64_t>(sentence.size()));
    for (const std::string& word : sentence) {
      b.words.push_back(words.id(word_as_read(word, word_options)));
      if (network.config.shapes > 0) b.shapes.push_back(word_shape(word));
      if (network.config.characters == 0) continue;
      const std::string repaired = repair_utf8(word);
      const std::vector<std::string_view> parts = qkv::characters(repaired);
      for (const std::string_view part : parts) b.characters.push_back(characters.id(part));
      letters.push_back(static_cast<std::int64_t>(parts.size()));
    }
  }
  b.segments = Segments(lengths);
  b.word_characters = Segments(letters);
  return b;
}

void save_labeller_model(const LabellerModel& model, const std::filesystem::path& directory) {
  std::vector<NamedTensor> tensors = tensors_of(model);
  if (model.adapter) std::erase_if(tensors, [](const auto& t) { return !is_of_head(t.name); });
  DirectoryWriter writer(directory);
  for (const Stored& s : kVocabularies) {
    if (model.network.config.*(s.size) == 0) continue;
    (model.*(s.vocabulary)).save(vocabulary_path(writer.folder(), s.name));
  }
  save_weights(tensors, writer.folder());
  Json config = {{"task", model.task()},
                 {"preset", model.preset},
                 {"words",
                  {{"lowercase", model.word_options.lowercase},
                   {"zero_digits", model.word_options.zero_digits},
                   {"cut", name_of(model.word_options.cut)}}},
                 {"model", config_json(model.network.config)}};
  if (model.network.config.encoder == LabelEncoder::bert) {
    config["bert"] = bert_config_json(model.network.config.bert);
    if (!model.adapter) save_pieces(model.pieces, writer.folder(), config["bert"]);
    if (model.longest > 0) config["bert"][kLongestField] = model.longest;
  }
  if (model.adapter) save_adapter(*model.adapter, lora_entries(model), writer.folder(), config);
  writer.commit(std::move(config));
}

namespace {

/// The BERT that a labeller of these sizes is a change of.
BertModel base_of(const AdapterBase& adapter, const BertConfig& sizes, const std::string& path) {
  BertModel base = load_bert_model(adapter.directory);
  if (bert_config_json(base.network.bert.config) != bert_config_json(sizes)) {
    throw DataError(path, 0,
                    fmt::format("field 'bert': sizes of another model than {}", adapter.directory));
  }
  return base;
}

LabellerModel read_labeller_model(const ModelDirectory& directory, Adapters adapters) {
  if (is_foreign_bert(directory.foreign_config())) return import_bert_labels(directory);
  const Json& config = directory.config();
  const std::string config_path = directory.config_path();
  FieldReader reader(config, config_path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "tag" && task != "classify" && task != "intent") {
    throw DataError(
        config_path, 0,
        fmt::format("is no tagger, classifier or recogniser of intents (task '{}')", task));
  }
  LabellerModel model;
  model.preset = reader.text("preset", "");
  FieldReader words = reader.object("words");
  model.word_options.lowercase = words.boolean("lowercase");
  model.word_options.zero_digits = words.boolean("zero_digits");
  model.word_options.cut = static_cast<WordCut>(words.choice("cut", names_of<WordCut>()));
  words.finish();
  Labeller::Config sizes = config_from<Labeller::Config>(reader.object("model"), config_path);
  std::optional<AdapterBase> adapter;
  BertModel base;  // of an adapter
  if (sizes.encoder == LabelEncoder::bert) {
    (void)reader.object("bert");  // there, and an object
    sizes.bert = bert_config_from(config["bert"], config_path);
    if (reader.has(kAdapterField)) {
      adapter = read_adapter(directory, reader.object(kAdapterField));
      base = base_of(*adapter, sizes.bert, config_path);
    }
    model.pieces = adapter ? std::move(base.pieces)
                           : load_pieces(directory.path(), sizes.bert, model.word_options.lowercase,
                                         config["bert"]);
    FieldReader bert(config["bert"], config_path, "bert.");
    if (bert.has(kLongestField)) {
      model.longest = bert.integer(kLongestField, {.least = 3, .most = std::int64_t{1} << 30});
    }
  }
  reader.finish();
  try {
    model.network.config = sizes;
    model.check_cut(model.word_options.cut);
  } catch (const Error& e) {
    throw DataError(config_path, 0, fmt::format("field 'words.cut': {}", e.what()));
  }
  if (task_of(sizes) != task) {
    throw DataError(config_path, 0,
                    fmt::format("task is '{}', but {} tags and {} classes make '{}'", task,
                                sizes.tags, sizes.classes, task_of(sizes)));
  }
  if (sizes.shapes != 0 && sizes.shapes != kWordShapes) {
    throw DataError(config_path, 0,
                    fmt::format("has {} word shapes, this program knows {}; of another version?",
                                sizes.shapes, kWordShapes));
  }
  for (const Stored& s : kVocabularies) {
    const std::int64_t wanted = sizes.*(s.size);
    if (wanted == 0) continue;
    const std::filesystem::path path = vocabulary_path(directory.path(), s.name);
    model.*(s.vocabulary) = Vocabulary::load(path);
    const std::int64_t size = (model.*(s.vocabulary)).size() - s.specials;
    if (size != wanted) {
      throw DataError(path.string(), 0,
                      fmt::format("has {} {}, the model of {} expects {}; files of two models "
                                  "mixed?",
                                  size, s.name, config_path, wanted));
    }
  }
  WeightsFile weights(directory);
  model.network =
      network_within<Labeller>(directory, weights.path(), weights.numbers() + parameter_count(base),
                               weights.tensors() + std::ssize(named_parameters(base)), sizes);
  if (adapter) take_weights(model, base);
  read_tensors(weights, adapter.has_value(), model.network);
  if (adapter) take_adapter(model, *adapter, directory, adapters);
  return model;
}

}  // namespace

LabellerModel load_labeller_model(const std::filesystem::path& directory, Adapters adapters) {
  return load_whole(
      directory, [adapters](const ModelDirectory& d) { return read_labeller_model(d, adapters); });
}

}  // namespace qkv
