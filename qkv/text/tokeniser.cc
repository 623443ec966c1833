#include "qkv/text/tokeniser.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

using Kind = TokeniserOptions::Kind;
using Table = std::shared_ptr<const Vocabulary>;

constexpr std::uint64_t kVersion = 1;
constexpr std::array<std::string_view, 7> kFields = {"format", "version", "kind", "nfkc",
                                                     "lower",  "bytes",   "crc32"};
constexpr std::string_view kFormat = "qkv tokeniser";
constexpr int kSubwords = 8000;
constexpr std::string_view kUnknownCharacter = "\u2047";  // as SentencePiece prints it

constexpr std::array<std::pair<Kind, std::string_view>, 6> kKinds = {
    {{Kind::word, "word"},
     {Kind::character, "character"},
     {Kind::space, "space"},
     {Kind::page, "page"},
     {Kind::bpe, "bpe"},
     {Kind::unigram, "unigram"}}};

bool is_subword(Kind kind) { return kind == Kind::bpe || kind == Kind::unigram; }

template <class View>
std::vector<std::string> copies(const std::vector<View>& views) {
  return {views.begin(), views.end()};
}

std::vector<std::string> cut_text(Kind kind, const std::string& text) {
  switch (kind) {
    case Kind::word:
      return copies(split_words(text));
    case Kind::character:
      return copies(characters(text));
    case Kind::page:
      return split_page(text);
    default:
      return copies(split_spaces(text));
  }
}

std::uint32_t checksum(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::filesystem::path description_path(const std::filesystem::path& directory,
                                       std::string_view stem) {
  return directory / fmt::format("{}.tokeniser.json", stem);
}

std::filesystem::path payload_path(const std::filesystem::path& directory, std::string_view stem,
                                   Kind kind) {
  return directory / fmt::format("{}.{}", stem, is_subword(kind) ? "model" : "vocab");
}

struct Description {
  Kind kind = Kind::word;
  Normalisation normalise;
  std::uint64_t bytes = 0;
  std::uint64_t crc32 = 0;
};

/// A field of the description, or the reason why it is none, as an Error.
const nlohmann::json& field_of(const nlohmann::json& json, const char* name,
                               bool (nlohmann::json::*is)() const noexcept, const char* what) {
  const auto found = json.find(name);
  if (found == json.end()) fail("has no {}; is it truncated?", name);
  if (!((*found).*is)()) {
    const std::string text = found->is_primitive() ? found->dump(-1, ' ', true) : "a structure";
    fail("{} is {}, not {}", name, text.substr(0, 40), what);
  }
  return *found;
}

// What a description says; anything unexpected throws nlohmann's exceptions or Error.
Description parse(const std::string& text) {
  using Json = nlohmann::json;
  const Json json = Json::parse(text);
  if (!json.is_object()) fail("not the description of a tokeniser");
  const auto whole = [&json](const char* name) {
    return field_of(json, name, &Json::is_number_unsigned, "a whole number").get<std::uint64_t>();
  };
  const auto text_of = [&json](const char* name) {
    return field_of(json, name, &Json::is_string, "a text").get<std::string>();
  };
  const auto flag = [&json](const char* name) {
    return field_of(json, name, &Json::is_boolean, "true or false").get<bool>();
  };
  if (text_of("format") != kFormat) fail("not a qkv tokeniser");
  if (const std::uint64_t version = whole("version"); version != kVersion) {
    fail("version {} of the tokeniser, this program reads version {}", version, kVersion);
  }
  for (const auto& entry : json.items()) {
    if (std::ranges::find(kFields, entry.key()) == kFields.end()) {
      fail("has a field '{}' that this program does not know", entry.key().substr(0, 40));
    }
  }
  return {kind_of(text_of("kind")), {flag("nfkc"), flag("lower")}, whole("bytes"), whole("crc32")};
}

/// Nothing but special tokens comes of a count that no word reaches, and of too small a size.
void expect_tokens(const Vocabulary& vocabulary, const TokeniserOptions& options) {
  if (vocabulary.size() > Vocabulary::kSpecials) return;
  if (options.vocabulary_size > 0 && options.vocabulary_size <= Vocabulary::kSpecials) {
    fail("tokeniser: a vocabulary of {} has no room beside its {} special tokens",
         options.vocabulary_size, Vocabulary::kSpecials);
  }
  fail("only 0 {} occur {} times; give more text or a lower --min-count",
       options.kind == Kind::character ? "characters" : "words", options.min_count);
}

// What happens where two pieces meet; U+2581 is SentencePiece's space.
bool is_blank(char32_t c) { return c == U'\u2581' || is_space(c); }
bool inside_word(char32_t c) { return c == U'\'' || c == U'\u2019' || c == U'-'; }
bool stands_alone(char32_t c) {
  return is_cjk(c) || (is_punctuation(c) && !inside_word(c) && !is_blank(c));
}

}  // namespace

std::string_view name_of(Kind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return "?";
}

Kind kind_of(std::string_view name) {
  for (const auto& [kind, known] : kKinds) {
    if (known == name) return kind;
  }
  fail("no tokeniser is called \"{}\"; there are word, character, space, page, bpe, unigram", name);
}

Tokeniser Tokeniser::train(const TokeniserOptions& options,
                           std::span<const std::string> sentences) {
  if (options.vocabulary_size < 0 || options.min_count < 0 ||
      !(options.coverage > 0.0 && options.coverage <= 1.0)) {
    fail(
        "tokeniser: vocabulary size {}, minimum count {} and coverage {} must be >= 0, >= 0 and "
        "in (0, 1]",
        options.vocabulary_size, options.min_count, options.coverage);
  }
  Tokeniser tokeniser;
  tokeniser.kind_ = options.kind;
  tokeniser.normalise_ = options.normalise;
  if (is_subword(options.kind)) {
    tokeniser.table_ = Subword::train(
        {.unigram = options.kind == Kind::unigram,
         .vocabulary_size = options.vocabulary_size > 0 ? options.vocabulary_size : kSubwords,
         .coverage = options.coverage,
         .byte_fallback = options.byte_fallback,
         .normalise = options.normalise},
        sentences);
    return tokeniser;
  }
  TokenCounts counts;
  for (const std::string& sentence : sentences) {
    for (const std::string& token : tokeniser.cut(sentence)) count_token(counts, token);
  }
  if (counts.empty()) fail("tokeniser: there is no text to learn a vocabulary from");
  VocabularyOptions table = {.min_count = options.min_count, .max_size = options.vocabulary_size};
  if (options.kind == Kind::page) table.specials = {"<PAD>", "<UNK>", "<S>", "</S>"};
  const auto vocabulary = std::make_shared<const Vocabulary>(counts, table);
  expect_tokens(*vocabulary, options);
  tokeniser.table_ = vocabulary;
  return tokeniser;
}

Tokeniser Tokeniser::open_model(const std::filesystem::path& path) {
  Tokeniser tokeniser;
  tokeniser.kind_ = Kind::unigram;
  tokeniser.table_ = Subword::from_model(read_file(path), path.string());
  return tokeniser;
}

void Tokeniser::save(const std::filesystem::path& directory, std::string_view stem) const {
  const std::string payload = std::holds_alternative<Subword>(table_)
                                  ? std::get<Subword>(table_).model()
                                  : std::get<Table>(table_)->to_text();
  const nlohmann::ordered_json json = {{"format", kFormat},         {"version", kVersion},
                                       {"kind", name_of(kind_)},    {"nfkc", normalise_.nfkc},
                                       {"lower", normalise_.lower}, {"bytes", payload.size()},
                                       {"crc32", checksum(payload)}};
  write_file(payload_path(directory, stem, kind_), payload);
  write_file(description_path(directory, stem), json.dump(2) + "\n");
}

Tokeniser Tokeniser::load(const std::filesystem::path& directory, std::string_view stem) {
  const std::filesystem::path path = description_path(directory, stem);
  const std::string text = read_file(path);
  Description description;
  try {
    description = parse(text);
  } catch (const nlohmann::json::exception&) {
    throw DataError(path.string(), 0, "truncated or not the description of a tokeniser");
  } catch (const Error& error) {
    throw DataError(path.string(), 0, error.what());
  }
  const std::filesystem::path payload = payload_path(directory, stem, description.kind);
  std::string bytes = read_file(payload);
  if (bytes.size() != description.bytes || checksum(bytes) != description.crc32) {
    throw DataError(payload.string(), 0,
                    fmt::format("truncated, or not the file that {} belongs to; copy both again",
                                path.filename().string()));
  }
  Tokeniser tokeniser;
  tokeniser.kind_ = description.kind;
  tokeniser.normalise_ = description.normalise;
  if (is_subword(description.kind)) {
    const Subword model = Subword::from_model(std::move(bytes), payload.string());
    for (const auto& [name, id] :
         {std::pair{"<pad>", model.pad()}, std::pair{"<unk>", model.unk()},
          std::pair{"<bos>", model.bos()}, std::pair{"<eos>", model.eos()}}) {
      if (id >= 0) continue;
      throw DataError(
          payload.string(), 0,
          fmt::format("has no {}, without which no model can work; train it again", name));
    }
    tokeniser.table_ = model;
  } else {
    tokeniser.table_ =
        std::make_shared<const Vocabulary>(Vocabulary::from_text(bytes, payload.string()));
  }
  return tokeniser;
}

std::int32_t Tokeniser::size() const {
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->size();
  return std::get<Table>(table_)->size();
}
std::int32_t Tokeniser::pad() const {
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->pad() : Vocabulary::kPad;
}
std::int32_t Tokeniser::unk() const {
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->unk() : Vocabulary::kUnk;
}
std::int32_t Tokeniser::bos() const {
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->bos() : Vocabulary::kBos;
}
std::int32_t Tokeniser::eos() const {
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->eos() : Vocabulary::kEos;
}

const std::string& Tokeniser::piece(std::int32_t id) const {
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->piece(id);
  return std::get<Table>(table_)->token(id);
}

bool Tokeniser::is_special(std::int32_t id) const {
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->is_control(id);
  return id == Vocabulary::kPad || id == Vocabulary::kBos || id == Vocabulary::kEos;
}

std::vector<std::string> Tokeniser::cut(std::string_view text) const {
  return cut_text(kind_, normalise(text, normalise_));
}

std::vector<std::int32_t> Tokeniser::encode(std::string_view text) const {
  if (const auto* subword = std::get_if<Subword>(&table_)) {
    return subword->encode(normalise(text, normalise_));
  }
  const Vocabulary& vocabulary = *std::get<Table>(table_);
  std::vector<std::int32_t> ids;
  for (const std::string& token : cut(text)) ids.push_back(vocabulary.id(token));
  return ids;
}

std::vector<std::string> Tokeniser::pieces(std::string_view text) const {
  if (const auto* subword = std::get_if<Subword>(&table_)) {
    return subword->pieces(normalise(text, normalise_));
  }
  return cut(text);
}

std::string Tokeniser::decode(std::span<const std::int32_t> ids) const {
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->decode(ids);
  std::vector<std::string_view> tokens;
  for (const std::int32_t id : ids) {
    const std::string_view token = piece(id);
    if (!is_special(id)) {
      tokens.push_back(kind_ == Kind::character && id == unk() ? kUnknownCharacter : token);
    }
  }
  if (kind_ == Kind::word) return join_words(tokens);
  std::string text;
  for (const std::string_view token : tokens) {
    if (kind_ != Kind::character && !text.empty()) text += ' ';
    text += token;
  }
  return text;
}

bool Tokeniser::is_opaque(std::int32_t id) const {
  const auto* subword = std::get_if<Subword>(&table_);
  return id == unk() || (subword && subword->is_byte(id));
}

std::vector<std::int32_t> Tokeniser::words(std::span<const std::int32_t> ids) const {
  const bool parts = is_subword(kind_) || kind_ == Kind::character;
  std::vector<std::int32_t> words;
  std::int32_t word = -1;
  bool blank = false;  // the word so far is only a space: what comes next belongs to it
  bool alone = true;   // nothing can continue the word so far
  for (const std::int32_t id : ids) {
    const std::string& text = piece(id);
    const bool special = is_special(id) || text.empty();
    const bool opaque = is_opaque(id);
    const char32_t first = special ? 0 : first_code_point(text).value;
    const char32_t last = special ? 0 : code_points(text).back().value;
    const bool fresh = alone || is_blank(first) || (!opaque && stands_alone(first));
    if (!parts || special || (fresh && !blank)) ++word;
    words.push_back(word);
    blank = !special && is_blank(last);
    alone = special || (!opaque && stands_alone(last));
  }
  return words;
}

std::vector<std::string> Tokeniser::word_texts(std::span<const std::int32_t> ids) const {
  const std::vector<std::int32_t> word = words(ids);
  std::vector<std::string> texts;
  for (std::size_t begin = 0, end = 0; begin < ids.size(); begin = end) {
    while (end < ids.size() && word[end] == word[begin]) ++end;
    const std::string decoded = decode(ids.subspan(begin, end - begin));
    std::string text;
    for (const std::string_view part : split_spaces(decoded)) text += part;
    texts.push_back(text.empty() ? piece(ids[begin]) : text);  // a special token, a lone space
  }
  return texts;
}

UnknownReport Tokeniser::unknown_report(std::span<const std::string> sentences) const {
  TokenCounts counts, unknown;
  for (const std::string& sentence : sentences) {
    const std::vector<std::int32_t> ids = encode(sentence);
    const std::vector<std::string> texts = pieces(sentence);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      count_token(ids[i] == unk() ? unknown : counts, texts[i]);
    }
  }
  UnknownReport report;
  for (const auto& entry : counts) report.tokens += entry.second;
  for (const auto& entry : unknown) report.unknown += entry.second;
  report.tokens += report.unknown;
  report.unknown_types = static_cast<std::int64_t>(unknown.size());
  report.types = static_cast<std::int64_t>(counts.size()) + report.unknown_types;
  return report;
}

}  // namespace qkv
