#include "qkv/data/labelled.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

constexpr std::string_view kBlanks = " \t";

bool is_blank(std::string_view line) {
  return line.find_first_not_of(kBlanks) == std::string_view::npos;
}

/// A sentence that grows word by word.
struct Sentence {
  std::vector<std::string> words, tags;
};

void finish(LabelledText& text, Sentence& sentence) {
  if (sentence.words.empty()) return;
  ++text.report.read;
  text.report.tokens += static_cast<std::int64_t>(sentence.words.size());
  text.words.push_back(std::move(sentence.words));
  text.tags.push_back(std::move(sentence.tags));
  sentence = {};
}

void expect_sentences(const LabelledText& text, const std::string& path, std::string_view form) {
  if (text.size() == 0) {
    throw DataError(path, 0, fmt::format("holds no sentence; expected {}", form));
  }
}

std::vector<std::string_view> split_tabs(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t end = line.find('\t', begin);
    fields.push_back(line.substr(begin, end - begin));
    if (end == std::string_view::npos) return fields;
    begin = end + 1;
  }
}

/// All of `text` as a number.
std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// What the first field of a CoNLL-U line stands for.
enum class Node : std::uint8_t { word, range, empty, unknown };
Node node_of(std::string_view id) {
  const std::size_t mark = id.find_first_of("-.");
  if (mark == std::string_view::npos) return number(id) ? Node::word : Node::unknown;
  if (!number(id.substr(0, mark)) || !number(id.substr(mark + 1))) return Node::unknown;
  return id[mark] == '-' ? Node::range : Node::empty;
}

constexpr std::array<std::string_view, 10> kFields = {"id",    "form", "lemma",  "upos", "xpos",
                                                      "feats", "head", "deprel", "deps", "misc"};

std::size_t field_of(std::string_view name) {
  for (std::size_t i : {2U, 3U, 4U, 5U, 7U}) {
    if (kFields[i] == name) return i;
  }
  fail("CoNLL-U field '{}' is not one of upos, xpos, lemma, feats, deprel", name);
}

void add_node(const std::string& line, const LineReader& lines, std::size_t field,
              LabelledText& text, Sentence& sentence) {
  const auto refuse = [&](const std::string& reason) {
    throw DataError(lines.name(), lines.line_number(), reason);
  };
  const std::vector<std::string_view> fields = split_tabs(line);
  if (fields.size() != kFields.size()) {
    refuse(fmt::format("has {} fields between tabs, CoNLL-U has 10", fields.size()));
  }
  const Node node = node_of(fields[0]);
  if (node == Node::unknown) {
    refuse(fmt::format("'{}' is no word number; expected 1, 1-2 or 1.1", fields[0]));
  }
  if (node == Node::range) ++text.report.ranges;
  if (node == Node::empty) ++text.report.empty_nodes;
  if (node != Node::word) return;
  const auto expected = static_cast<std::int64_t>(sentence.words.size()) + 1;
  if (number(fields[0]) != expected) {
    refuse(
        fmt::format("word {} stands where {} is due; is a line missing, or the blank line "
                    "between two sentences?",
                    fields[0], expected));
  }
  if (fields[1].empty()) refuse("the form (field 2) is empty");
  // An underscore says "nothing": that is a value for feats, but no part of speech.
  if (fields[field].empty() || (fields[field] == "_" && kFields[field] != "feats")) {
    refuse(fmt::format("the word '{}' has no {}; choose another field or leave the sentence out",
                       fields[1], kFields[field]));
  }
  sentence.words.emplace_back(fields[1]);
  sentence.tags.emplace_back(fields[field]);
}

}  // namespace

std::string LabelledReport::summary() const {
  std::string text = fmt::format("{} sentences read, {} tokens", read, tokens);
  if (dropped_empty > 0) text += fmt::format("; dropped: {} empty", dropped_empty);
  std::string passed;
  const auto say = [&passed](std::int64_t count, std::string_view what) {
    if (count > 0) passed += fmt::format("{}{} {}", passed.empty() ? "" : ", ", count, what);
  };
  say(documents, "document marks");
  say(ranges, "word ranges");
  say(empty_nodes, "empty nodes");
  if (!passed.empty()) text += "; passed over: " + passed;
  return text;
}

std::vector<std::string> split_columns(std::string_view line) {
  std::vector<std::string> columns;
  for (std::size_t begin = line.find_first_not_of(kBlanks); begin != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
    columns.emplace_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(kBlanks, end);
  }
  return columns;
}

LabelledText read_columns(const std::string& path, std::int64_t column) {
  if (column < 0) fail("column {} is less than 0; columns count from 1, 0 is the last", column);
  LineReader lines(path);
  LabelledText text;
  Sentence sentence;
  std::size_t width = 0;
  std::string line;
  while (lines.next(line)) {
    if (is_blank(line)) {
      finish(text, sentence);
      continue;
    }
    if (line.starts_with("-DOCSTART-")) {
      finish(text, sentence);
      ++text.report.documents;
      continue;
    }
    const std::vector<std::string> columns = split_columns(line);
    const auto wanted = static_cast<std::size_t>(column == 0 ? 2 : column);
    if (columns.size() < wanted) {
      throw DataError(path, lines.line_number(),
                      fmt::format("has {} columns, expected a word and its tag in column {}",
                                  columns.size(), wanted));
    }
    if (width == 0) width = columns.size();
    if (columns.size() != width) {
      throw DataError(path, lines.line_number(),
                      fmt::format("has {} columns, the lines before have {}; is the blank line "
                                  "between two sentences or a tag missing?",
                                  columns.size(), width));
    }
    sentence.words.push_back(columns.front());
    sentence.tags.push_back(column == 0 ? columns.back() : columns[wanted - 1]);
  }
  finish(text, sentence);
  expect_sentences(text, path, "a word and its tag a line");
  return text;
}

LabelledText read_conllu(const std::string& path, std::string_view field) {
  const std::size_t at = field_of(field);
  LineReader lines(path);
  LabelledText text;
  Sentence sentence;
  std::string line;
  while (lines.next(line)) {
    if (line.starts_with('#')) continue;
    if (is_blank(line)) {
      finish(text, sentence);
    } else {
      add_node(line, lines, at, text, sentence);
    }
  }
  finish(text, sentence);
  expect_sentences(text, path, "CoNLL-U");
  return text;
}

LabelledText read_slots(const std::string& words_path, const std::string& tags_path,
                        const std::string& labels_path) {
  LineReader words(words_path), tags(tags_path), labels(labels_path);
  LabelledText text;
  std::string word_line, tag_line, label_line;
  for (;;) {
    const bool more = words.next(word_line);
    if (tags.next(tag_line) != more || labels.next(label_line) != more) {
      const auto count = [](LineReader& reader) {
        std::string rest;
        while (reader.next(rest)) {
        }
        return reader.line_number();
      };
      throw DataError(
          words_path, 0,
          fmt::format("has {} lines, {} has {} and {} has {}; line i of each must "
                      "belong to the same sentence",
                      count(words), tags_path, count(tags), labels_path, count(labels)));
    }
    if (!more) break;
    ++text.report.read;
    Sentence sentence{split_columns(word_line), split_columns(tag_line)};
    if (sentence.words.size() != sentence.tags.size()) {
      throw DataError(tags_path, tags.line_number(),
                      fmt::format("has {} tags for the {} words of {}", sentence.tags.size(),
                                  sentence.words.size(), words_path));
    }
    if (sentence.words.empty()) {
      ++text.report.dropped_empty;
      continue;
    }
    const std::vector<std::string> label = split_columns(label_line);
    if (label.size() != 1) {
      throw DataError(labels_path, labels.line_number(),
                      fmt::format("expected one label without spaces, found {}", label.size()));
    }
    text.report.tokens += static_cast<std::int64_t>(sentence.words.size());
    text.words.push_back(std::move(sentence.words));
    text.tags.push_back(std::move(sentence.tags));
    text.labels.push_back(label.front());
  }
  expect_sentences(text, words_path, "a sentence a line");
  return text;
}

LabelledText read_slots(const std::string& folder) {
  const std::filesystem::path at = folder;
  if (!std::filesystem::is_directory(at)) {
    fail<FileError>("{}: is no folder; expected one that holds seq.in, seq.out and label", folder);
  }
  return read_slots((at / "seq.in").string(), (at / "seq.out").string(), (at / "label").string());
}

LabelledText read_label_table(const std::string& path) {
  LineReader lines(path);
  LabelledText text;
  std::string line;
  while (lines.next(line)) {
    ++text.report.read;
    if (is_blank(line)) {
      ++text.report.dropped_empty;
      continue;
    }
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos) {
      throw DataError(path, lines.line_number(), "expected label TAB text, found no tab");
    }
    const std::vector<std::string> label = split_columns(std::string_view(line).substr(0, tab));
    if (label.size() != 1) {
      throw DataError(path, lines.line_number(),
                      fmt::format("expected label TAB text, found {} before the tab",
                                  label.empty() ? "nothing" : "several words"));
    }
    if (is_blank(std::string_view(line).substr(tab + 1))) {
      ++text.report.dropped_empty;
      continue;
    }
    text.labels.push_back(label.front());
    text.texts.push_back(line.substr(tab + 1));
    text.report.tokens += static_cast<std::int64_t>(split_columns(text.texts.back()).size());
  }
  expect_sentences(text, path, "label TAB text a line");
  return text;
}

}  // namespace qkv
