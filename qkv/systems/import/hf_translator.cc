#include "qkv/systems/import/hf_translator.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/systems/translation_tokens.h"

namespace qkv {
namespace {

/// Rows of the vocabulary that no token has go; a token without a row is an error.
void fit(const char* side, const Tokeniser& tokeniser, std::int64_t& rows,
         const ForeignTables& tables, const std::string& config_path, ForeignTranslator& s) {
  if (tokeniser.size() > rows) {
    throw DataError(config_path, 0,
                    fmt::format("the {} vocabulary has {} tokens, the model expects {}; files of "
                                "two models mixed?",
                                side, tokeniser.size(), rows));
  }
  if (tokeniser.size() == rows) return;
  s.notes.push_back(
      fmt::format("{}: {} rows of the {} vocabulary belong to no token and are left "
                  "out",
                  tables.path, rows - tokeniser.size(), side));
  rows = tokeniser.size();
}

}  // namespace

TranslationModel read_hf_translator(const ModelDirectory& directory) {
  ForeignTranslator settings = read_translator_config(directory);
  ForeignTables tables = read_translator_tables(directory, settings);
  TranslationModel model;
  model.preset = settings.marian ? "Marian" : "M2M100";
  read_translator_tokenisers(directory, tables.without_pad, settings, model);
  const std::string config_path = directory.config_path();
  fit("source", model.source, settings.network.source_vocabulary, tables, config_path, settings);
  fit("target", model.target, settings.network.target_vocabulary, tables, config_path, settings);
  check_tokens(settings.tokens, model, config_path);
  model.network = translator_network(directory, std::move(tables), settings);
  model.special = std::move(settings.tokens);
  model.defaults = settings.defaults;
  model.notes = std::move(settings.notes);
  return model;
}

}  // namespace qkv
