#include <algorithm>
#include <map>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/import/hf_translator.h"
#include "qkv/text/sentence_piece.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using Ids = std::map<std::string, std::int32_t>;

constexpr std::int64_t kMostIds = 1 << 24;

bool there(const fs::path& path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
}

std::string piece_of(const Json& token) {
  const Json& text = token.is_object() && token.contains("content") ? token["content"] : token;
  return text.is_string() ? text.get<std::string>() : std::string();
}

/// {piece: number}
Ids read_ids(const fs::path& path) {
  const Json json = read_json(path);
  if (!json.is_object()) throw DataError(path.string(), 0, "expected an object of pieces");
  Ids ids;
  for (const auto& [piece, id] : json.items()) {
    if (!id.is_number_unsigned() || id >= kMostIds) {
      throw DataError(path.string(), 0,
                      fmt::format("piece '{}' has no number below {}", piece, kMostIds));
    }
    ids[piece] = id.get<std::int32_t>();
  }
  return ids;
}

/// Names of special tokens of tokenizer_config.json and special_tokens_map.json.
struct Named {
  std::string unk = "<unk>", eos = "</s>", pad = "<pad>";
  std::vector<std::string> more;  // languages
  std::string source, target;     // languages
  bool separate = false;
};

void read_names(const fs::path& path, Named& n, std::vector<std::string>& notes) {
  if (!there(path)) return;
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  for (const auto& [name, text] : {std::pair{"unk_token", &n.unk}, std::pair{"eos_token", &n.eos},
                                   std::pair{"pad_token", &n.pad}}) {
    if (f.has(name)) *text = piece_of(f[name]);
  }
  const Json& more = f["additional_special_tokens"];
  if (more.is_array() && n.more.empty()) {
    for (const Json& token : more) n.more.push_back(piece_of(token));
  }
  if (const auto text = f.text("source_lang")) n.source = *text;
  if (const auto text = f.text("target_lang")) n.target = *text;
  if (const auto text = f.text("src_lang")) n.source = *text;
  if (const auto text = f.text("tgt_lang")) n.target = *text;
  n.separate = f.boolean("separate_vocabs").value_or(n.separate);
  f.only("split_special_tokens", {false});
  const Json& settings = f["sp_model_kwargs"];
  if (!settings.is_null() && !settings.empty()) {
    f.refuse("sp_model_kwargs", "this program knows the model's own settings only");
  }
  f.harmless({"tokenizer_class",
              "model_max_length",
              "max_len",
              "bos_token",
              "cls_token",
              "sep_token",
              "mask_token",
              "clean_up_tokenization_spaces",
              "name_or_path",
              "special_tokens_map_file",
              "added_tokens_decoder",
              "tokenizer_file",
              "return_tensors",
              "language_codes",
              "num_madeup_words",
              "use_fast",
              "legacy_behaviour",
              "processor_class",
              "extra_special_tokens",
              "backend",
              "is_local",
              "padding_side",
              "truncation_side",
              "model_input_names",
              "vocab_file",
              "spm_file"});
  f.note_unknown(notes);
}

/// Numbers of the tokens beside the vocabulary: said, or one after the other behind it.
Ids added_ids(const ModelDirectory& directory, const Named& named, const Ids& vocabulary) {
  Ids ids;
  if (const fs::path path = directory.file("added_tokens.json"); there(path)) return read_ids(path);
  auto next = static_cast<std::int32_t>(vocabulary.size());
  for (const std::string& token : named.more) {
    if (!token.empty() && !vocabulary.contains(token)) ids[token] = next++;
  }
  return ids;
}

SentencePieceParts parts_of(const fs::path& model, Ids ids, const Ids& added, const Named& named,
                            bool languages) {
  SentencePieceParts parts{.model = read_file(model),
                           .ids = std::move(ids),
                           .unk_token = named.unk,
                           .languages = languages};
  for (const std::string& token : {named.unk, named.eos, named.pad}) {
    const auto found = parts.ids.find(token);
    if (found != parts.ids.end()) parts.special.insert(*found);
  }
  for (const auto& [token, id] : added) parts.special[token] = id;
  return parts;
}

TokenPipeline with_roles(const TokenPipeline& pipeline, const ForeignTranslator& s,
                         const Named& named) {
  TokenRoles roles;
  roles.unk = pipeline.id(named.unk);
  roles.pad = pipeline.id(named.pad);
  roles.eos = s.tokens.end < pipeline.size() ? s.tokens.end : -1;
  return pipeline.with_roles(roles);
}

void set_languages(const Named& named, const TokenPipeline& source, ForeignTranslator& s) {
  TranslationTokens& t = s.tokens;
  if (s.marian) {
    t.language = ">>{}<<";
    t.target_language = TranslationTokens::Place::source;
    return;
  }
  t.source_language = true;
  // "__fr__" of M2M100; NLLB's are the codes themselves, "fra_Latn".
  const auto spelled = [](const std::string& token) {
    return token.starts_with("__") && token.ends_with("__");
  };
  const bool marked = std::ranges::any_of(named.more, spelled) || source.id("__en__") >= 0;
  t.language = marked ? "__{}__" : "{}";
  for (const auto& [language, field] : {std::pair{&named.source, &s.defaults.source_language},
                                        std::pair{&named.target, &s.defaults.target_language}}) {
    std::string token = t.language;
    if (!language->empty()) token.replace(token.find("{}"), 2, *language);
    if (!language->empty() && source.id(token) >= 0) *field = *language;
  }
  if (!s.defaults.target_language.empty()) t.target_begin.clear();  // the same, said twice
}

}  // namespace

void read_translator_tokenisers(const ModelDirectory& directory, bool without_pad,
                                ForeignTranslator& s, TranslationModel& model) {
  Named named;
  read_names(directory.file("tokenizer_config.json"), named, s.notes);
  read_names(directory.file("special_tokens_map.json"), named, s.notes);
  // Each vocabulary has a pad token of its own; the configuration's number is the target's.
  const auto drop_pad = [&](Ids& ids, bool target) {
    if (!without_pad) return;
    std::erase_if(
        ids, [&](const auto& e) { return e.first == named.pad || (target && e.second == s.pad); });
  };
  std::optional<TokenPipeline> source, target;
  const fs::path whole = directory.file("tokenizer.json");
  if (const fs::path vocabulary = directory.file("vocab.json"); there(vocabulary)) {
    Ids ids = read_ids(vocabulary);
    const Ids added = added_ids(directory, named, ids);
    const bool own = s.marian && there(directory.file("target_vocab.json"));
    Ids target_ids = own ? read_ids(directory.file("target_vocab.json")) : ids;
    drop_pad(ids, !own);
    drop_pad(target_ids, true);
    Ids beside = added;
    drop_pad(beside, !own);
    const fs::path from = directory.file(s.marian ? "source.spm" : "sentencepiece.bpe.model");
    const fs::path to = s.marian ? directory.file("target.spm") : from;
    source = sentence_piece_pipeline(parts_of(from, ids, beside, named, s.marian), from.string());
    target = s.marian ? sentence_piece_pipeline(parts_of(to, target_ids, beside, named, true),
                                                to.string())
                      : source;
  } else if (there(whole)) {
    source = target = TokenPipeline::from_json(read_file(whole), whole.string());
  } else {
    throw FileError(
        fmt::format("{}: has no vocab.json with its .spm files, and no tokenizer.json: "
                    "text cannot become tokens",
                    directory.path().string()));
  }
  set_languages(named, *source, s);
  model.joint = !s.marian && s.network.share_embeddings;
  model.source = Tokeniser(with_roles(*source, s, named));
  model.target = Tokeniser(with_roles(*target, s, named));
}

}  // namespace qkv
