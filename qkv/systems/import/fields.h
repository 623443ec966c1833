// Fields of files that other programs write: known to change nothing, or to be one value only, or
// unknown.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/io/json.h"

namespace qkv {

/// Whether there is such a file.
bool is_file(const std::filesystem::path& path);

/// An object of another program. Each accessor counts its field as known.
class ForeignFields {
 public:
  /// Throws DataError unless the value is an object.
  ForeignFields(const Json& json, std::string file);

  const std::string& file() const { return file_; }
  bool has(std::string_view name);                // there and not null
  const Json& operator[](std::string_view name);  // null when it is absent
  /// These throw DataError for another type; nothing when the field is absent or null.
  std::optional<bool> boolean(std::string_view name);
  std::optional<double> number(std::string_view name);
  std::optional<std::string> text(std::string_view name);
  /// Fields that change nothing here.
  void harmless(std::initializer_list<std::string_view> names);
  /// Throws DataError unless the field is absent, null or one of these values.
  void only(std::string_view name, std::initializer_list<Json> values);
  [[noreturn]] void refuse(std::string_view name, std::string_view reason) const;
  /// Adds a note that names the fields that nobody asked for, if there are any.
  void note_unknown(std::vector<std::string>& notes) const;
  /// The same for an object inside another: refuse(name, …) of `owner` for the first such field.
  void refuse_unknown(const ForeignFields& owner, std::string_view name) const;
  /// Counts as known what another reader asked for, of a file that repeats fields of this one.
  void know_with(const ForeignFields& other);

 private:
  const Json& json_;
  std::string file_;
  std::set<std::string, std::less<>> known_;
};

/// "a, b, c", cut after some: "a, b, … (9 in all)".
std::string listed(const std::vector<std::string>& names);

}  // namespace qkv
