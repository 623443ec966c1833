#include "qkv/data/column_layout.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "qkv/base/utf8.h"

namespace qkv {
namespace {

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// A number, perhaps with a point or bracket behind it, alone or behind what tells sentences: "12",
/// "12.", "s1-12", "w12".
struct Count {
  std::string_view prefix;
  std::int64_t value = 0;
};
std::optional<Count> count_of(std::string_view field) {
  while (field.size() > 1 && std::string_view(".):").find(field.back()) != std::string_view::npos) {
    field.remove_suffix(1);
  }
  std::size_t begin = field.size();
  while (begin > 0 && field[begin - 1] >= '0' && field[begin - 1] <= '9') --begin;
  const std::optional<std::int64_t> value = number(field.substr(begin));
  if (!value) return std::nullopt;
  return Count{field.substr(0, begin), *value};
}

/// How many rows go on counting, and how many should.
struct Tally {
  std::int64_t right = 0, rows = 0;
  bool steps = false;  // some row is one more than the one before

  // A tenth may be out of step: lines get lost when sentences are cut by hand.
  bool counts() const { return steps && 10 * right >= 9 * rows; }
};

/// `first`: what each sentence begins with; −1: counting goes on through the file. Where no row but
/// the first opens a sentence, counting anew opens one.
Tally tally(const ColumnRows& rows, const std::vector<bool>& opens, std::size_t column,
            std::int64_t first, bool prefixes) {
  Tally t;
  Count before{.prefix = {}, .value = -1};
  bool start = true;
  const bool anew = first >= 0 && std::count(opens.begin(), opens.end(), true) == 1;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    start = start || opens[i];
    if (column >= rows[i].size()) return {};
    const std::string_view field = rows[i][column];
    const Counter kind = counter_of(field);
    if (!prefixes && (kind == Counter::range || kind == Counter::empty)) continue;
    ++t.rows;
    const std::optional<Count> count = count_of(field);
    if (count && (prefixes || count->prefix.empty())) {
      const bool again = anew && count->value == first && before.value > first;
      const bool fresh = again || (start && (first >= 0 || t.rows == 1));
      // One less, not one more: the field may hold the largest number.
      const bool in_step = fresh ? (first >= 0 ? count->value == first : count->value <= 1)
                                 : count->value - 1 == before.value;
      if (in_step && (fresh || count->prefix == before.prefix)) {
        ++t.right;
        t.steps = t.steps || !fresh;
      }
      before = *count;
    }
    start = false;
  }
  return t;
}

bool same_in_sentences(const ColumnRows& rows, const std::vector<bool>& opens, std::size_t column) {
  bool seen = false;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (opens[i]) continue;
    if (column >= std::min(rows[i].size(), rows[i - 1].size())) return false;
    if (rows[i][column] != rows[i - 1][column]) return false;
    seen = true;
  }
  return seen;
}

/// Signs and capitals, as tags are written: no prose, no key=value.
bool looks_like_tag(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '=' || c == '/';
  });
}

bool may_be_comment(const ColumnLine& line) { return line.leads && begins_comment(line.text); }

std::string_view tag_in(const std::vector<std::string_view>& fields, std::int64_t column) {
  if (column == 0) return fields.back();
  const auto at = static_cast<std::size_t>(column - 1);
  return at < fields.size() ? fields[at] : std::string_view();
}

}  // namespace

bool begins_comment(std::string_view line) {
  if (line.starts_with('#')) return true;
  for (const std::string_view mark : {"% ", "%%", "// ", "; ", ";;"}) {
    if (line.starts_with(mark)) return true;
  }
  return false;
}

std::optional<std::int64_t> plain_count(std::string_view field) {
  const std::optional<Count> count = count_of(field);
  if (!count) return std::nullopt;
  return count->value;
}

std::vector<std::string_view> column_fields(std::string_view line, bool tabs) {
  return tabs ? split_columns(line) : split_blanks(line);
}

bool tabs_part_fields(const std::vector<ColumnLine>& lines) {
  std::set<std::size_t> by_tabs, by_blanks;
  std::size_t with_tabs = 0, all = 0;
  bool spaced_tags = true;  // no tag without a space: word TAB rest, the rest between blanks
  for (const ColumnLine& line : lines) {
    if (may_be_comment(line)) continue;
    ++all;
    const auto fields = split_columns(line.text);
    if (trim_spaces(line.text).find('\t') != std::string_view::npos) {
      ++with_tabs;
      by_tabs.insert(fields.size());
    }
    spaced_tags = spaced_tags && fields.back().find(' ') != std::string_view::npos;
    by_blanks.insert(split_blanks(line.text).size());
  }
  if (with_tabs == all && by_tabs.size() == 1) return !(spaced_tags && by_blanks.size() == 1);
  return by_blanks.size() > 1 && 2 * with_tabs > all;
}

std::int64_t remove_comments(std::vector<ColumnLine>& lines, std::int64_t tags) {
  if (std::all_of(lines.begin(), lines.end(), may_be_comment)) {  // perhaps hashtags, one by one
    return static_cast<std::int64_t>(
        std::erase_if(lines, [](const ColumnLine& line) { return line.text.starts_with("# "); }));
  }
  const bool tabs = tabs_part_fields(lines);
  std::set<std::size_t> widths;
  std::set<std::string, std::less<>> known;
  bool has_tabs = false;
  for (const ColumnLine& line : lines) {
    if (may_be_comment(line)) continue;
    const auto fields = column_fields(line.text, tabs);
    widths.insert(fields.size());
    known.emplace(tag_in(fields, tags));
    has_tabs = has_tabs || line.text.find('\t') != std::string::npos;
  }
  const auto is_comment = [&](const ColumnLine& line) {
    if (!may_be_comment(line)) return false;
    const auto fields = column_fields(line.text, tabs);
    if (!widths.contains(fields.size())) return true;
    if (!has_tabs && line.text.find('\t') != std::string::npos) return true;
    if (tabs && fields.front().find(' ') != std::string_view::npos) return true;
    const std::string_view tag = tag_in(fields, tags);
    if (known.find(tag) != known.end()) return false;
    // A word of its own tag, such as a tag for hashes: "# #", "#rain HT".
    const bool hash_alone = fields.front().find_first_not_of("#%/;") == std::string_view::npos;
    return hash_alone ? !looks_like_tag(tag) : line.text.find('=') != std::string::npos;
  };
  return static_cast<std::int64_t>(std::erase_if(lines, is_comment));
}

Counter counter_of(std::string_view field) {
  const std::size_t mark = field.find_first_of("-.");
  if (mark == std::string_view::npos) return number(field) ? Counter::word : Counter::none;
  if (!number(field.substr(0, mark)) || !number(field.substr(mark + 1))) return Counter::none;
  return field[mark] == '-' ? Counter::range : Counter::empty;
}

std::optional<std::size_t> counting_column(const ColumnRows& rows, const std::vector<bool>& opens) {
  constexpr std::size_t kMostBefore = 4;  // CoNLL-2012 has the document and its part before
  if (rows.empty()) return std::nullopt;
  for (std::size_t k = 0; k < std::min(kMostBefore, rows.front().size()); ++k) {
    for (const bool prefixes : {false, true}) {
      for (const std::int64_t first : {1, 0, -1}) {
        if (tally(rows, opens, k, first, prefixes).counts()) return k;
      }
    }
    if (!same_in_sentences(rows, opens, k)) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace qkv
