// Taggers and classifiers over a BERT as …ForTokenClassification and …ForSequenceClassification.
#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/data/tag_scheme.h"
#include "qkv/io/directory.h"
#include "qkv/systems/export/parts.h"
#include "qkv/systems/import/bert_config.h"
#include "qkv/systems/import/bert_names.h"

namespace qkv {
namespace {

/// Names of IOBES that IOB2 has not: pipelines there would not know them for parts of spans.
bool is_iobes(const std::string& tag) {
  return is_span_tag(tag) && (tag.front() == 'E' || tag.front() == 'S');
}

void check_tagger(const LabellerModel& m, const ExportOptions& options,
                  std::vector<std::string>& notes) {
  if (m.network.config.crf) {
    fail(
        "export: a CRF judges the tags of a sentence together, which no class of transformers "
        "does; train with --crf false");
  }
  for (std::int32_t i = 0; i < label_count(m.tags); ++i) {
    if (!is_iobes(label_name(m.tags, i))) continue;
    fail(
        "export: tag '{}' is of the scheme IOBES, and transformers reads IOB2; train with "
        "--scheme iob2",
        label_name(m.tags, i));
  }
  if (m.network.rules.empty()) return;
  if (!options.drop_rules) {
    fail(
        "export: rules which tag may follow which keep these tags legal, and no class of "
        "transformers has them; --drop-rules writes the network without");
  }
  notes.emplace_back("the rules which tag may follow which are left out: tags may differ");
}

void check_classifier(const LabellerModel& m) {
  const Labeller::Config& c = m.network.config;
  if (c.pooling != Pooling::token) {
    fail(
        "export: a sentence becomes a vector by {} of its words, and transformers' classes take "
        "the pooler's; train with --pooling token",
        name_of(c.pooling));
  }
  if (c.classes == 1 && c.answer != ClassAnswer::number) {
    fail("export: one label alone is a regression to transformers");
  }
}

void check(const LabellerModel& m, const ExportOptions& options, std::vector<std::string>& notes) {
  const Labeller::Config& c = m.network.config;
  if (c.encoder != LabelEncoder::bert) {
    fail("export: no class of transformers labels text by '{}'; train over a BERT (--init)",
         name_of(c.encoder));
  }
  if (c.tags > 0 && c.classes > 0) {
    fail("export: no class of transformers has a head for intents and one for slots");
  }
  c.tags > 0 ? check_tagger(m, options, notes) : check_classifier(m);
}

Json label_fields(const Vocabulary& labels) {
  Json names = Json::object(), ids = Json::object();
  for (std::int32_t i = 0; i < label_count(labels); ++i) {
    names[std::to_string(i)] = label_name(labels, i);
    ids[label_name(labels, i)] = i;
  }
  return {{"id2label", std::move(names)}, {"label2id", std::move(ids)}};
}

const char* problem_type(ClassAnswer answer) {
  switch (answer) {
    case ClassAnswer::labels:
      return "multi_label_classification";
    case ClassAnswer::number:
      return "regression";
    case ClassAnswer::label:
      break;
  }
  return "single_label_classification";
}

const char* dropout_field(BertFamily family) {
  if (family == BertFamily::distilbert) return "seq_classif_dropout";
  return family == BertFamily::albert ? "classifier_dropout_prob" : "classifier_dropout";
}

}  // namespace

Exported export_labeller(const LabellerModel& m, const std::filesystem::path& folder,
                         const ExportOptions& options) {
  Exported done;
  check(m, options, done.notes);
  const Labeller::Config& c = m.network.config;
  const bool tags = c.tags > 0;
  const BertHead head = tags ? BertHead::tags : BertHead::classes;
  done.form = std::string(bert_class_prefix(c.bert.family)) +
              (tags ? "ForTokenClassification" : "ForSequenceClassification");
  StateDict state = read_state(bert_entries(m.network));
  for (auto& [name, tensor] : state) name = foreign_bert_name(name, c.bert, head);
  save_foreign_weights(state, folder);
  Json config = bert_config_json(c.bert);
  set_class(config, done.form);
  config.update(label_fields(tags ? m.tags : m.classes));
  config[dropout_field(c.bert.family)] = c.dropout;
  if (!tags) config["problem_type"] = problem_type(c.answer);
  if (!config.contains("pad_token_id")) config["pad_token_id"] = std::max(0, m.pieces.pad());
  require_same_bert(c.bert, config);
  write_json(folder / kConfigFile, config);
  save_bert_pieces(m.pieces, c.bert.family, m.room() + 2, folder);
  const WordCut cut = m.word_options.cut;
  if (cut == WordCut::pair) {
    done.notes.emplace_back("its texts are pairs: give the tokeniser both");
  } else if (tags || (cut != WordCut::text && cut != WordCut::space)) {
    done.notes.push_back(fmt::format(
        "text was cut into words by '{}'{}", name_of(cut),
        tags ? ": give words (is_split_into_words), a word's tag is that of its first piece"
             : ", which a tokeniser of transformers does in its own way"));
  }
  return done;
}

}  // namespace qkv
