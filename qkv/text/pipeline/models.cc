#include "qkv/text/pipeline/models.h"

#include <algorithm>
#include <atomic>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

std::uint32_t u32(std::size_t n) { return static_cast<std::uint32_t>(n); }

/// What one thread remembers of one model's words.
struct WordCache {
  static constexpr std::size_t kWords = 1 << 15, kLongest = 64;

  std::uint64_t serial = 0;
  std::unordered_map<std::string, std::pair<std::uint32_t, std::uint32_t>, TokenHash,
                     std::equal_to<>>
      words;  // first token and how many
  std::vector<Token> tokens;

  void clear(std::uint64_t owner) {
    serial = owner;
    words.clear();
    tokens.clear();
  }
};

WordCache& cache_of(std::uint64_t serial) {
  thread_local std::array<WordCache, 4> caches;  // a translator uses two tokenisers by turns
  WordCache& cache = caches[serial % caches.size()];
  if (cache.serial != serial) cache.clear(serial);
  return cache;
}

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

}  // namespace

PieceTable::PieceTable(PieceIds ids) : ids_(std::move(ids)) {
  const std::size_t most = 2 * ids_.size() + (1 << 16);
  for (const auto& [piece, id] : ids_) {
    const auto at = static_cast<std::size_t>(id);
    if (id < 0 || at >= most) {
      fail("piece '{}' has the number {}, far beyond the {} pieces", piece, id, ids_.size());
    }
    if (at >= pieces_.size()) pieces_.resize(at + 1, nullptr);
    if (pieces_[at]) fail("pieces '{}' and '{}' have the same number {}", *pieces_[at], piece, id);
    pieces_[at] = &piece;
  }
}

std::int32_t PieceTable::id(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? -1 : found->second;
}

const std::string* PieceTable::piece(std::int32_t id) const {
  return id >= 0 && id < size() ? pieces_[static_cast<std::size_t>(id)] : nullptr;
}

void WordPieceModel::cut(std::string_view word, std::vector<Token>& tokens) const {
  const std::size_t before = tokens.size();
  const auto characters =
      static_cast<std::size_t>(std::count_if(word.begin(), word.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      }));
  const auto add = [&tokens](std::int32_t id, std::size_t begin, std::size_t end) {
    tokens.push_back({id, u32(begin), u32(end)});
  };
  if (characters <= longest_word && pieces.cut(word, add)) return;
  if (unk < 0)
    fail("tokenise: the text has unknown words, and the vocabulary lacks '{}'", unk_token);
  tokens.resize(before);
  add(unk, 0, word.size());
}

void WordLevelModel::cut(std::string_view word, std::vector<Token>& tokens) const {
  const auto found = pieces.find(word);
  const std::int32_t id = found == pieces.end() ? unk : found->second;
  if (id < 0)
    fail("tokenise: the text has unknown words, and the vocabulary lacks '{}'", unk_token);
  tokens.push_back({id, 0, u32(word.size())});
}

void SentencePieceModel::cut(std::string_view text, std::vector<Token>& tokens) const {
  // A language is a token at the beginning, and no text anywhere else. On each line it goes from
  // the first >> to the last <<.
  std::string rest;
  std::vector<std::uint32_t> places;  // of the rest's bytes in the text
  const auto add = [&](std::string_view id_of, std::size_t begin, std::size_t end) {
    const auto found = pieces.find(id_of);
    const std::int32_t id = found == pieces.end() ? unk : found->second;
    if (id < 0) {
      fail("tokenise: the text has unknown pieces, and the vocabulary has no token for them");
    }
    tokens.push_back({id, u32(begin), u32(end)});
  };
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t end = std::min(text.find('\n', line), text.size() - 1) + 1;
    const std::string_view whole = text.substr(line, end - line);
    const std::size_t open = whole.find(">>"), close = whole.rfind("<<");
    const bool code = languages && open != std::string_view::npos &&
                      close != std::string_view::npos && close >= open + 3;
    if (code && line + open == 0) add(whole.substr(0, close + 2), 0, close + 2);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      if (code && i >= open && i < close + 2) continue;
      rest += whole[i];
      places.push_back(u32(line + i));
    }
    line = end;
  }
  places.push_back(u32(text.size()));
  for (const SubwordPiece& p : model.traced(rest)) {
    add(p.text, places[p.begin], p.end > p.begin ? places[p.end - 1] + 1 : places[p.begin]);
  }
}

Model::Model(Kind kind) : kind_(std::move(kind)), serial_(next_serial()) {}

void Model::cut(std::string_view word, std::vector<Token>& tokens) const {
  const auto* bpe = std::get_if<BpeModel>(&kind_);
  if (bpe == nullptr || !bpe->spaces_begin_words) return cut_remembered(word, tokens);
  for (std::size_t begin = 0; begin < word.size();) {
    std::size_t inside = begin;
    while (word.substr(inside).starts_with(kVisibleSpace)) inside += kVisibleSpace.size();
    const std::size_t end = std::min(word.find(kVisibleSpace, inside), word.size());
    const std::size_t first = tokens.size();
    cut_remembered(word.substr(begin, end - begin), tokens);
    for (std::size_t i = first; i < tokens.size(); ++i) {
      tokens[i].begin += u32(begin);
      tokens[i].end += u32(begin);
    }
    begin = end;
  }
}

void Model::cut_remembered(std::string_view word, std::vector<Token>& tokens) const {
  const auto compute = [&] { std::visit([&](const auto& m) { m.cut(word, tokens); }, kind_); };
  if (word.size() > WordCache::kLongest || kind_.index() >= 3) return compute();
  WordCache& cache = cache_of(serial_);
  if (const auto known = cache.words.find(word); known != cache.words.end()) {
    const auto begin = cache.tokens.begin() + known->second.first;
    tokens.insert(tokens.end(), begin, begin + known->second.second);
    return;
  }
  const std::size_t before = tokens.size();
  compute();
  if (cache.words.size() >= WordCache::kWords) cache.clear(serial_);
  const std::size_t first = cache.tokens.size();
  cache.tokens.insert(cache.tokens.end(), tokens.begin() + static_cast<std::ptrdiff_t>(before),
                      tokens.end());
  cache.words.emplace(word, std::pair{u32(first), u32(cache.tokens.size() - first)});
}

}  // namespace qkv::pipeline
