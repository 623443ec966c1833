// JSON for configuration files and metrics: nlohmann-json with messages that name file, line and
// field. Objects keep their fields sorted by name, so the same values always give the same bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace qkv {

using Json = nlohmann::json;

/// Throws DataError "name:line:column: reason" for a syntax error, bad UTF-8, a field given twice
/// or more than 64 levels of nesting. `line` is the number of a text that is one line of a file.
Json parse_json(std::string_view text, std::string_view name, std::int64_t line = 0);
Json read_json(const std::filesystem::path& path);
/// Pretty, with a final newline, through a temporary file. Throws Error for text that is not UTF-8.
/// JSON knows no NaN and no infinity: they are written as null.
void write_json(const std::filesystem::path& path, const Json& json);

/// JSON lines: one value a line. A last line without its newline was torn by a crash: it counts
/// when it is whole and is left out when it is not. Any other bad line throws DataError.
std::vector<Json> parse_jsonl(std::string_view text, std::string_view name);
std::vector<Json> read_jsonl(const std::filesystem::path& path);
/// Adds one line in one write; a torn last line is removed first. When the disk is full the file
/// stays as it was and FileError is thrown. For one writing process at a time.
void append_jsonl(const std::filesystem::path& path, const Json& json);

/// The candidate with the fewest edits from `name`; empty when none is near (more than a third of
/// the letters differ).
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// Bounds of a field, inclusive.
struct IntegerRange {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};
struct NumberRange {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
};

/// Reads an object field by field and rejects the fields that nobody asked for:
///   FieldReader r(json, "config.json");
///   config.layers = r.integer("layers", {.least = 1});
///   config.dropout = r.number("dropout", {0, 1}, 0.1);    // 0.1 when it is absent
///   r.finish();
/// Errors are DataError "config.json: field 'layers': expected a positive integer, got "six"".
/// The object must outlive the reader.
class FieldReader {
 public:
  /// Throws when `json` is no object. `prefix` goes before field names: "model.".
  FieldReader(const Json& json, std::string file, std::string prefix = "");

  /// Without a fallback the field must be there.
  std::int64_t integer(std::string_view name, IntegerRange allowed = {},
                       std::optional<std::int64_t> fallback = {});
  std::vector<std::int64_t> integers(std::string_view name, IntegerRange allowed = {});
  double number(std::string_view name, NumberRange allowed = {},
                std::optional<double> fallback = {});
  bool boolean(std::string_view name, std::optional<bool> fallback = {});
  std::string text(std::string_view name, std::optional<std::string> fallback = {});
  /// The index of the field's text in `words`.
  std::size_t choice(std::string_view name, std::span<const std::string_view> words,
                     std::optional<std::size_t> fallback = {});
  /// A nested object, named "outer.inner" in messages; call its finish() too.
  FieldReader object(std::string_view name);

  /// Whether the field is there; counts as asked for.
  bool has(std::string_view name);
  /// Throws for a field that was not asked for, with the nearest name that was.
  void finish() const;
  /// Throws DataError "file: field 'name': expected …, got …" for checks of the caller's own.
  [[noreturn]] void wrong(std::string_view name, std::string_view expected) const;

 private:
  const Json* find(std::string_view name, bool required);

  const Json& json_;
  std::string file_;
  std::string prefix_;
  std::vector<std::string> asked_;
};

}  // namespace qkv
