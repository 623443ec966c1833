// The table by which SentencePiece models rewrite text ("precompiled_charsmap"): a double array of
// byte sequences, each with what takes its place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qkv::pipeline {

class Charsmap {
 public:
  /// Throws Error when the bytes are not such a table.
  explicit Charsmap(std::string_view bytes);

  /// What takes the place of the shortest known beginning of `text`; nothing when there is none.
  std::optional<std::string_view> replacement(std::string_view text) const;
  /// No text of ASCII alone is changed by it, but for one with a line end.
  bool keeps_ascii(std::string_view text) const;

 private:
  std::vector<std::uint32_t> units_;
  std::string texts_;
  bool changes_[128] = {};
};

}  // namespace qkv::pipeline
