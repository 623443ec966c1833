// Vocabulary: tokens by number, built by count. The first four numbers are the special tokens;
// the others follow by falling count, equal counts by their bytes, so the same text always gives
// the same table.
//
// File: UTF-8, one `token TAB count` a line in the order of the numbers, the four special tokens
// first. Inside a token \t, \n, \r and \\ are written with a backslash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qkv {

struct TokenHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view token) const {
    return std::hash<std::string_view>{}(token);
  }
};
/// How often each token occurs.
using TokenCounts = std::unordered_map<std::string, std::int64_t, TokenHash, std::equal_to<>>;
void count_token(TokenCounts& counts, std::string_view token, std::int64_t times = 1);

struct SpecialTokens {
  std::string pad = "<pad>";
  std::string unk = "<unk>";
  std::string bos = "<bos>";
  std::string eos = "<eos>";
};

struct VocabularyOptions {
  std::int64_t min_count = 1;  // rarer tokens become unknown
  std::int64_t max_size = 0;   // special tokens included; 0: no limit
  SpecialTokens specials = {};
};

class Vocabulary {
 public:
  static constexpr std::int32_t kPad = 0, kUnk = 1, kBos = 2, kEos = 3, kSpecials = 4;

  /// Only the special tokens.
  Vocabulary() : Vocabulary({}, {}) {}
  /// The count of the unknown token is that of all tokens left out. A token spelled like a special
  /// one is left out too: text cannot smuggle in an end of sentence.
  explicit Vocabulary(const TokenCounts& counts, const VocabularyOptions& options = {});

  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  /// kUnk for a token that is not in the table and for the spelling of a special token.
  std::int32_t id(std::string_view token) const;
  /// Throws Error when there is no such number.
  const std::string& token(std::int32_t id) const { return tokens_[index(id)]; }
  /// Occurrences in the text it was built from.
  std::int64_t count(std::int32_t id) const { return counts_[index(id)]; }

  std::string to_text() const;
  /// Reads what to_text wrote; `path` is for messages. Throws DataError with the line.
  static Vocabulary from_text(std::string_view text, std::string_view path);
  void save(const std::filesystem::path& path) const;
  static Vocabulary load(const std::filesystem::path& path);

 private:
  std::size_t index(std::int32_t id) const;
  bool add(std::string token, std::int64_t count);  // false: it is there already

  std::vector<std::string> tokens_;
  std::vector<std::int64_t> counts_;
  std::unordered_map<std::string, std::int32_t, TokenHash, std::equal_to<>> ids_;
};

/// How much of a text is unknown; see Tokeniser::unknown_report.
struct UnknownReport {
  std::int64_t tokens = 0;
  std::int64_t unknown = 0;
  std::int64_t types = 0;  // distinct tokens
  std::int64_t unknown_types = 0;

  double rate() const {
    return tokens > 0 ? static_cast<double>(unknown) / static_cast<double>(tokens) : 0.0;
  }
  /// "812 of 377534 tokens unknown (0.22 %), 790 of 9921 types"
  std::string summary() const;
};

}  // namespace qkv
