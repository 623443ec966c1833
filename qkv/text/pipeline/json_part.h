// A piece of a tokenizer.json with the way to it, for readers that refuse what they do not know.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace qkv::pipeline {

class JsonPart {
 public:
  using Json = nlohmann::json;
  JsonPart(const Json& value, std::string_view file, std::string where)
      : value_(&value), file_(file), where_(std::move(where)) {}

  const Json& json() const { return *value_; }
  std::string_view file() const { return file_; }
  /// Throws DataError: "FILE: WHERE: reason".
  [[noreturn]] void refuse(std::string_view reason) const;
  bool is_null() const { return value_->is_null(); }

  /// A field of an object that must be there, or one that may be missing or null.
  JsonPart field(const char* name) const;
  std::optional<JsonPart> maybe(const char* name) const;
  std::vector<JsonPart> list() const;

  std::string text() const;
  bool flag() const;
  std::int64_t whole(std::int64_t least, std::int64_t most) const;
  double number() const;
  std::int32_t id() const;  // of a token

  std::string text_of(const char* name, std::string_view otherwise) const;
  bool flag_of(const char* name, bool otherwise) const;
  /// Throws when the object has any other field.
  void only(std::initializer_list<std::string_view> names) const;

 private:
  const Json* value_;
  std::string_view file_;
  std::string where_;
};

}  // namespace qkv::pipeline
