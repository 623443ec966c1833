#include "qkv/text/pipeline/json_part.h"

#include <algorithm>

#include "qkv/base/error.h"

namespace qkv::pipeline {
namespace {

constexpr std::int64_t kLargestId = (std::int64_t{1} << 31) - 2;

std::string shown(const nlohmann::json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  const std::string text = value.dump(-1, ' ', true);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

}  // namespace

void JsonPart::refuse(std::string_view reason) const {
  throw DataError(file_, 0,
                  where_.empty() ? std::string(reason) : where_ + ": " + std::string(reason));
}

JsonPart JsonPart::field(const char* name) const {
  if (auto found = maybe(name)) return *found;
  refuse(fmt::format("has no {}", name));
}

std::optional<JsonPart> JsonPart::maybe(const char* name) const {
  if (!value_->is_object()) refuse(fmt::format("is {}, not an object", shown(*value_)));
  const auto found = value_->find(name);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return JsonPart(*found, file_, where_.empty() ? name : where_ + "." + name);
}

std::vector<JsonPart> JsonPart::list() const {
  if (!value_->is_array()) refuse(fmt::format("is {}, not a list", shown(*value_)));
  std::vector<JsonPart> parts;
  parts.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    parts.emplace_back((*value_)[i], file_, fmt::format("{}[{}]", where_, i));
  }
  return parts;
}

std::string JsonPart::text() const {
  if (!value_->is_string()) refuse(fmt::format("is {}, not a text", shown(*value_)));
  return value_->get<std::string>();
}

bool JsonPart::flag() const {
  if (!value_->is_boolean()) refuse(fmt::format("is {}, not true or false", shown(*value_)));
  return value_->get<bool>();
}

std::int64_t JsonPart::whole(std::int64_t least, std::int64_t most) const {
  const bool fits = value_->is_number_integer() &&
                    (!value_->is_number_unsigned() ||
                     value_->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
  if (!fits || value_->get<std::int64_t>() < least || value_->get<std::int64_t>() > most) {
    refuse(fmt::format("is {}, not a whole number from {} to {}", shown(*value_), least, most));
  }
  return value_->get<std::int64_t>();
}

double JsonPart::number() const {
  if (!value_->is_number()) refuse(fmt::format("is {}, not a number", shown(*value_)));
  return value_->get<double>();
}

std::int32_t JsonPart::id() const { return static_cast<std::int32_t>(whole(0, kLargestId)); }

std::string JsonPart::text_of(const char* name, std::string_view otherwise) const {
  const auto found = maybe(name);
  return found ? found->text() : std::string(otherwise);
}

bool JsonPart::flag_of(const char* name, bool otherwise) const {
  const auto found = maybe(name);
  return found ? found->flag() : otherwise;
}

void JsonPart::only(std::initializer_list<std::string_view> names) const {
  if (!value_->is_object()) refuse(fmt::format("is {}, not an object", shown(*value_)));
  for (const auto& entry : value_->items()) {
    if (std::ranges::find(names, entry.key()) != names.end()) continue;
    refuse(
        fmt::format("has a field '{}' that this program does not know", entry.key().substr(0, 60)));
  }
}

}  // namespace qkv::pipeline
