#include "qkv/systems/import/marian_npz.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/systems/translation_tokens.h"

namespace qkv {
namespace {

void fit(const Tokeniser& tokeniser, std::int64_t rows, const std::string& path) {
  if (tokeniser.size() == rows) return;
  throw DataError(path, 0,
                  fmt::format("has {} tokens, the model expects {}; files of two models mixed?",
                              tokeniser.size(), rows));
}

bool has_languages(const Tokeniser& tokeniser) {
  for (std::int32_t id = 0; id < tokeniser.size(); ++id) {
    const std::string& piece = tokeniser.piece(id);
    if (piece.size() > 4 && piece.starts_with(">>") && piece.ends_with("<<")) return true;
  }
  return false;
}

}  // namespace

TranslationModel read_marian_npz(const ModelFiles& files) {
  TranslationModel model;
  model.preset = "Marian";
  MarianFiles found = find_marian_files(files, model.notes);
  FileBytes bytes = files.bytes(found.model);
  const Archive archive(bytes.bytes, std::move(bytes.owner), files.path(found.model));
  Transformer network = marian_network(MarianWeights::read(archive), found.defaults, model.notes);
  model.source = marian_tokeniser(files, found.source, "source");
  model.target = marian_tokeniser(files, found.target, "target");
  fit(model.source, network.config.source_vocabulary, files.path(found.source));
  fit(model.target, network.config.target_vocabulary, files.path(found.target));
  TranslationTokens t;
  t.start = t.end = model.target.eos();  // which one does not matter: it starts with zeros
  t.source_end = model.source.eos();
  if (!found.unknown) t.never = {model.target.unk()};
  if (has_languages(model.source)) {
    t.language = ">>{}<<";
    t.target_language = TranslationTokens::Place::source;
  }
  check_tokens(t, model, files.path(found.model));
  model.special = std::move(t);
  model.defaults = std::move(found.defaults);
  model.network = std::move(network);
  return model;
}

}  // namespace qkv
