#include "qkv/text/tokeniser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

using Kind = TokeniserOptions::Kind;
using Table = std::shared_ptr<const Vocabulary>;

constexpr int kSubwords = 8000;
constexpr std::string_view kUnknownCharacter = "\u2047";  // as SentencePiece prints it
constexpr std::string_view kReplacement = "\uFFFD";       // of a byte of a character

constexpr std::array<std::pair<Kind, std::string_view>, 7> kKinds = {
    {{Kind::word, "word"},
     {Kind::character, "character"},
     {Kind::space, "space"},
     {Kind::page, "page"},
     {Kind::bpe, "bpe"},
     {Kind::unigram, "unigram"},
     {Kind::pipeline, "pipeline"}}};

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
  fail(
      "no tokeniser is called \"{}\"; there are word, character, space, page, bpe, unigram, "
      "pipeline",
      name);
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
  if (options.kind == Kind::pipeline) {
    fail("tokeniser: a pipeline comes with an imported model and cannot be trained");
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

Tokeniser::Tokeniser(TokenPipeline pipeline) : kind_(Kind::pipeline), table_(std::move(pipeline)) {}

std::int32_t Tokeniser::size() const {
  if (const TokenPipeline* p = pipeline()) return p->size();
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->size();
  return std::get<Table>(table_)->size();
}
std::int32_t Tokeniser::pad() const {
  if (const TokenPipeline* p = pipeline()) return p->roles().pad;
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->pad() : Vocabulary::kPad;
}
std::int32_t Tokeniser::unk() const {
  if (const TokenPipeline* p = pipeline()) return p->roles().unk;
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->unk() : Vocabulary::kUnk;
}
std::int32_t Tokeniser::bos() const {
  if (const TokenPipeline* p = pipeline()) return p->roles().bos;
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->bos() : Vocabulary::kBos;
}
std::int32_t Tokeniser::eos() const {
  if (const TokenPipeline* p = pipeline()) return p->roles().eos;
  const auto* subword = std::get_if<Subword>(&table_);
  return subword ? subword->eos() : Vocabulary::kEos;
}

const std::string& Tokeniser::piece(std::int32_t id) const {
  if (const TokenPipeline* p = pipeline()) return p->piece(id);
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->piece(id);
  return std::get<Table>(table_)->token(id);
}

std::string Tokeniser::surface(std::int32_t id) const {
  const TokenPipeline* p = pipeline();
  return p ? p->surface(id) : piece(id);
}

bool Tokeniser::is_special(std::int32_t id) const {
  if (const TokenPipeline* p = pipeline()) {
    return p->is_special(id) || id == pad() || id == bos() || id == eos();
  }
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->is_control(id);
  return id == Vocabulary::kPad || id == Vocabulary::kBos || id == Vocabulary::kEos;
}

std::vector<std::string> Tokeniser::cut(std::string_view text) const {
  return cut_text(kind_, normalise(text, normalise_));
}

std::vector<std::int32_t> Tokeniser::encode(std::string_view text) const {
  if (const TokenPipeline* p = pipeline()) return p->ids(text, false);
  if (const auto* subword = std::get_if<Subword>(&table_)) {
    return subword->encode(normalise(text, normalise_));
  }
  const Vocabulary& vocabulary = *std::get<Table>(table_);
  std::vector<std::int32_t> ids;
  for (const std::string& token : cut(text)) ids.push_back(vocabulary.id(token));
  return ids;
}

std::vector<std::string> Tokeniser::pieces(std::string_view text) const {
  if (const TokenPipeline* p = pipeline()) return p->encode(text, false).pieces;
  if (const auto* subword = std::get_if<Subword>(&table_)) {
    return subword->pieces(normalise(text, normalise_));
  }
  return cut(text);
}

std::string Tokeniser::decode(std::span<const std::int32_t> ids) const {
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->decode(ids);
  if (const TokenPipeline* p = pipeline()) {
    std::vector<std::int32_t> plain;
    std::ranges::copy_if(ids, std::back_inserter(plain),
                         [this](auto id) { return !is_special(id); });
    return p->decode(plain);
  }
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) {
    const bool hidden = kind_ == Kind::character && id == unk();
    if (!is_special(id)) tokens.emplace_back(hidden ? kUnknownCharacter : piece(id));
  }
  return join(tokens);
}

std::string Tokeniser::join(const std::vector<std::string>& pieces) const {
  if (const auto* subword = std::get_if<Subword>(&table_)) return subword->join(pieces);
  if (const TokenPipeline* p = pipeline()) return p->join(pieces);
  const std::vector<std::string_view> tokens(pieces.begin(), pieces.end());
  if (kind_ == Kind::word) return join_words(tokens);
  std::string text;
  for (const std::string_view token : tokens) {
    if (kind_ != Kind::character && !text.empty()) text += ' ';
    text += token;
  }
  return text;
}

bool Tokeniser::is_opaque(std::int32_t id, std::string_view surface) const {
  const auto* subword = std::get_if<Subword>(&table_);
  return id == unk() || (subword && subword->is_byte(id)) ||
         (pipeline() && surface.find(kReplacement) != std::string_view::npos);
}

std::vector<std::int32_t> Tokeniser::words(std::span<const std::int32_t> ids) const {
  const bool parts = is_subword(kind_) || kind_ == Kind::character || pipeline();
  std::vector<std::int32_t> words;
  std::int32_t word = -1;
  bool blank = false;  // the word so far is only a space: what comes next belongs to it
  bool alone = true;   // nothing can continue the word so far
  for (const std::int32_t id : ids) {
    const std::string text = surface(id);
    const bool special = is_special(id) || text.empty();
    const bool opaque = is_opaque(id, text);
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
