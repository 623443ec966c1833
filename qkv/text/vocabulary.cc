#include "qkv/text/vocabulary.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/normalise.h"

namespace qkv {
namespace {

constexpr std::string_view kEscaped = "\t\n\r\\";
constexpr std::string_view kLetters = "tnr\\";

std::string escape(std::string_view token) {
  std::string text;
  for (const char c : token) {
    const std::size_t at = kEscaped.find(c);
    if (at == std::string_view::npos) {
      text += c;
    } else {
      text += '\\';
      text += kLetters[at];
    }
  }
  return text;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string token;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      token += text[i];
      continue;
    }
    const std::size_t at = ++i < text.size() ? kLetters.find(text[i]) : std::string_view::npos;
    if (at == std::string_view::npos) return std::nullopt;
    token += kEscaped[at];
  }
  return token;
}

}  // namespace

void count_token(TokenCounts& counts, std::string_view token, std::int64_t times) {
  const auto found = counts.find(token);
  if (found != counts.end()) {
    found->second += times;
  } else {
    counts.emplace(token, times);
  }
}

Vocabulary::Vocabulary(const TokenCounts& counts, const VocabularyOptions& options) {
  const SpecialTokens& names = options.specials;
  for (const std::string& name : {names.pad, names.unk, names.bos, names.eos}) {
    if (!add(name, 0)) fail("vocabulary: two special tokens are called {}", name);
  }
  std::vector<std::pair<std::string_view, std::int64_t>> order;
  order.reserve(counts.size());
  std::int64_t left_out = 0;
  for (const auto& [token, count] : counts) {
    if (count < options.min_count || token.empty() || ids_.contains(token)) {
      left_out += count;
    } else {
      order.emplace_back(token, count);
    }
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  for (const auto& [token, count] : order) {
    if (options.max_size > 0 && size() >= std::max<std::int64_t>(options.max_size, kSpecials)) {
      left_out += count;
    } else {
      add(std::string(token), count);
    }
  }
  counts_[kUnk] = left_out;
}

bool Vocabulary::add(std::string token, std::int64_t count) {
  if (!ids_.emplace(token, size()).second) return false;
  tokens_.push_back(std::move(token));
  counts_.push_back(count);
  return true;
}

std::int32_t Vocabulary::id(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() || found->second < kSpecials ? kUnk : found->second;
}

std::size_t Vocabulary::index(std::int32_t id) const {
  if (id < 0 || id >= size()) fail("vocabulary: no token {}, there are {}", id, size());
  return static_cast<std::size_t>(id);
}

std::string Vocabulary::to_text() const {
  std::string text;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    text += fmt::format("{}\t{}\n", escape(tokens_[i]), counts_[i]);
  }
  return text;
}

Vocabulary Vocabulary::from_text(std::string_view text, std::string_view path) {
  Vocabulary vocabulary;
  vocabulary.tokens_.clear();
  vocabulary.counts_.clear();
  vocabulary.ids_.clear();
  std::int64_t line = 0;
  while (!text.empty()) {
    ++line;
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) throw DataError(path, line, "the last line is cut off");
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(end + 1);
    const std::size_t tab = row.rfind('\t');
    if (tab == std::string_view::npos) throw DataError(path, line, "expected token TAB count");
    std::int64_t count = 0;
    const char* last = row.data() + row.size();
    const auto parsed = std::from_chars(row.data() + tab + 1, last, count);
    if (parsed.ec != std::errc() || parsed.ptr != last || count < 0) {
      throw DataError(path, line, "the count is not a number");
    }
    std::optional<std::string> token = unescape(row.substr(0, tab));
    if (!token || token->empty() || first_bad_byte(*token)) {
      throw DataError(path, line, "the token is empty or not valid UTF-8");
    }
    if (!vocabulary.add(std::move(*token), count)) {
      throw DataError(path, line, "the token occurs twice");
    }
  }
  if (vocabulary.size() < kSpecials) {
    throw DataError(path, 0, "not a vocabulary: the four special tokens are missing");
  }
  return vocabulary;
}

void Vocabulary::save(const std::filesystem::path& path) const { write_file(path, to_text()); }

Vocabulary Vocabulary::load(const std::filesystem::path& path) {
  return from_text(read_file(path), path.string());
}

std::string UnknownReport::summary() const {
  return fmt::format("{} of {} tokens unknown ({:.2f} %), {} of {} types", unknown, tokens,
                     100.0 * rate(), unknown_types, types);
}

}  // namespace qkv
