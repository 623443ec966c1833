// Columns of numbers, plain or gzipped, between tabs, commas or blanks; a header is allowed. Fields
// may stand in double quotes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

struct NumberTable {
  std::vector<std::string> names;  // one a column; "x1", "x2" … without a header
  std::vector<double> values;      // [rows, columns], all finite
  std::int64_t header_line = 0;    // of the names; 0: there is none
  std::int64_t comments = 0;       // lines passed over that begin with #

  std::int64_t columns() const { return static_cast<std::int64_t>(names.size()); }
  std::int64_t rows() const {
    return names.empty() ? 0 : static_cast<std::int64_t>(values.size()) / columns();
  }
  /// Columns [begin, end) as a tensor in double.
  Tensor block(std::int64_t begin, std::int64_t end) const;
};

/// Fields of a line: between tabs when it has one, else between commas, else between blanks. In
/// double quotes a comma is a comma, and "" a quote; the quotes are taken away.
std::vector<std::string> split_fields(const std::string& line);

/// One row of numbers; `name` and `line` are for the message when a field is none.
std::vector<double> parse_numbers(const std::vector<std::string>& fields, const std::string& name,
                                  std::int64_t line);

/// A first line names the columns when each of its fields is text: no number, nothing that begins
/// as one (12kg), no sign of a missing value (NA, nan, -). That, and lines that begin with # and
/// are passed over, a notice() tells. Throws DataError with the line for a field that is no finite
/// number, or another number of fields than in the first; and for a file without rows.
NumberTable read_number_table(const std::string& path);

}  // namespace qkv
