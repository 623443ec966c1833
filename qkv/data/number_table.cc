#include "qkv/data/number_table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

/// How tables write that there is no value.
bool is_missing(std::string_view text) {
  constexpr std::array<std::string_view, 9> kMissing = {"na",   "n/a", "#n/a", "nan",     "null",
                                                        "none", "nil", "inf",  "infinity"};
  std::string lower;
  for (const char c : text) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower.starts_with('+') || (lower.starts_with('-') && lower.size() > 1)) lower.erase(0, 1);
  return std::find(kMissing.begin(), kMissing.end(), lower) != kMissing.end();
}

bool has_letter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

bool begins_as_number(std::string_view text) {
  const std::size_t at = text.find_first_not_of("+-.,");
  return at != std::string_view::npos && text[at] >= '0' && text[at] <= '9';
}

/// Whether these can be names of columns. The first may be empty, above a column of row numbers.
bool are_names(const std::vector<std::string>& fields) {
  bool any = false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (begins_as_number(fields[i]) || is_missing(fields[i])) return false;
    if (!has_letter(fields[i]) && (i > 0 || !fields[i].empty())) return false;
    any = any || !fields[i].empty();
  }
  return any;
}

/// The end of the field that begins at `begin`: a mark outside quotes, or the end of the line.
std::size_t field_end(std::string_view line, std::size_t begin, char mark) {
  const std::size_t start = line.find_first_not_of(" \t", begin);
  if (start == std::string_view::npos || line[start] != '"') return line.find(mark, begin);
  bool quoted = false;
  for (std::size_t at = start; at < line.size(); ++at) {
    if (line[at] == '"') quoted = !quoted;
    if (line[at] == mark && !quoted) return at;
  }
  return quoted ? line.find(mark, begin) : std::string_view::npos;  // a quote that is not closed
}

std::string unquoted(std::string_view field) {
  if (field.size() < 2 || field.front() != '"' || field.back() != '"') return std::string(field);
  field = field.substr(1, field.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '"' && i + 1 < field.size() && field[i + 1] == '"') ++i;
    text += field[i];
  }
  return std::string(trim_spaces(text));
}

void tell(const NumberTable& table, const std::string& path) {
  if (table.header_line > 0) {
    std::string names;
    for (const std::string& name : table.names) names += (names.empty() ? "" : ", ") + name;
    notice(
        fmt::format("{}:{}: is no row, it names the columns: {}", path, table.header_line, names));
  }
  if (table.comments > 0) {
    notice(fmt::format("{}: {} lines that begin with # are passed over", path, table.comments));
  }
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
    const std::size_t end = std::min(field_end(line, begin, mark), line.size());
    const std::string_view field = trim_spaces(std::string_view(line).substr(begin, end - begin));
    if (mark != ' ' || !field.empty()) fields.push_back(unquoted(field));
    begin = end + 1;
  }
  return fields;
}

std::vector<double> parse_numbers(const std::vector<std::string>& fields, const std::string& name,
                                  std::int64_t line) {
  std::vector<double> row;
  row.reserve(fields.size());
  for (const std::string& field : fields) {
    const std::optional<double> value = parse_double(field);
    if (!value) {
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
    const std::string_view text = trim_spaces(line);
    if (text.empty()) continue;
    if (text.front() == '#') {
      ++table.comments;
      continue;
    }
    const std::vector<std::string> fields = split_fields(line);
    if (table.names.empty()) {
      const bool header = are_names(fields);
      if (header) table.header_line = reader.line_number();
      for (std::size_t i = 0; i < fields.size(); ++i) {
        const bool named = header && !fields[i].empty();
        table.names.push_back(named ? fields[i] : fmt::format("x{}", i + 1));
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
  tell(table, reader.name());
  return table;
}

}  // namespace qkv
