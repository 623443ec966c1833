// The tokenisers of directories, with a tokenizer.json and without: of other files is made what
// would be theirs.
#include <algorithm>
#include <map>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/pipeline/base64.h"
#include "qkv/text/pipeline/directory_files.h"
#include "qkv/text/pipeline/read_parts.h"
#include "qkv/text/pipeline/spm_file.h"
#include "qkv/text/pipeline/unicode.h"
#include "qkv/text/pipeline/write_parts.h"

namespace qkv {
namespace pipeline {
namespace {

using Path = std::filesystem::path;
using Json = nlohmann::json;

/// The tokens with a role that a template names, and their numbers.
struct Around {
  const Notes& notes;
  const Defaults& defaults;
  const PieceIds& ids;
  const Path& path;
  TemplateJson json = {};

  /// Throws DataError where the vocabulary does not have it.
  std::string token(const char* role) {
    const std::string name = notes.token(role, defaults.at(role).content);
    json.tokens[name] = required(ids, name, path);
    return name;
  }
};

Json sequence(const char* list, Json steps) {
  if (steps.empty()) return nullptr;
  return {{"type", "Sequence"}, {list, std::move(steps)}};
}

Json replacing(const char* kind, std::string_view pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", {{kind, pattern}}}, {"content", content}};
}

/// Lines without their ends; a line is a piece, whatever it holds.
std::vector<std::string> lines_of(const Path& path) {
  const std::string text = read_file(path);
  if (const auto bad = first_bad_byte(text)) {
    throw DataError(
        path.string(),
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(*bad), '\n'),
        "is no UTF-8 text");
  }
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

Parts read_bert(const Path& directory, const Notes& notes) {
  const Path path = directory / "vocab.txt";
  PieceIds ids;
  std::int32_t line = 0;
  for (std::string& piece : lines_of(path)) ids[std::move(piece)] = line++;
  const Defaults defaults = {{"pad_token", named("[PAD]")},
                             {"unk_token", named("[UNK]")},
                             {"cls_token", named("[CLS]")},
                             {"sep_token", named("[SEP]")},
                             {"mask_token", named("[MASK]")}};
  if (!notes.flag("do_basic_tokenize", true)) {
    notes.setting("do_basic_tokenize")->refuse("false is not supported");
  }
  if (const auto never = notes.setting("never_split"); never && !never->list().empty()) {
    never->refuse("words that are never split are not supported");
  }
  const auto strip = notes.setting("strip_accents");
  Around around{notes, defaults, ids, path};
  const std::string cls = around.token("cls_token"), sep = around.token("sep_token");
  around.json.single = {{cls, 0}, {"A", 0}, {sep, 0}};
  around.json.pair = {{cls, 0}, {"A", 0}, {sep, 0}, {"B", 1}, {sep, 1}};
  const Json model = {{"type", "WordPiece"},
                      {"unk_token", notes.token("unk_token", "[UNK]")},
                      {"continuing_subword_prefix", "##"},
                      {"max_input_chars_per_word", notes.longest_word()},
                      {"vocab", vocabulary_json(ids)}};
  const Json normaliser = {{"type", "BertNormalizer"},
                           {"clean_text", true},
                           {"handle_chinese_chars", notes.flag("tokenize_chinese_chars", true)},
                           {"strip_accents", strip ? Json(strip->flag()) : Json()},
                           {"lowercase", notes.lower_case()}};
  return finish(whole_json({.normaliser = normaliser,
                            .pre_tokeniser = {{"type", "BertPreTokenizer"}},
                            .around = template_json(around.json),
                            .decoder = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}},
                            .model = model}),
                ids, notes, defaults, path);
}

std::vector<std::pair<std::string, std::string>> merges_file(const Path& path) {
  std::vector<std::pair<std::string, std::string>> merges;
  std::int64_t number = 0;
  for (const std::string& line : lines_of(path)) {
    ++number;
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
      throw DataError(path.string(), number, "is not two pieces with a space between");
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

Parts read_byte_level(const Path& directory, const Notes& notes) {
  const Path path = directory / "vocab.json";
  const PieceIds ids = read_vocabulary_file(path);
  std::string kind = notes.kind();
  if (kind.empty() && ids.contains("<s>") && ids.contains("<mask>")) kind = "Roberta";
  if (kind.empty() && ids.contains("<|endoftext|>")) kind = "GPT2";
  if (kind == "roberta") kind = "Roberta";
  if (kind == "gpt2") kind = "GPT2";
  if (kind != "Roberta" && kind != "GPT2") {
    throw DataError(
        path.string(), 0,
        fmt::format("is the vocabulary of '{}', and this program knows Roberta and GPT2; "
                    "name one as tokenizer_class in tokenizer_config.json, or give a "
                    "tokenizer.json",
                    kind));
  }
  const bool roberta = kind == "Roberta", prefix = notes.flag("add_prefix_space", false);
  const Defaults defaults =
      roberta ? Defaults{{"pad_token", named("<pad>")},        {"unk_token", named("<unk>")},
                         {"bos_token", named("<s>")},          {"eos_token", named("</s>")},
                         {"cls_token", named("<s>")},          {"sep_token", named("</s>")},
                         {"mask_token", named("<mask>", true)}}
              : Defaults{{"unk_token", named("<|endoftext|>")},
                         {"bos_token", named("<|endoftext|>")},
                         {"eos_token", named("<|endoftext|>")}};
  Around around{notes, defaults, ids, path};
  Json processor;
  if (roberta) {
    const auto named_id = [&](const char* role) {
      const std::string token = around.token(role);
      return Json::array({token, around.json.tokens[token]});
    };
    processor = {{"type", "RobertaProcessing"},
                 {"sep", named_id("sep_token")},
                 {"cls", named_id("cls_token")},
                 {"trim_offsets", true},
                 {"add_prefix_space", prefix}};
  } else if (notes.flag("add_bos_token", false)) {
    const std::string bos = around.token("bos_token");
    around.json.single = {{bos, 0}, {"A", 0}};
    around.json.pair = {{bos, 0}, {"A", 0}, {"B", 1}};
    processor = template_json(around.json);
  }
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"vocab", vocabulary_json(ids)},
                      {"merges", merges_json(merges_file(directory / "merges.txt"))}};
  const auto bytes = [](bool prefix_space) {
    return Json{{"type", "ByteLevel"},
                {"add_prefix_space", prefix_space},
                {"trim_offsets", true},
                {"use_regex", true}};
  };
  return finish(whole_json({.pre_tokeniser = bytes(prefix),
                            .around = processor,
                            .decoder = bytes(true),
                            .model = model}),
                ids, notes, defaults, path);
}

PieceIds ids_of(const std::vector<std::pair<std::string, double>>& pieces) {
  PieceIds ids;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    ids[pieces[i].first] = static_cast<std::int32_t>(i);
  }
  return ids;
}

Parts read_xlm_roberta(const Path& directory, const Notes& notes) {
  const Path path = directory / "sentencepiece.bpe.model";
  const std::string kind = notes.kind();
  if (kind != "XLMRoberta" && kind != "xlm-roberta" && !kind.empty()) {
    throw DataError(path.string(), 0,
                    fmt::format("belongs to a tokeniser '{}', and this program knows XLMRoberta; "
                                "give a tokenizer.json",
                                kind));
  }
  refuse_settings(notes);
  const SpmFile file = SpmFile::parse(read_file(path), path.string());
  if (file.kind != SpmFile::Kind::unigram || file.pieces.size() < 3) {
    throw DataError(path.string(), 0, "is no unigram model");
  }
  // The numbers are fairseq's: four special tokens, then the file's pieces but its first three.
  std::vector<std::pair<std::string, double>> pieces = {
      {"<s>", 0.0}, {"<pad>", 0.0}, {"</s>", 0.0}, {"<unk>", 0.0}};
  pieces.insert(pieces.end(), file.pieces.begin() + 3, file.pieces.end());
  pieces.emplace_back("<mask>", 0.0);
  const Json prefix = notes.flag("add_prefix_space", true) ? "always" : "never";
  Json steps = Json::array();
  if (!file.charsmap.empty()) {
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(file.charsmap)}});
  }
  steps.push_back({{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
  steps.push_back(replacing("Regex", " {2,}", kVisibleSpace));
  const Json spaces = {{"type", "Metaspace"},
                       {"replacement", kVisibleSpace},
                       {"prepend_scheme", prefix},
                       {"split", true}};
  const Json model = {
      {"type", "Unigram"}, {"unk_id", 3}, {"vocab", scores_json(pieces)}, {"byte_fallback", false}};
  const TemplateJson around = {
      .single = {{"<s>", 0}, {"A", 0}, {"</s>", 0}},
      .pair = {{"<s>", 0}, {"A", 0}, {"</s>", 0}, {"</s>", 0}, {"B", 0}, {"</s>", 0}},
      .tokens = {{"<s>", 0}, {"</s>", 2}}};
  const Defaults defaults = {{"pad_token", named("<pad>")},        {"unk_token", named("<unk>")},
                             {"bos_token", named("<s>")},          {"eos_token", named("</s>")},
                             {"cls_token", named("<s>")},          {"sep_token", named("</s>")},
                             {"mask_token", named("<mask>", true)}};
  return finish(whole_json({.normaliser = sequence("normalizers", steps),
                            .pre_tokeniser = spaces,
                            .around = template_json(around),
                            .decoder = spaces,
                            .model = model}),
                ids_of(pieces), notes, defaults, path);
}

/// SentencePiece's two models as Llama's tokeniser has them.
Json llama_model(const SpmFile& file, const std::vector<std::pair<std::string, double>>& pieces,
                 const PieceIds& ids, const Path& path) {
  if (file.kind == SpmFile::Kind::bpe) {
    return {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", file.unk_piece},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocabulary_json(ids)},
            {"merges", merges_json(merges_of(pieces, ids))}};
  }
  if (file.kind == SpmFile::Kind::unigram) {
    return {{"type", "Unigram"},
            {"unk_id", 0},
            {"vocab", scores_json(pieces)},
            {"byte_fallback", true}};
  }
  throw DataError(path.string(), 0, "is neither a BPE nor a unigram model");
}

Parts read_llama(const Path& directory, const Notes& notes) {
  const Path path = directory / "tokenizer.model";
  const std::string kind = notes.kind();
  if (kind != "Llama" && kind != "llama" && kind != "mistral" && !kind.empty()) {
    throw DataError(
        path.string(), 0,
        fmt::format(
            "belongs to a tokeniser '{}', and this program knows Llama; give a tokenizer.json",
            kind));
  }
  refuse_settings(notes);
  const SpmFile file = SpmFile::parse(read_file(path), path.string());
  if (file.pieces.size() < 3) throw DataError(path.string(), 0, "has no special tokens");
  std::vector<std::pair<std::string, double>> pieces = file.pieces;
  for (std::size_t i = 0; i < 3; ++i) pieces[i].second = 0;
  const PieceIds ids = ids_of(pieces);
  const bool prefix = notes.flag("add_prefix_space", true);
  Json steps = Json::array();
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kVisibleSpace}});
  steps.push_back(replacing("String", " ", kVisibleSpace));
  Json back = Json::array();
  back.push_back(replacing("String", kVisibleSpace, " "));
  back.push_back({{"type", "ByteFallback"}});
  back.push_back({{"type", "Fuse"}});
  if (prefix) {
    back.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  const Defaults defaults = {{"unk_token", named(pieces[0].first)},
                             {"bos_token", named(pieces[1].first)},
                             {"eos_token", named(pieces[2].first)}};
  Around around{notes, defaults, ids, path};
  for (const int text : {0, 1}) {
    TemplateJson::Items items;
    if (notes.flag("add_bos_token", true)) items.emplace_back(around.token("bos_token"), text);
    items.emplace_back(text == 0 ? "A" : "B", text);
    if (notes.flag("add_eos_token", false)) items.emplace_back(around.token("eos_token"), text);
    TemplateJson& json = around.json;
    if (text == 0) json.single = items;
    json.pair.insert(json.pair.end(), items.begin(), items.end());
  }
  return finish(whole_json({.normaliser = sequence("normalizers", steps),
                            .around = template_json(around.json),
                            .decoder = sequence("decoders", back),
                            .model = llama_model(file, pieces, ids, path)}),
                ids, notes, defaults, path);
}

}  // namespace

Parts read_directory(const Path& directory, TextSide side) {
  const auto has = [&directory](const char* name) {
    return std::filesystem::exists(directory / name);
  };
  const Notes notes(directory);
  if (has("tokenizer.json")) {
    const Path path = directory / "tokenizer.json";
    Parts parts = read_parts(read_file(path), path.string());
    notes.check(parts);
    notes.set_roles({}, parts);
    return parts;
  }
  if (has("source.spm") || (has("vocab.json") && has("sentencepiece.bpe.model"))) {
    return read_looked_up(directory, side, notes);
  }
  if (has("vocab.json") && has("merges.txt")) return read_byte_level(directory, notes);
  if (has("vocab.txt")) return read_bert(directory, notes);
  if (has("sentencepiece.bpe.model")) return read_xlm_roberta(directory, notes);
  if (has("tokenizer.model")) return read_llama(directory, notes);
  for (const char* name : {"spiece.model", "vocab.json", "merges.txt", "bpe.codes"}) {
    if (has(name)) {
      fail<FileError>(
          "{}: has {}, of which alone this program makes no tokeniser; give a tokenizer.json",
          directory.string(), name);
    }
  }
  fail<FileError>(
      "{}: has no tokenizer.json, vocab.txt, vocab.json with merges.txt, source.spm, "
      "sentencepiece.bpe.model or tokenizer.model",
      directory.string());
}

}  // namespace pipeline

TokenPipeline read_token_pipeline(const std::filesystem::path& directory, TextSide side) {
  return TokenPipeline(
      std::make_shared<const pipeline::Parts>(pipeline::read_directory(directory, side)));
}

}  // namespace qkv
