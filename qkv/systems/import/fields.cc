#include "qkv/systems/import/fields.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/quote.h"

namespace qkv {

bool is_file(const std::filesystem::path& path) {
  std::error_code code;
  return std::filesystem::is_regular_file(path, code);
}

ForeignFields::ForeignFields(const Json& json, std::string file)
    : json_(json), file_(std::move(file)) {
  if (!json_.is_object()) throw DataError(file_, 0, "expected an object");
}

const Json& ForeignFields::operator[](std::string_view name) {
  static const Json kNone;
  known_.emplace(name);
  const auto found = json_.find(name);
  return found == json_.end() ? kNone : *found;
}

bool ForeignFields::has(std::string_view name) { return !(*this)[name].is_null(); }

std::optional<bool> ForeignFields::boolean(std::string_view name) {
  const Json& value = (*this)[name];
  if (value.is_null()) return {};
  if (!value.is_boolean()) refuse(name, "expected true or false");
  return value.get<bool>();
}

std::optional<double> ForeignFields::number(std::string_view name) {
  const Json& value = (*this)[name];
  if (value.is_null()) return {};
  if (!value.is_number()) refuse(name, "expected a number");
  return value.get<double>();
}

std::optional<std::string> ForeignFields::text(std::string_view name) {
  const Json& value = (*this)[name];
  if (value.is_null()) return {};
  if (!value.is_string()) refuse(name, "expected text");
  return value.get<std::string>();
}

void ForeignFields::harmless(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) known_.emplace(name);
}

void ForeignFields::only(std::string_view name, std::initializer_list<Json> values) {
  const Json& value = (*this)[name];
  if (value.is_null() || std::find(values.begin(), values.end(), value) != values.end()) return;
  std::string all;
  for (const Json& v : values) all += (all.empty() ? "" : " or ") + v.dump();
  refuse(name,
         fmt::format("is {}, this program knows {} only",
                     in_quotes(value.dump(-1, ' ', true, Json::error_handler_t::replace), ' ', 60),
                     all));
}

void ForeignFields::refuse(std::string_view name, std::string_view reason) const {
  throw DataError(file_, 0, fmt::format("field '{}': {}", name, reason));
}

void ForeignFields::refuse_unknown(const ForeignFields& owner, std::string_view name) const {
  std::vector<std::string> unknown;
  note_unknown(unknown);
  if (!unknown.empty()) owner.refuse(name, unknown.front());
}

void ForeignFields::know_with(const ForeignFields& other) {
  known_.insert(other.known_.begin(), other.known_.end());
}

void ForeignFields::note_unknown(std::vector<std::string>& notes) const {
  std::vector<std::string> unknown;
  for (const auto& [name, value] : json_.items()) {
    if (!known_.contains(name) && !value.is_null()) unknown.push_back(in_quotes(name));
  }
  if (unknown.empty()) return;
  notes.push_back(fmt::format("{}: {} this program does not know: {}", file_,
                              unknown.size() == 1 ? "a field that" : "fields that",
                              listed(unknown)));
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 6;
  std::string all;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) {
    all += (i > 0 ? ", " : "") + names[i];
  }
  return names.size() <= kShown ? all : fmt::format("{}, … ({} in all)", all, names.size());
}

}  // namespace qkv
