// How a file of columns is laid out, found from its lines: what parts the fields, which lines are
// comments, which column holds the words. Used by read_columns() alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// A line of a file of columns that is neither blank nor a mark between documents.
struct ColumnLine {
  std::int64_t number = 0;  // in the file
  std::string text;
  std::int64_t sentence = 0;  // blank lines and marks part them
  bool leads = false;         // no line before it in its sentence but such as begin with #
};

/// Whether every line has tabs that part as many fields as in the others, or blanks part them.
/// Where blanks alone give every line the same number of columns and tabs do not, tabs are blanks.
bool tabs_part_fields(const std::vector<ColumnLine>& lines);

/// The fields of a line; tabs part them when `tabs` says so, else tabs are blanks as spaces are.
std::vector<std::string_view> column_fields(std::string_view line, bool tabs);

/// Whether a line begins as comments do: with #, or with %, // or ; and a space.
bool begins_comment(std::string_view line);

/// Takes away the lines that are comments, and says how many: those that begin so before the first
/// word of a sentence and do not read as a word like the others. A word does when it has as
/// many fields, parted in the same way, and a tag that other words have or that looks like one.
/// `tags` is the column of tags from 1, 0 the last.
std::int64_t remove_comments(std::vector<ColumnLine>& lines, std::int64_t tags);

/// What stands in a field of a column that counts the words of a sentence.
enum class Counter : std::uint8_t { word, range, empty, none };
Counter counter_of(std::string_view field);

/// The number that a field of such a column ends in.
std::optional<std::int64_t> plain_count(std::string_view field);

using ColumnRows = std::vector<std::vector<std::string_view>>;

/// The column, from 0, that does nothing but count: words from 0 or 1 in every sentence, or on
/// through the file; without blank lines, from there anew for each sentence. Columns before it must
/// say the same in the whole of a sentence (a document's name), else they hold the words.
/// `opens[i]`: row i begins a sentence.
std::optional<std::size_t> counting_column(const ColumnRows& rows, const std::vector<bool>& opens);

}  // namespace qkv
