// What lies beside Marian's weights: decoder.yml, and vocabularies.
#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/flat_yaml.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/import/marian_npz.h"
#include "qkv/text/sentence_piece.h"
#include "qkv/text/subword.h"

namespace qkv {
namespace {

using Ids = std::map<std::string, std::int32_t>;

constexpr const char* kDecoder = "decoder.yml";
constexpr const char *kEnd = "</s>", *kUnknown = "<unk>";
constexpr std::uint64_t kMostIds = 1 << 24;

/// Names of the directory with one of these endings, but none of these.
std::vector<std::string> names_ending(const ModelFiles& files,
                                      std::initializer_list<std::string_view> endings,
                                      std::string_view but) {
  std::vector<std::string> found;
  for (const std::string& name : files.names()) {
    const bool ends =
        std::ranges::any_of(endings, [&](std::string_view end) { return name.ends_with(end); });
    if (ends && !name.ends_with(but)) found.push_back(name);
  }
  return found;
}

std::vector<std::string> models_in(const ModelFiles& files) {
  return names_ending(files, {".npz"}, ".optimizer.npz");
}

/// The only one of some files, or an error that says what to do.
std::string only(const ModelFiles& files, const std::vector<std::string>& names, const char* what) {
  if (names.size() == 1) return names.front();
  throw FileError(fmt::format("{}: has {} {} and no {} that names one{}{}", files.path(),
                              names.empty() ? "no" : "several", what, kDecoder,
                              names.empty() ? "" : ": ", listed(names)));
}

/// A list of files, which lie in the same directory wherever they lay once.
std::vector<std::string> files_of(ForeignFields& f, const char* field, const ModelFiles& files) {
  std::vector<std::string> names;
  const Json& list = f[field];
  if (!list.is_null() && !list.is_array()) f.refuse(field, "expected a list of files");
  for (const Json& entry : list) {
    if (!entry.is_string()) f.refuse(field, "expected a list of files");
    const std::string path = entry.get<std::string>();
    const std::string name = path.substr(path.find_last_of('/') + 1);
    if (name.empty() || !files.has(name)) {
      f.refuse(field, fmt::format("there is no '{}' in {}", name, files.path()));
    }
    names.push_back(name);
  }
  return names;
}

void read_search(ForeignFields& f, MarianFiles& m) {
  TranslateOptions& o = m.defaults;
  const double beam = f.number("beam-size").value_or(12);
  if (!(beam >= 1 && beam <= 1024)) f.refuse("beam-size", "expected a whole number from 1 to 1024");
  o.beam = static_cast<int>(beam);
  o.length_penalty = f.number("normalize").value_or(0);
  o.max_factor = f.number("max-length-factor").value_or(3);
  if (!(o.max_factor >= 0)) f.refuse("max-length-factor", "expected a number above 0");
  m.unknown = f.boolean("allow-unk").value_or(false);
  f.only("word-penalty", {0, 0.0});
  f.only("n-best", {false});
  f.only("output-sampling", {false, Json::array()});
  f.only("shortlist", {Json::array()});
  f.only("right-left", {false});
  f.harmless({"models",
              "vocabs",
              "weights",
              "mini-batch",
              "mini-batch-words",
              "maxi-batch",
              "maxi-batch-sort",
              "relative-paths",
              "cpu-threads",
              "num-devices",
              "devices",
              "workspace",
              "quiet",
              "quiet-translation",
              "log",
              "log-level",
              "seed",
              "alignment",
              "word-scores",
              "skip-cost",
              "max-length",
              "max-length-crop",
              "precision",
              "fp16",
              "gemm-type",
              "gemm-precision",
              "optimize",
              "input",
              "output",
              "port",
              "version",
              "no-spm-decode",
              "tsv",
              "model-mmap",
              "clear-gpu-memory"});
}

Ids read_ids(const ModelFiles& files, const std::string& name) {
  const std::string text = files.read(name), path = files.path(name);
  const Json json = text.starts_with('{') ? parse_json(text, path) : parse_flat_yaml(text, path);
  Ids ids;
  for (const auto& [piece, id] : json.items()) {
    if (!id.is_number_unsigned() || id >= kMostIds) {
      throw DataError(path, 0, fmt::format("piece '{}' has no number", piece));
    }
    ids[piece] = id.get<std::int32_t>();
  }
  return ids;
}

/// Tokens between spaces, where nothing cuts texts.
TokenPipeline words_of(const Ids& ids, const std::string& path) {
  std::vector<std::string> tokens(ids.size());
  std::vector<bool> taken(ids.size());
  for (const auto& [piece, id] : ids) {
    const auto i = static_cast<std::size_t>(id);
    if (i >= tokens.size() || taken[i]) {
      throw DataError(
          path, 0, fmt::format("piece '{}' has number {}, which is none, or another's", piece, id));
    }
    tokens[i] = piece;
    taken[i] = true;
  }
  return token_list_pipeline(tokens, kUnknown, path);
}

TokenPipeline pieces_of(std::string model, Ids ids, const std::string& path) {
  SentencePieceParts parts{.model = std::move(model), .ids = std::move(ids), .unk_token = kUnknown};
  parts.languages = true;
  for (const char* token : {kEnd, kUnknown}) {
    if (const auto found = parts.ids.find(token); found != parts.ids.end()) {
      parts.special.insert(*found);
    }
  }
  return sentence_piece_pipeline(parts, path);
}

}  // namespace

bool is_marian_npz(const ModelFiles& files) {
  return !models_in(files).empty() && !files.has(kConfigFile);
}

MarianFiles find_marian_files(const ModelFiles& files, std::vector<std::string>& notes) {
  MarianFiles m;
  m.defaults.at_limit = LimitRule::cut;
  Json json = Json::object();
  std::string name = kDecoder;
  if (!files.has(name)) name = only(files, models_in(files), "models (.npz)") + "." + kDecoder;
  const bool said = files.has(name);
  if (said) json = parse_flat_yaml(files.read(name), files.path(name));
  ForeignFields f(json, files.path(name));
  const std::vector<std::string> models = files_of(f, "models", files);
  if (models.size() > 1) f.refuse("models", "several at once are not done here: name one");
  m.model = models.empty() ? only(files, models_in(files), "models (.npz)") : models.front();
  std::vector<std::string> vocabularies = files_of(f, "vocabs", files);
  if (vocabularies.empty()) {
    vocabularies.assign(
        2, only(files, names_ending(files, {"vocab.yml", "vocab.spm"}, ".optimizer.npz"),
                "vocabularies (vocab.yml, vocab.spm)"));
  }
  if (vocabularies.size() != 2) f.refuse("vocabs", "expected one for each side");
  m.source = vocabularies[0];
  m.target = vocabularies[1];
  read_search(f, m);
  f.note_unknown(notes);
  return m;
}

Tokeniser marian_tokeniser(const ModelFiles& files, const std::string& vocabulary,
                           const char* side) {
  const std::string path = files.path(vocabulary);
  std::optional<TokenPipeline> pipeline;
  if (vocabulary.ends_with(".spm")) {
    const std::string bytes = files.read(vocabulary);
    const Subword model = Subword::from_model(bytes, path);
    Ids ids;
    for (std::int32_t id = 0; id < model.size(); ++id) ids[model.piece(id)] = id;
    pipeline = pieces_of(bytes, std::move(ids), path);
  } else if (vocabulary.ends_with(".yml") || vocabulary.ends_with(".yaml") ||
             vocabulary.ends_with(".json")) {
    const std::string model = std::string(side) + ".spm", codes = std::string(side) + ".bpe";
    if (files.has(codes) && !files.has(model)) {
      throw DataError(files.path(codes), 0,
                      fmt::format("cuts words that Moses has split before, which this program does "
                                  "not do; use a model with {}",
                                  model));
    }
    Ids ids = read_ids(files, vocabulary);
    pipeline = files.has(model) ? pieces_of(files.read(model), std::move(ids), files.path(model))
                                : words_of(ids, path);
  } else {
    throw DataError(path, 0, "is no vocabulary that this program reads: .yml, .json or .spm");
  }
  TokenRoles roles;
  roles.unk = pipeline->id(kUnknown);
  roles.eos = pipeline->id(kEnd);
  for (const auto& [id, token] : {std::pair{roles.unk, kUnknown}, std::pair{roles.eos, kEnd}}) {
    if (id < 0) throw DataError(path, 0, fmt::format("has no token '{}'", token));
  }
  return Tokeniser(pipeline->with_roles(roles));
}

}  // namespace qkv
