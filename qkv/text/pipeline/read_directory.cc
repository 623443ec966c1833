// The tokenisers of directories, with a tokenizer.json and without.
#include <algorithm>
#include <map>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/pipeline/directory_files.h"
#include "qkv/text/pipeline/read_parts.h"
#include "qkv/text/pipeline/spm_file.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv {
namespace pipeline {
namespace {

using Path = std::filesystem::path;

/// Calls f; what it throws without a file gets this one.
template <class F>
auto with_file(const Path& path, F&& f) {
  try {
    return f();
  } catch (const DataError&) {
    throw;
  } catch (const FileError&) {
    throw;
  } catch (const Error& e) {
    throw DataError(path.string(), 0, e.what());
  }
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

void finish(PieceIds ids, const Notes& notes, const Defaults& defaults, const Path& path,
            Parts& parts) {
  with_file(path, [&] {
    std::vector<AddedToken> added = notes.added(defaults, ids);
    add_tokens(std::move(ids), std::move(added), parts);
  });
  notes.set_roles(defaults, parts);
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
  Parts parts;
  BertNormaliser bert = {.chinese = notes.flag("tokenize_chinese_chars", true),
                         .lower = notes.lower_case()};
  if (const auto strip = notes.setting("strip_accents")) bert.strip_accents = strip->flag();
  parts.normalisers = {bert};
  parts.pre_tokenisers = {BertWords{}};
  parts.model = Model(make_word_piece(ids, notes.token("unk_token", "[UNK]"), "##", 100));
  parts.decoders = {WordPieceDecoder{}};
  const TemplateItem cls = {.ids = {required(ids, notes.token("cls_token", "[CLS]"), path)}};
  const TemplateItem sep = {.ids = {required(ids, notes.token("sep_token", "[SEP]"), path)}};
  TemplateItem last = sep;
  last.type = 1;
  parts.around.single = {cls, {.text = 0}, sep};
  parts.around.pair = {cls, {.text = 0}, sep, {.text = 1, .type = 1}, last};
  finish(std::move(ids), notes, defaults, path, parts);
  return parts;
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
  const Path path = directory / "vocab.json", merges = directory / "merges.txt";
  PieceIds ids = read_vocabulary_file(path);
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
  Parts parts;
  parts.pre_tokenisers = {ByteCharacters{prefix, true}};
  parts.decoders = {ByteLevelDecoder{}};
  parts.model = with_file(merges, [&] { return Model(make_bpe(ids, merges_file(merges), {})); });
  const auto special = [&](const char* role) {
    const std::string token = notes.token(role, defaults.at(role).content);
    return TemplateItem{.ids = {required(ids, token, path)}};
  };
  if (roberta) {
    const TemplateItem cls = special("cls_token"), sep = special("sep_token");
    parts.around.single = {cls, {.text = 0}, sep};
    parts.around.pair = {cls, {.text = 0}, sep, sep, {.text = 1}, sep};
    parts.trims = {{prefix}};
  } else if (notes.flag("add_bos_token", false)) {
    const TemplateItem bos = special("bos_token");
    parts.around.single = {bos, {.text = 0}};
    parts.around.pair = {bos, {.text = 0}, {.text = 1, .type = 1}};
  }
  finish(std::move(ids), notes, defaults, path, parts);
  return parts;
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
  Parts parts;
  if (!file.charsmap.empty()) {
    parts.normalisers.push_back(with_file(
        path, [&] { return Precompiled{std::make_shared<const Charsmap>(file.charsmap)}; }));
  }
  parts.normalisers.push_back(StripEnds{false, true});
  parts.normalisers.push_back(
      Replacing{known_expression(" {2,}").value(), std::string(kVisibleSpace)});
  const bool prefix = notes.flag("add_prefix_space", true);
  parts.pre_tokenisers = {VisibleSpaces{.prefix = prefix ? Prefix::always : Prefix::never}};
  parts.decoders = {VisibleSpaceDecoder{.prefix = prefix}};
  parts.model = Model(make_unigram(pieces, 3, false));
  const TemplateItem bos = {.ids = {0}}, eos = {.ids = {2}};
  parts.around.single = {bos, {.text = 0}, eos};
  parts.around.pair = {bos, {.text = 0}, eos, eos, {.text = 1}, eos};
  const Defaults defaults = {{"pad_token", named("<pad>")},        {"unk_token", named("<unk>")},
                             {"bos_token", named("<s>")},          {"eos_token", named("</s>")},
                             {"cls_token", named("<s>")},          {"sep_token", named("</s>")},
                             {"mask_token", named("<mask>", true)}};
  finish(ids_of(pieces), notes, defaults, path, parts);
  return parts;
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
  PieceIds ids = ids_of(pieces);
  const bool prefix = notes.flag("add_prefix_space", true);
  Parts parts;
  if (prefix) parts.normalisers.push_back(Prepending{std::string(kVisibleSpace)});
  parts.normalisers.push_back(Replacing{Literal{" "}, std::string(kVisibleSpace)});
  std::vector<Decoder> decoders = {ReplaceDecoder{Literal{std::string(kVisibleSpace)}, " "},
                                   ByteFallbackDecoder{}, FuseDecoder{}};
  if (prefix) decoders.push_back(StripDecoder{" ", 1, 0});
  parts.decoders = std::move(decoders);
  if (file.kind == SpmFile::Kind::bpe) {
    BpeModel settings;
    settings.byte_fallback = settings.fuse_unk = true;
    settings.unk_token = file.unk_piece;
    parts.model = with_file(
        path, [&] { return Model(make_bpe(ids, merges_of(pieces, ids), std::move(settings))); });
  } else if (file.kind == SpmFile::Kind::unigram) {
    parts.model = Model(make_unigram(pieces, 0, true));
  } else {
    throw DataError(path.string(), 0, "is neither a BPE nor a unigram model");
  }
  const Defaults defaults = {{"unk_token", named(pieces[0].first)},
                             {"bos_token", named(pieces[1].first)},
                             {"eos_token", named(pieces[2].first)}};
  const auto special = [&](const char* role, std::int32_t type) {
    const std::string token = notes.token(role, defaults.at(role).content);
    return TemplateItem{.ids = {required(ids, token, path)}, .type = type};
  };
  parts.around = {};
  for (const int text : {0, 1}) {
    std::vector<TemplateItem> items;
    if (notes.flag("add_bos_token", true)) items.push_back(special("bos_token", text));
    items.push_back({.text = text, .type = text});
    if (notes.flag("add_eos_token", false)) items.push_back(special("eos_token", text));
    if (text == 0) parts.around.single = parts.around.pair = items;
    if (text == 1) parts.around.pair.insert(parts.around.pair.end(), items.begin(), items.end());
  }
  finish(std::move(ids), notes, defaults, path, parts);
  return parts;
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
