#include "qkv/text/wordpiece.h"

#include <algorithm>
#include <utility>

#include <utf8proc.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/normalise.h"
#include "qkv/text/pipeline/greedy_pieces.h"
#include "qkv/text/pipeline/unicode.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

constexpr std::string_view kInside = "##";
constexpr std::string_view kMask = "[MASK]";

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_white(char32_t c) {
  return c == U' ' || c == U'\t' || c == U'\n' || c == U'\r' ||
         (c > 0x7F && category(c) >= UTF8PROC_CATEGORY_ZS && category(c) <= UTF8PROC_CATEGORY_ZP);
}

/// The blocks of ideographs; kana and Hangul are written with spaces or cut by the pieces.
bool is_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/// Lower case, decomposed, without non-spacing marks.
std::string plain_letters(std::string_view text) {
  std::string lower;
  for (const CodePoint& c : code_points(text)) {
    pipeline::append(
        lower, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.value))));
  }
  const std::string letters = decompose(lower);
  std::string plain;
  for (const CodePoint& c : code_points(letters)) {
    if (!pipeline::is_nonspacing(c.value)) plain += c.bytes;
  }
  return plain;
}

}  // namespace

std::vector<std::string> basic_tokens(std::string_view text, bool lower) {
  std::string clean;
  clean.reserve(text.size());
  for (const CodePoint& c : code_points(text)) {
    if (is_white(c.value)) {
      clean += ' ';
    } else if (is_ideograph(c.value)) {
      clean.append(" ").append(c.bytes).append(" ");
    } else if (!pipeline::is_dropped(c.value)) {
      clean += c.bytes;
    }
  }
  if (lower && pipeline::is_ascii(clean)) {
    for (char& c : clean) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  } else if (lower) {
    clean = plain_letters(clean);
  }
  std::vector<std::string> words;
  bool open = false;  // the next character goes on with the last word
  for (const CodePoint& c : code_points(clean)) {
    if (is_white(c.value)) {
      open = false;
    } else if (open && !pipeline::is_punctuation_or_ascii(c.value)) {
      words.back() += c.bytes;
    } else {
      words.emplace_back(c.bytes);
      open = !pipeline::is_punctuation_or_ascii(c.value);
    }
  }
  return words;
}

struct WordPiece::Table {
  std::vector<std::string> pieces;
  std::unordered_map<std::string, std::int32_t, TokenHash, std::equal_to<>> ids;
  pipeline::GreedyPieces greedy;
};

WordPiece::WordPiece()
    : WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]", std::string(kMask)}, "wordpiece", true) {}

WordPiece::WordPiece(std::vector<std::string> pieces, std::string_view path, bool lower)
    : lower_(lower) {
  auto table = std::make_shared<Table>();
  table->pieces = std::move(pieces);
  table->ids.reserve(table->pieces.size());
  for (std::size_t i = 0; i < table->pieces.size(); ++i) {
    const std::string& piece = table->pieces[i];
    const auto line = static_cast<std::int64_t>(i) + 1;
    if (first_bad_byte(piece)) throw DataError(path, line, "is no UTF-8 text");
    if (!table->ids.emplace(piece, static_cast<std::int32_t>(i)).second) {
      throw DataError(path, line, fmt::format("piece '{}' is there twice", piece));
    }
  }
  const std::vector<std::pair<std::string_view, std::int32_t>> entries(table->ids.begin(),
                                                                       table->ids.end());
  table->greedy = pipeline::GreedyPieces(entries, kInside);
  table_ = std::move(table);
  pad_ = id("[PAD]");
  unk_ = id("[UNK]");
  cls_ = id("[CLS]");
  sep_ = id("[SEP]");
  mask_ = id(kMask);
  for (const auto& [name, number] :
       {std::pair{"[UNK]", unk_}, std::pair{"[CLS]", cls_}, std::pair{"[SEP]", sep_}}) {
    if (number < 0) {
      throw DataError(path, 0, fmt::format("has no piece {}; is this a vocab.txt of BERT?", name));
    }
  }
}

WordPiece WordPiece::from_text(std::string_view text, std::string_view path, bool lower) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    pieces.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return {std::move(pieces), path, lower};
}

WordPiece WordPiece::load(const std::filesystem::path& path, bool lower) {
  return from_text(read_file(path), path.string(), lower);
}

void WordPiece::require_words(std::string_view path) const {
  for (std::int32_t id = 0; id < size(); ++id) {
    if (!is_special(id) && !piece(id).empty() && !piece(id).starts_with("[unused")) return;
  }
  throw DataError(path, 0,
                  "holds special tokens only: nothing to learn or to fill in; give the pieces of "
                  "a text");
}

std::string WordPiece::to_text() const {
  std::string text;
  for (const std::string& piece : table_->pieces) text.append(piece).append("\n");
  return text;
}

std::int32_t WordPiece::size() const { return static_cast<std::int32_t>(table_->pieces.size()); }

const std::string& WordPiece::piece(std::int32_t id) const {
  if (id < 0 || id >= size()) fail("wordpiece: no piece {}, there are {}", id, size());
  return table_->pieces[static_cast<std::size_t>(id)];
}

std::int32_t WordPiece::id(std::string_view piece) const {
  const auto found = table_->ids.find(piece);
  return found == table_->ids.end() ? -1 : found->second;
}

bool WordPiece::is_special(std::int32_t id) const {
  return id >= 0 && (id == pad_ || id == unk_ || id == cls_ || id == sep_ || id == mask_);
}

bool WordPiece::continues(std::int32_t id) const { return piece(id).starts_with(kInside); }

void WordPiece::cut_word(const std::string& word, std::vector<std::int32_t>& ids) const {
  const std::size_t before = ids.size();
  const auto characters =
      static_cast<std::size_t>(std::count_if(word.begin(), word.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      }));
  const auto add = [&ids](std::int32_t id, std::size_t, std::size_t) { ids.push_back(id); };
  if (characters <= longest_word_ && table_->greedy.cut(word, add)) return;
  ids.resize(before);
  ids.push_back(unk_);
}

std::vector<std::int32_t> WordPiece::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  for (const std::string& word : basic_tokens(text, lower_)) cut_word(word, ids);
  return ids;
}

std::vector<std::int32_t> WordPiece::encode_masked(std::string_view text) const {
  if (mask_ < 0) fail("the vocabulary has no piece [MASK]");
  std::vector<std::int32_t> ids;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(kMask, begin);
    const std::vector<std::int32_t> part = encode(text.substr(begin, end - begin));
    ids.insert(ids.end(), part.begin(), part.end());
    if (end == std::string_view::npos) return ids;
    ids.push_back(mask_);
    begin = end + kMask.size();
  }
}

std::vector<std::string> WordPiece::pieces(std::string_view text) const {
  std::vector<std::string> result;
  for (const std::int32_t id : encode(text)) result.push_back(piece(id));
  return result;
}

std::string WordPiece::decode(std::span<const std::int32_t> ids) const {
  std::vector<std::string> words;
  for (const std::int32_t id : ids) {
    if (is_special(id) && id != unk_ && id != mask_) continue;
    const std::string& text = piece(id);
    if (continues(id) && !words.empty()) {
      words.back().append(text, kInside.size());
    } else {
      words.push_back(text);
    }
  }
  const std::vector<std::string_view> views(words.begin(), words.end());
  return join_words(views);
}

}  // namespace qkv
