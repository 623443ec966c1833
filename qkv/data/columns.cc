#include <algorithm>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/utf8.h"
#include "qkv/data/column_layout.h"
#include "qkv/data/labelled_sentences.h"
#include "qkv/data/lines.h"
#include "qkv/data/tag_forms.h"

namespace qkv {
namespace {

/// A file of columns on its way to sentences.
class ColumnFile {
 public:
  ColumnFile(const std::string& path, const ColumnOptions& columns)
      : path_(path), columns_(columns) {
    read_file();
    const std::int64_t comments = remove_comments(lines_, columns.tags);
    text_.report.comments += comments;
    if (text_.report.comments > 0) {
      notice(fmt::format("{}: {} comments (such as lines that begin with #) are passed over", path,
                         text_.report.comments));
    }
    tabs_ = tabs_part_fields(lines_);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      rows_.push_back(column_fields(lines_[i].text, tabs_));
      opens_.push_back(i == 0 || lines_[i].sentence != lines_[i - 1].sentence);
    }
  }

  LabelledText sentences() && {
    check_widths();
    find_words();
    Sentence sentence;
    std::vector<std::vector<std::int64_t>> numbers;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (opens_[i]) finish(text_, sentence);
      if (passes_over(i)) continue;
      if (sentence.words.empty()) numbers.emplace_back();
      numbers.back().push_back(lines_[i].number);
      add(sentence, i);
    }
    finish(text_, sentence);
    expect_sentences(text_, path_, "a word and its tag a line");
    judge();
    settle_tags(text_.tags, path_, [&](TagPlace at) { return numbers[at.sentence][at.word]; });
    return std::move(text_);
  }

 private:
  void read_file() {
    LineReader reader(path_);
    std::int64_t sentence = 0;
    bool leads = true;
    for (std::string line; reader.next(line);) {
      const bool document = line.starts_with("-DOCSTART-");
      if (document) ++text_.report.documents;
      const bool mark = line.starts_with("#begin document") || line.starts_with("#end document");
      if (mark) ++text_.report.comments;  // CoNLL-2012
      if (document || mark || is_blank(line)) {
        ++sentence;
        leads = true;
        continue;
      }
      lines_.push_back(
          {.number = reader.line_number(), .text = line, .sentence = sentence, .leads = leads});
      leads = leads && begins_comment(line);
    }
  }

  [[noreturn]] void refuse(std::size_t row, const std::string& reason) const {
    throw DataError(path_, lines_[row].number, reason);
  }

  /// Enough columns everywhere, and as many as before.
  void check_widths() const {
    const auto wanted =
        static_cast<std::size_t>(std::max({std::int64_t{2}, columns_.tags, columns_.words}));
    std::size_t width = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::size_t has = rows_[i].size();
      if (has < wanted) {
        refuse(i, fmt::format("has {} columns, expected a word and its tag in column {}", has,
                              wanted));
      }
      if (i == 0 || (opens_[i] && columns_.tags > 0)) width = has;
      if (has != width) {
        refuse(i, fmt::format("has {} columns, the lines before have {}; is the blank line between "
                              "two sentences or a tag missing?",
                              has, width));
      }
    }
  }

  void find_words() {
    const std::optional<std::size_t> counts = counting_column(rows_, opens_);
    const std::size_t width = rows_.empty() ? 2 : rows_.front().size();
    const std::size_t tag = tag_column(width);
    word_ = columns_.words > 0 ? static_cast<std::size_t>(columns_.words - 1)
            : counts           ? *counts + 1
                               : 0;
    if (counts && *counts != word_) {
      counts_ = *counts;
      plain_counts_ = counts_plainly();
      if (std::count(opens_.begin(), opens_.end(), true) == 1) open_at_counts();
    }
    if (counts && columns_.words == 0 && (word_ >= width || word_ == tag)) {
      refuse(0, fmt::format("column {} only counts, which leaves no column for words beside the "
                            "tags of column {}; if it does hold the words, say --word-column {}",
                            *counts + 1, tag + 1, *counts + 1));
    }
    if (word_ == tag) refuse(0, fmt::format("column {} cannot hold words and tags", tag + 1));
    if (!counts || columns_.words > 0) return;
    notice(
        fmt::format("{}: words are in column {} (column {} counts them), tags in column {} of {}",
                    path_, word_ + 1, *counts + 1, tag + 1, width));
  }

  std::size_t tag_column(std::size_t width) const {
    return columns_.tags == 0 ? width - 1 : static_cast<std::size_t>(columns_.tags - 1);
  }

  /// CoNLL-U without its name: a range of words, or a node that stands for none.
  bool passes_over(std::size_t row) {
    if (!plain_counts_) return false;
    const Counter kind = counter_of(rows_[row][counts_]);
    text_.report.ranges += kind == Counter::range ? 1 : 0;
    text_.report.empty_nodes += kind == Counter::empty ? 1 : 0;
    return kind == Counter::range || kind == Counter::empty;
  }

  /// A file without blank lines: sentences begin where counting does.
  void open_at_counts() {
    std::optional<std::int64_t> first;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::string_view field = rows_[i][counts_];
      if (plain_counts_ && counter_of(field) != Counter::word) continue;
      const std::optional<std::int64_t> count = plain_count(field);
      if (first && count == first) opens_[i] = true;
      if (!first) first = count;
    }
  }

  /// "1-2" among plain numbers is a range, among "1-1" and "1-3" a sentence and a word.
  bool counts_plainly() const {
    const auto plain = std::count_if(rows_.begin(), rows_.end(), [this](const auto& row) {
      return counter_of(row[counts_]) == Counter::word;
    });
    return 2 * static_cast<std::size_t>(plain) > rows_.size();
  }

  void add(Sentence& sentence, std::size_t row) {
    const std::string_view word = rows_[row][word_];
    const std::string_view tag = trim_spaces(rows_[row][tag_column(rows_[row].size())]);
    if (word.empty()) refuse(row, fmt::format("the word (column {}) is empty", word_ + 1));
    if (tag.empty()) refuse(row, "the tag is empty");
    spaced_ += word.find(' ') != std::string_view::npos ? 1 : 0;
    sentence.words.emplace_back(word);
    sentence.tags.emplace_back(tag);
  }

  /// What the counts of words and tags give away about the columns.
  void judge() const {
    std::set<std::string_view> words, tags;
    std::int64_t digits = 0;
    bool spans = true, typed = false;
    for (std::size_t i = 0; i < text_.words.size(); ++i) {
      for (std::size_t j = 0; j < text_.words[i].size(); ++j) {
        const std::string_view word = text_.words[i][j];
        words.insert(word);
        tags.insert(text_.tags[i][j]);
        digits += word.find_first_not_of("0123456789") == std::string_view::npos ? 1 : 0;
        spans = spans && is_span_tag(word);
        typed = typed || (word.size() > 2 && is_span_tag(word));
      }
    }
    const std::size_t width = rows_.front().size();
    if (spans && typed && columns_.words == 0) {
      refuse(0, fmt::format("column {} holds tags such as '{}' where words are expected; say "
                            "--word-column and --column",
                            word_ + 1, *words.rbegin()));
    }
    if (tags.size() > words.size() && tags.size() >= 10) {
      notice(
          fmt::format("{}: {} tags for {} words; are the columns right? --word-column and "
                      "--column say where they are",
                      path_, tags.size(), words.size()));
    } else if (text_.report.tokens >= 4 && 5 * digits >= 4 * text_.report.tokens) {
      notice(
          fmt::format("{}: the words (column {}) are mostly numbers; --word-column says where "
                      "others are",
                      path_, word_ + 1));
    }
    if (tags.size() == 1 && width > 2) {
      notice(fmt::format("{}: column {} holds nothing but '{}'; --column says where the tags are",
                         path_, tag_column(width) + 1, *tags.begin()));
    }
    if (spaced_ > 0) {
      notice(fmt::format("{}: {} words hold spaces; a line of text would show each as several",
                         path_, spaced_));
    }
  }

  const std::string path_;
  const ColumnOptions columns_;
  LabelledText text_;
  std::vector<ColumnLine> lines_;
  ColumnRows rows_;
  std::vector<bool> opens_;
  bool tabs_ = false;
  bool plain_counts_ = false;  // column counts_ holds 1, 2, 3 …
  std::size_t word_ = 0, counts_ = 0;
  std::int64_t spaced_ = 0;
};

}  // namespace

LabelledText read_columns(const std::string& path, const ColumnOptions& columns) {
  for (const std::int64_t column : {columns.tags, columns.words}) {
    if (column < 0) fail("column {} is less than 0; columns count from 1", column);
  }
  if (columns.words > 0 && columns.words == columns.tags) {
    fail("column {} cannot hold words and tags", columns.words);
  }
  return ColumnFile(path, columns).sentences();
}

}  // namespace qkv
