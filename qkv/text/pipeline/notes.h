// What stands beside a tokeniser in its directory: tokenizer_config.json, special_tokens_map.json,
// added_tokens.json and, for what the others leave out, config.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/text/pipeline/json_part.h"
#include "qkv/text/pipeline/parts.h"

namespace qkv::pipeline {

class Notes {
 public:
  explicit Notes(const std::filesystem::path& directory);
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;

  /// The class of the tokeniser without "Tokenizer" and "Fast" ("Bert", "XLMRoberta"), or the
  /// model_type of config.json; empty where nothing says.
  std::string kind() const;
  /// A field of tokenizer_config.json; none when it is missing or null.
  std::optional<JsonPart> setting(const char* name) const;
  bool flag(const char* name, bool otherwise) const;
  /// do_lower_case, which our own directories and old ones have in config.json.
  bool lower_case() const;
  /// Code points of a word that WordPiece cuts: 100, and in directories of ours what they say.
  std::int64_t longest_word() const;
  /// The token with a role ("mask_token"), or `otherwise`; empty: none.
  std::string token(const std::string& role, std::string_view otherwise = "") const;

  /// Texts of additional_special_tokens.
  std::vector<std::string> more_tokens() const;
  /// All tokens beside the model's vocabulary, which says their numbers where the files do not:
  /// those with a role (`defaults`, role to token, where no file names one), and those added.
  std::vector<AddedToken> added(const std::map<std::string, AddedToken>& defaults,
                                const PieceIds& vocabulary) const;
  /// Throws DataError where tokenizer_config.json says another thing than the parts do.
  void check(const Parts& parts) const;
  /// Sets Parts::roles.
  void set_roles(const std::map<std::string, AddedToken>& defaults, Parts& parts) const;

 private:
  struct File {
    std::string path;
    nlohmann::json json;  // null: there is no such file
  };
  static File read(const std::filesystem::path& path);
  std::optional<JsonPart> role(const std::string& name) const;
  bool is_ours() const;

  File config_, map_, added_, model_;
};

}  // namespace qkv::pipeline
