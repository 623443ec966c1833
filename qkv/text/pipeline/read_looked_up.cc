// Tokenisers whose pieces are looked up in another vocabulary.
#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/pipeline/directory_files.h"
#include "qkv/text/sentence_piece.h"

namespace qkv::pipeline {
namespace {

using Path = std::filesystem::path;
using Json = nlohmann::json;

/// The vocabulary of a side: Marian's may have one for each.
Path vocabulary_of(const Path& directory, TextSide side, const Notes& notes) {
  const Path other = directory / "target_vocab.json";
  const bool own = notes.flag("separate_vocabs", std::filesystem::exists(other));
  return side == TextSide::target && own ? other : directory / "vocab.json";
}

/// Languages of M2M100 that no file gives a number follow the vocabulary one after the other.
PieceIds with_languages(const PieceIds& ids, const Notes& notes) {
  PieceIds all = ids;
  auto next = static_cast<std::int32_t>(ids.size());
  for (const std::string& token : notes.more_tokens()) {
    if (!token.empty() && all.emplace(token, next).second) ++next;
  }
  return all;
}

}  // namespace

Parts read_looked_up(const Path& directory, TextSide side, const Notes& notes) {
  refuse_settings(notes);
  const std::string kind = notes.kind();
  const bool marian =
      kind != "M2M100" && kind != "m2m_100" && std::filesystem::exists(directory / "source.spm");
  const Path model = directory / (!marian                    ? "sentencepiece.bpe.model"
                                  : side == TextSide::target ? "target.spm"
                                                             : "source.spm");
  const Path path = marian ? vocabulary_of(directory, side, notes) : directory / "vocab.json";
  const PieceIds ids = read_vocabulary_file(path);
  const Defaults defaults = {
      {"pad_token", named("<pad>")}, {"unk_token", named("<unk>")}, {"eos_token", named("</s>")}};
  const auto token = [&](const char* role) { return notes.token(role, defaults.at(role).content); };
  const std::string unk = token("unk_token"), eos = token("eos_token");
  (void)required(ids, unk, path);
  (void)required(ids, eos, path);
  Json json = sentence_piece_json({.model = read_file(model),
                                   .ids = {ids.begin(), ids.end()},
                                   .unk_token = unk,
                                   .end_token = eos,
                                   .languages = marian});
  json["decoder"]["special"] = {token("pad_token"), unk, eos};
  return finish(std::move(json), marian ? ids : with_languages(ids, notes), notes, defaults, path);
}

}  // namespace qkv::pipeline
