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

/// The parts of `line` between spaces and tabs.
std::vector<std::string> split_columns(std::string_view line);

/// CoNLL columns: a word a line, the word in the first column, a blank line between sentences,
/// lines that begin with -DOCSTART- passed over. `column` is that of the tags, from 1; 0: the last.
/// Every line must have as many columns as the first.
LabelledText read_columns(const std::string& path, std::int64_t column = 0);

/// CoNLL-U: ten fields between tabs. Tags are the field upos, xpos, lemma, feats or deprel.
/// Comments, multi-word ranges (1-2) and empty nodes (1.1) are passed over; the words must be
/// numbered 1, 2, 3 ….
LabelledText read_conllu(const std::string& path, std::string_view field = "upos");

/// Line-aligned files: words, their tags, and a label for each line. A line without words is
/// dropped when it has no tags.
LabelledText read_slots(const std::string& words_path, const std::string& tags_path,
                        const std::string& labels_path);
/// The same from a folder that holds seq.in, seq.out and label.
LabelledText read_slots(const std::string& folder);

/// A table: label TAB text. Sentences whose text is blank are dropped.
LabelledText read_label_table(const std::string& path);

}  // namespace qkv
