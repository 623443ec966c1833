// Text with labels: a tag for every word, a label for every sentence, or both. Files are plain or
// gzipped UTF-8; a line that does not fit the form is refused with its file, its number and what to
// do about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct LabelledReport {
  std::int64_t read = 0;  // sentences, those left out included
  std::int64_t tokens = 0;
  std::int64_t dropped_empty = 0;  // sentences without a word
  std::int64_t documents = 0;      // -DOCSTART- lines passed over
  std::int64_t ranges = 0;         // CoNLL-U: multi-word ranges passed over (their words are kept)
  std::int64_t empty_nodes = 0;    // CoNLL-U: nodes that stand for no word
  std::int64_t comments = 0;       // lines that begin with # and are no words

  /// "14041 sentences read, 203621 tokens; dropped: 3 empty; passed over: 946 document marks"
  std::string summary() const;
};

struct LabelledText {
  std::vector<std::vector<std::string>> words;  // empty when the file holds running text
  std::vector<std::string> texts;               // running text, where the file holds that
  std::vector<std::vector<std::string>> tags;   // one a word; empty when there are none
  std::vector<std::string> labels;              // one a sentence; empty when there are none
  LabelledReport report = {};

  std::int64_t size() const {
    return static_cast<std::int64_t>(words.empty() ? texts.size() : words.size());
  }
};

/// Columns count from 1.
struct ColumnOptions {
  std::int64_t tags = 0;   // 0: the last
  std::int64_t words = 0;  // 0: the first, or the one behind a column that only counts words
};

/// CoNLL columns: a word a line, a blank line between sentences. Fields stand between tabs where
/// lines have tabs (a word may then hold spaces), else between blanks. Every line must have as many
/// columns as the first; with a column of tags by number, as the first of its sentence
/// (CoNLL-2009). Passed over and counted: lines that begin with -DOCSTART-, comments (lines that
/// begin with # before a sentence and are not laid out as its words are), and beside a column that
/// counts words the ranges and empty nodes of CoNLL-U. Tags of spans in any common form become IOB2
/// (tag_forms.h). What was found out about the file is told by notice().
LabelledText read_columns(const std::string& path, const ColumnOptions& columns = {});

/// CoNLL-U: ten fields between tabs. Tags are the field upos, xpos, lemma, feats or deprel.
/// Comments, multi-word ranges (1-2) and empty nodes (1.1) are passed over; the words must be
/// numbered 1, 2, 3 ….
LabelledText read_conllu(const std::string& path, std::string_view field = "upos");

/// Line-aligned files: words, their tags, and a label for each line. Tabs part the words, or the
/// tags, of a line that has some, else blanks do. A line without words is dropped when it has no
/// tags. Tags of spans in any common form become IOB2.
LabelledText read_slots(const std::string& words_path, const std::string& tags_path,
                        const std::string& labels_path);
/// The same from a folder that holds seq.in, seq.out and label.
LabelledText read_slots(const std::string& folder);

/// What the columns of a table hold.
struct TableForm {
  bool pairs = false;    // label TAB text TAB text; `texts` keep the tab between the two
  bool numbers = false;  // the label is a number
  bool several = false;  // labels between commas, or none
};
/// A table: label TAB text; a label may hold spaces. Sentences whose text is blank are dropped, of
/// pairs those with two blank texts. Throws DataError for a line of another number of columns (a
/// single text may hold tabs), a label that is none, and when the columns stand the other way
/// round, as far as their counts show it.
LabelledText read_label_table(const std::string& path, const TableForm& form = {});

/// The labels of a field that names several, blanks around them taken away.
std::vector<std::string> labels_between_commas(std::string_view field);

}  // namespace qkv
