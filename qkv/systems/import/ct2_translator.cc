#include "qkv/systems/import/ct2_translator.h"

#include <algorithm>
#include <map>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/translation_tokens.h"
#include "qkv/text/sentence_piece.h"

namespace qkv {
namespace {

constexpr const char* kModelFile = "model.bin";
constexpr const char* kFairseqPieces = "sentencepiece.bpe.model";  // as transformers calls them

/// config.json, with the defaults of what it leaves out.
struct Settings {
  std::string unk = "<unk>", bos = "<s>", eos = "</s>", start = "<s>";
  bool source_bos = false, source_eos = false;
  double norm_eps = 1e-5;
};

Settings read_settings(const ModelFiles& files, std::vector<std::string>& notes) {
  Settings s;
  if (!files.has(kConfigFile)) return s;
  const Json json = read_json(files, kConfigFile);
  ForeignFields f(json, files.path(kConfigFile));
  for (const auto& [name, text] : {std::pair{"unk_token", &s.unk}, std::pair{"bos_token", &s.bos},
                                   std::pair{"eos_token", &s.eos}}) {
    if (const auto said = f.text(name)) *text = *said;
  }
  s.start = s.bos;
  if (const auto start = f.text("decoder_start_token")) {
    s.start = *start;
  } else if (json.contains("decoder_start_token")) {
    notes.push_back(
        fmt::format("{}: names no token that targets start with; taken is {}", f.file(), s.start));
  }
  s.source_bos = f.boolean("add_source_bos").value_or(false);
  s.source_eos = f.boolean("add_source_eos").value_or(false);
  if (const auto eps = f.number("layer_norm_epsilon")) {
    if (!(*eps > 0 && *eps < 1)) f.refuse("layer_norm_epsilon", "expected a small positive number");
    s.norm_eps = *eps;
  }
  f.only("multi_query_attention", {false});
  f.only("quantization_type", {0});
  f.note_unknown(notes);
  return s;
}

/// A token a line, or a list of them.
std::vector<std::string> read_tokens(const ModelFiles& files, const std::string& name) {
  std::vector<std::string> tokens;
  if (name.ends_with(".json")) {
    const Json json = read_json(files, name);
    if (!json.is_array()) throw DataError(files.path(name), 0, "expected a list of tokens");
    for (const Json& token : json) {
      if (!token.is_string()) throw DataError(files.path(name), 0, "expected a list of tokens");
      tokens.push_back(token.get<std::string>());
    }
    return tokens;
  }
  const std::string text = files.read(name);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = std::string_view(text).substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    tokens.emplace_back(line);
    at = end + 1;
  }
  return tokens;
}

std::vector<std::string> find_tokens(const ModelFiles& files, const char* side) {
  for (const char* end : {"json", "txt"}) {
    for (const char* who : {side, "shared"}) {
      const std::string name = fmt::format("{}_vocabulary.{}", who, end);
      if (files.has(name)) return read_tokens(files, name);
    }
  }
  throw FileError(fmt::format("{}: has no {}_vocabulary or shared_vocabulary, .txt or .json",
                              files.path(), side));
}

/// The tokens of a table of `rows`; the unknown one is the last where the list leaves it out.
TokenPipeline pipeline_of(std::vector<std::string> tokens, std::int64_t rows, const Settings& s,
                          const std::optional<std::string>& model, const std::string& path) {
  if (std::ranges::find(tokens, s.unk) == tokens.end()) tokens.push_back(s.unk);
  if (static_cast<std::int64_t>(tokens.size()) != rows) {
    throw DataError(
        path, 0,
        fmt::format("has {} tokens with the unknown one, the model expects {}; files of "
                    "two models mixed?",
                    tokens.size(), rows));
  }
  if (!model) return token_list_pipeline(tokens, s.unk, path);
  SentencePieceParts parts{.model = *model, .unk_token = s.unk, .own_spaces = true};
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    parts.ids.emplace(tokens[i], static_cast<std::int32_t>(i));  // the first, when there are two
  }
  return sentence_piece_pipeline(parts, path);
}

Tokeniser tokeniser_of(const TokenPipeline& pipeline, const Settings& s) {
  TokenRoles roles;
  roles.unk = pipeline.id(s.unk);
  roles.bos = pipeline.id(s.bos);
  roles.eos = pipeline.id(s.eos);
  return Tokeniser(pipeline.with_roles(roles));
}

std::int32_t need(const Tokeniser& tokeniser, const std::string& token, const std::string& path) {
  const std::int32_t id = tokeniser.pipeline()->id(token);
  if (id < 0) throw DataError(path, 0, fmt::format("has no token '{}'", token));
  return id;
}

Ct2Pieces beside(const ModelFiles& files) {
  Ct2Pieces pieces;
  for (const auto& [from, to] : {std::pair{"source.spm", "target.spm"},
                                 std::pair{"sentencepiece.model", "sentencepiece.model"},
                                 std::pair{kFairseqPieces, kFairseqPieces}}) {
    if (!files.has(from) || !files.has(to)) continue;
    pieces.source_model = files.read(from);
    pieces.target_model = files.read(to);
    pieces.source_end = std::string_view(from) == kFairseqPieces;
    return pieces;
  }
  return pieces;
}

TranslateOptions defaults_of() {
  TranslateOptions o;
  o.beam = 2;
  o.max_length = 256;
  o.max_factor = 1e6;
  o.at_limit = LimitRule::cut;
  return o;
}

}  // namespace

bool is_ct2_translator(const ModelFiles& files) {
  if (!files.has(kModelFile)) return false;
  return files.has("shared_vocabulary.txt") || files.has("shared_vocabulary.json") ||
         files.has("source_vocabulary.txt") || files.has("source_vocabulary.json");
}

TranslationModel read_ct2_translator(const ModelFiles& files, const Ct2Pieces& given) {
  TranslationModel model;
  model.preset = "CTranslate2";
  const Settings s = read_settings(files, model.notes);
  FileBytes weights = files.bytes(kModelFile);
  const Ct2File file(weights.bytes, std::move(weights.owner), files.path(kModelFile));
  Transformer network = ct2_network(file, s.norm_eps, model.notes);
  const Ct2Pieces pieces = given.source_model ? given : beside(files);
  const std::string path = files.path();
  model.source =
      tokeniser_of(pipeline_of(find_tokens(files, "source"), network.config.source_vocabulary, s,
                               pieces.source_model, path),
                   s);
  model.target =
      tokeniser_of(pipeline_of(find_tokens(files, "target"), network.config.target_vocabulary, s,
                               pieces.target_model, path),
                   s);
  TranslationTokens t;
  t.start = need(model.target, s.start, path);
  t.end = need(model.target, s.eos, path);
  if (s.source_eos || pieces.source_end) t.source_end = need(model.source, s.eos, path);
  if (s.source_bos) t.source_begin = {need(model.source, s.bos, path)};
  for (const auto& [english, language] :
       {std::pair{"__en__", "__{}__"}, std::pair{"eng_Latn", "{}"}}) {
    if (model.target.pipeline()->id(english) < 0) continue;
    t.language = language;
    t.source_language = true;
  }
  model.special = std::move(t);
  model.defaults = defaults_of();
  model.network = std::move(network);
  return model;
}

}  // namespace qkv
