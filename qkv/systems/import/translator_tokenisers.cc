#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/import/hf_translator.h"
#include "qkv/text/sentence_piece.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// What tokenizer_config.json and special_tokens_map.json say beside what the tokeniser is.
struct Languages {
  std::vector<std::string> tokens;
  std::string source, target;
};

void read_languages(const fs::path& path, Languages& l, std::vector<std::string>& notes) {
  if (!is_file(path)) return;
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  const Json& more = f["additional_special_tokens"];
  if (more.is_array() && l.tokens.empty()) {
    for (const Json& token : more) {
      if (token.is_string()) l.tokens.push_back(token.get<std::string>());
    }
  }
  for (const auto& [name, language] :
       {std::pair{"source_lang", &l.source}, std::pair{"target_lang", &l.target},
        std::pair{"src_lang", &l.source}, std::pair{"tgt_lang", &l.target}}) {
    if (const auto text = f.text(name)) *language = *text;
  }
  f.only("split_special_tokens", {false});
  // The first line is read with the tokeniser (read_token_pipeline).
  f.harmless({"unk_token",
              "eos_token",
              "pad_token",
              "separate_vocabs",
              "sp_model_kwargs",
              "tokenizer_class",
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
              "local_files_only",
              "padding_side",
              "truncation_side",
              "model_input_names",
              "vocab_file",
              "spm_file"});
  f.note_unknown(notes);
}

/// The tokeniser of a side; without pad where the network has no row for it.
TokenPipeline pipeline_of(const ModelDirectory& directory, TextSide side, bool without_pad,
                          const ForeignTranslator& s) {
  TokenPipeline pipeline = read_token_pipeline(directory.path(), side);
  TokenRoles roles = pipeline.roles();
  if (roles.unk < 0) roles.unk = pipeline.id("<unk>");  // where no file names it
  if (roles.pad < 0) roles.pad = pipeline.id("<pad>");
  // Each vocabulary has a pad token of its own; the configuration's number is the target's.
  const bool own =
      s.marian && side == TextSide::source && is_file(directory.file("target_vocab.json"));
  const std::int32_t pad = own ? roles.pad : static_cast<std::int32_t>(s.pad);
  if (without_pad && pipeline.has(pad)) {
    if (!is_file(directory.file("source.spm")) && !is_file(directory.file("tokenizer.json"))) {
      throw DataError(directory.path().string(), 0,
                      "has a tokeniser that is none of Marian's: there is no source.spm");
    }
    pipeline = without_token(pipeline, pad, directory.path().string());
    if (roles.pad == pad) roles.pad = -1;
  }
  roles.eos = s.tokens.end < pipeline.size() ? s.tokens.end : -1;
  return pipeline.with_roles(roles);
}

void set_languages(const Languages& said, const TokenPipeline& source, ForeignTranslator& s) {
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
  const bool marked = std::ranges::any_of(said.tokens, spelled) || source.id("__en__") >= 0;
  t.language = marked ? "__{}__" : "{}";
  for (const auto& [language, field] : {std::pair{&said.source, &s.defaults.source_language},
                                        std::pair{&said.target, &s.defaults.target_language}}) {
    std::string token = t.language;
    if (!language->empty()) token.replace(token.find("{}"), 2, *language);
    if (!language->empty() && source.id(token) >= 0) *field = *language;
  }
  if (!s.defaults.target_language.empty()) t.target_begin.clear();  // the same, said twice
}

}  // namespace

void read_translator_tokenisers(const ModelDirectory& directory, bool without_pad,
                                ForeignTranslator& s, TranslationModel& model) {
  Languages languages;
  read_languages(directory.file("tokenizer_config.json"), languages, s.notes);
  read_languages(directory.file("special_tokens_map.json"), languages, s.notes);
  const TokenPipeline source = pipeline_of(directory, TextSide::source, without_pad, s);
  set_languages(languages, source, s);
  model.joint = !s.marian && s.network.share_embeddings;
  model.source = Tokeniser(source);
  model.target =
      s.marian ? Tokeniser(pipeline_of(directory, TextSide::target, without_pad, s)) : model.source;
}

}  // namespace qkv
