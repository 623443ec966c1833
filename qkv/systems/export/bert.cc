// BERT and its relatives under the names that their own classes give them (import/bert_names.h).
#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/export/parts.h"
#include "qkv/systems/import/bert_config.h"
#include "qkv/systems/import/bert_names.h"

namespace qkv {
namespace {

std::string_view class_of(const BertConfig& sizes, const Bert::Parts& parts) {
  if (parts.next && sizes.family != BertFamily::bert) {
    fail("export: of the family '{}' no class has a head for the next sentence",
         name_of(sizes.family));
  }
  if (parts.next) return parts.words ? "ForPreTraining" : "ForNextSentencePrediction";
  return parts.words ? "ForMaskedLM" : "Model";
}

/// Whether what the class makes and what the model has of a pooler are the same; a note if not.
void compare_poolers(const BertConfig& sizes, const Bert::Parts& parts, Exported& done) {
  if (sizes.family == BertFamily::distilbert) return;
  const bool wanted = parts.next || !parts.words;
  if (wanted && !parts.pooler) {
    done.notes.push_back(fmt::format(
        "the model has no pooler: {} begins a fresh one and says so; it changes no other number",
        done.form));
  }
  if (!wanted && parts.pooler) {
    done.notes.push_back(fmt::format("{} has no pooler: that of the model is left out", done.form));
  }
}

}  // namespace

void require_same_bert(const BertConfig& config, const Json& written) {
  const Json here = config_json(config);
  const Json there = config_json(bert_config_from(written, kConfigFile));
  for (const auto& [name, value] : here.items()) {
    if (there[name] == value) continue;
    fail("export: {} {} is in no class of the family '{}', which has {}", name, value.dump(),
         name_of(config.family), there[name].dump());
  }
}

Exported export_bert(const BertModel& model, const std::filesystem::path& folder) {
  const BertConfig& sizes = model.network.bert.config;
  const Bert::Parts parts = model.network.parts();
  Exported done;
  done.form = std::string(bert_class_prefix(sizes.family)).append(class_of(sizes, parts));
  compare_poolers(sizes, parts, done);
  StateDict state = bert_state(model.network);
  if (parts.words && !parts.next) {
    std::erase_if(state, [](const auto& e) { return e.first.starts_with("bert.pooler."); });
  }
  const bool bare = done.form.ends_with("Model");  // then names have no "bert." before them
  for (auto& [name, tensor] : state) {
    name = foreign_bert_name(name, sizes, BertHead::words);
    if (bare) name.erase(0, name.find('.') + 1);
  }
  save_foreign_weights(state, folder);
  Json config = bert_config_json(sizes);
  set_class(config, done.form);
  if (!config.contains("pad_token_id")) config["pad_token_id"] = std::max(0, model.pieces.pad());
  require_same_bert(sizes, config);
  write_json(folder / kConfigFile, config);
  save_bert_pieces(model.pieces, sizes.family, model.room(), folder);
  save_sentence_files(model, folder, done.notes);
  return done;
}

}  // namespace qkv
