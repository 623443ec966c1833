#include "qkv/systems/import/bert_labels.h"

#include <algorithm>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/quote.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

/// Can stand in a vocabulary and on a line.
bool is_plain(const std::string& name) {
  const Vocabulary specials;
  for (std::int32_t id = 0; id < specials.size(); ++id) {
    if (name == specials.token(id)) return false;
  }
  return !name.empty() && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
}

/// Numbered in the order given.
Vocabulary vocabulary_of(const std::vector<std::string>& names) {
  TokenCounts counts;  // a vocabulary is sorted by them
  for (std::size_t i = 0; i < names.size(); ++i) {
    count_token(counts, names[i], static_cast<std::int64_t>(names.size() - i));
  }
  return Vocabulary(counts);
}

/// What the class's logits mean: as "problem_type" says, else by their number, as there.
ClassAnswer answer_of(const Json& config, const std::string& path, std::int64_t labels) {
  ForeignFields f(config, path);
  f.only("problem_type",
         {"regression", "single_label_classification", "multi_label_classification"});
  const std::string problem = f.text("problem_type").value_or("");
  if (problem == "multi_label_classification") return ClassAnswer::labels;
  if (problem == "regression" && labels > 1) {
    f.refuse("problem_type",
             fmt::format("a regression of {} numbers; this program's give one", labels));
  }
  return labels == 1 ? ClassAnswer::number : ClassAnswer::label;
}

/// Rows of the head's matrix as the file has it, [K C].
std::int64_t count_labels(const BertWeights& weights, const char* own) {
  const auto found = std::find_if(weights.state.begin(), weights.state.end(),
                                  [&](const auto& entry) { return entry.first == own; });
  const std::string name = foreign_bert_name(own, weights.config, weights.head);
  if (found == weights.state.end()) {
    throw DataError(weights.path, 0,
                    fmt::format("has no tensor '{}', the head that 'architectures' of config.json "
                                "names",
                                name));
  }
  if (found->second.shape().rank() != 2) {
    throw DataError(weights.path, 0, fmt::format("tensor '{}' is no matrix", name));
  }
  return found->second.dim(0);
}

/// Dropout before the head in training; null is that of the layers.
double head_dropout(const Json& config, const std::string& path, const BertConfig& sizes) {
  FieldReader r(config, path);
  constexpr NumberRange share = {.least = 0.0, .most = 0.999};
  for (const char* name :
       {"classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout"}) {
    if (config.contains(name) && !config[name].is_null()) return r.number(name, share);
  }
  return sizes.hidden_dropout_prob;
}

}  // namespace

std::optional<BertHead> label_head(const Json& config) {
  const auto found = config.is_object() ? config.find("architectures") : config.end();
  if (!config.is_object() || found == config.end() || !found->is_array() || found->empty() ||
      !found->front().is_string()) {
    return {};
  }
  const std::string name = found->front().get<std::string>();
  if (name.ends_with("ForSequenceClassification")) return BertHead::classes;
  if (name.ends_with("ForTokenClassification")) return BertHead::tags;
  return {};
}

std::vector<std::string> label_names(const Json& config, const std::string& path,
                                     std::int64_t count, std::vector<std::string>& notes) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back("LABEL_" + std::to_string(i));
  ForeignFields f(config, path);
  const Json& given = f["id2label"];
  if (given.is_null()) return names;
  if (!given.is_object()) f.refuse("id2label", "expected an object of numbers and names");
  std::set<std::string> taken;
  std::int64_t fitting = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto found = given.find(std::to_string(i));
    if (found == given.end() || !found->is_string()) continue;
    const std::string name = found->get<std::string>();
    if (!is_plain(name) || !taken.insert(name).second) continue;
    names[static_cast<std::size_t>(i)] = name;
    ++fitting;
  }
  // A default name may be another label's own.
  for (std::string& name : names) {
    while (std::count(names.begin(), names.end(), name) > 1) name += "_";
  }
  if (fitting != count || given.size() != static_cast<std::size_t>(count)) {
    notes.push_back(
        fmt::format("{}: field 'id2label' names {} labels, the weights have {}; {} of "
                    "its names are used",
                    path, given.size(), count, fitting));
  }
  return names;
}

LabellerModel import_bert_labels(const ModelDirectory& directory) {
  const Json& json = directory.foreign_config();
  const std::string config_path = directory.config_path();
  const std::optional<BertHead> head = label_head(json);
  if (!head) {
    throw DataError(config_path, 0,
                    "is a BERT without a head for labels; train one: qkv train tag --init");
  }
  const bool tags = *head == BertHead::tags;
  BertConfig sizes = bert_config_from(json, config_path);
  BertWeights weights = read_bert_weights(directory, sizes, *head);
  const std::int64_t count =
      count_labels(weights, tags ? "tag_output.weight" : "class_output.weight");
  const ClassAnswer answer = tags ? ClassAnswer::label : answer_of(json, config_path, count);
  add_sinusoids(weights, json, sizes);
  BertFiles files = read_foreign_files(directory, sizes, weights);

  LabellerModel model;
  const Vocabulary labels = vocabulary_of(label_names(json, config_path, count, weights.notes));
  (tags ? model.tags : model.classes) = labels;
  const bool spaces_matter = files.pieces.word_piece() == nullptr;
  model.word_options.cut = !tags ? WordCut::text : spaces_matter ? WordCut::space : WordCut::word;
  model.word_options.lowercase = files.pieces.lower();
  model.pieces = std::move(files.pieces);
  model.longest = files.longest;
  Labeller::Config c;
  c.encoder = LabelEncoder::bert;
  c.bert = sizes;
  c.width = sizes.hidden_size;
  c.tags = tags ? count : 0;
  c.classes = tags ? 0 : count;
  c.answer = answer;
  c.crf = false;
  c.pooling = Pooling::token;
  c.dropout = head_dropout(json, config_path, sizes);
  model.network = network_within<Labeller>(directory, weights.path, weights.numbers,
                                           static_cast<std::int64_t>(weights.state.size()), c);
  const StateEntries entries = bert_entries(model.network);
  drop_unused(weights, entries);
  model.notes = weights.notes;
  take_bert_weights(model.network, entries, std::move(weights));
  return model;
}

}  // namespace qkv
