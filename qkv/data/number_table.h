// Columns of numbers, plain or gzipped, between tabs, commas or blanks; a header is allowed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

struct NumberTable {
  std::vector<std::string> names;  // one a column; "x1", "x2" … without a header
  std::vector<double> values;      // [rows, columns], all finite

  std::int64_t columns() const { return static_cast<std::int64_t>(names.size()); }
  std::int64_t rows() const {
    return names.empty() ? 0 : static_cast<std::int64_t>(values.size()) / columns();
  }
  /// Columns [begin, end) as a tensor in double.
  Tensor block(std::int64_t begin, std::int64_t end) const;
};

/// Fields of a line: between tabs when it has one, else between commas, else between blanks.
std::vector<std::string> split_fields(const std::string& line);

/// One row of numbers; `name` and `line` are for the message when a field is none.
std::vector<double> parse_numbers(const std::vector<std::string>& fields, const std::string& name,
                                  std::int64_t line);

/// A first line with a field that is no number names the columns. Blank lines and lines that begin
/// with # are passed over. Throws DataError with the line for a field that is no finite number, or
/// another number of fields than in the first; and for a file without rows.
NumberTable read_number_table(const std::string& path);

}  // namespace qkv
