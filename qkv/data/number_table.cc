#include "qkv/data/number_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "qkv/base/error.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Tensor NumberTable::block(std::int64_t begin, std::int64_t end) const {
  Tensor out = Tensor::empty({rows(), end - begin}, DType::f64);
  for (std::int64_t r = 0; r < rows(); ++r) {
    std::copy_n(values.data() + r * columns() + begin, end - begin,
                out.data<double>() + r * (end - begin));
  }
  return out;
}

std::vector<std::string> split_fields(const std::string& line) {
  std::vector<std::string> fields;
  const char mark = line.find('\t') != std::string::npos  ? '\t'
                    : line.find(',') != std::string::npos ? ','
                                                          : ' ';
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(mark, begin), line.size());
    const std::string_view field = trimmed(std::string_view(line).substr(begin, end - begin));
    if (mark != ' ' || !field.empty()) fields.emplace_back(field);
    begin = end + 1;
  }
  return fields;
}

std::vector<double> parse_numbers(const std::vector<std::string>& fields, const std::string& name,
                                  std::int64_t line) {
  std::vector<double> row;
  row.reserve(fields.size());
  for (const std::string& field : fields) {
    const std::optional<double> value = number(field);
    if (!value || !std::isfinite(*value)) {
      throw DataError(
          name, line,
          fmt::format("field {} is '{}', expected a number such as 12.5", row.size() + 1, field));
    }
    row.push_back(*value);
  }
  return row;
}

NumberTable read_number_table(const std::string& path) {
  LineReader reader(path);
  NumberTable table;
  for (std::string line; reader.next(line);) {
    if (trimmed(line).empty() || trimmed(line).front() == '#') continue;
    const std::vector<std::string> fields = split_fields(line);
    if (table.names.empty()) {
      const bool header = std::any_of(fields.begin(), fields.end(),
                                      [](const std::string& f) { return !number(f); });
      for (std::size_t i = 0; i < fields.size(); ++i) {
        table.names.push_back(header ? fields[i] : fmt::format("x{}", i + 1));
      }
      if (header) continue;
    }
    if (fields.size() != table.names.size()) {
      throw DataError(
          reader.name(), reader.line_number(),
          fmt::format("has {} fields, the first line has {}", fields.size(), table.names.size()));
    }
    const std::vector<double> row = parse_numbers(fields, reader.name(), reader.line_number());
    table.values.insert(table.values.end(), row.begin(), row.end());
  }
  if (table.values.empty()) {
    throw DataError(reader.name(), 0, "holds no row of numbers");
  }
  return table;
}

}  // namespace qkv
