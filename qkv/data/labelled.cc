#include "qkv/data/labelled.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/data/column_layout.h"
#include "qkv/data/labelled_sentences.h"
#include "qkv/data/lines.h"
#include "qkv/data/tag_forms.h"

namespace qkv {
namespace {

std::vector<std::string_view> split_tabs(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t end = line.find('\t', begin);
    fields.push_back(line.substr(begin, end - begin));
    if (end == std::string_view::npos) return fields;
    begin = end + 1;
  }
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
  const Counter node = counter_of(fields[0]);
  if (node == Counter::none) {
    refuse(fmt::format("'{}' is no word number; expected 1, 1-2 or 1.1", fields[0]));
  }
  if (node == Counter::range) ++text.report.ranges;
  if (node == Counter::empty) ++text.report.empty_nodes;
  if (node != Counter::word) return;
  const auto expected = static_cast<std::int64_t>(sentence.words.size()) + 1;
  if (fields[0] != std::to_string(expected)) {
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

void refuse_empty_fields(const std::vector<std::string>& fields, const char* what,
                         const LineReader& lines) {
  const auto empty = std::find(fields.begin(), fields.end(), "");
  if (empty == fields.end()) return;
  throw DataError(lines.name(), lines.line_number(),
                  fmt::format("{} {} of {} is empty: there are two tabs on end", what,
                              empty - fields.begin() + 1, fields.size()));
}

/// A text before the tab and its label behind it: many labels that are sentences, few texts.
void check_order(const LabelledText& text, const std::string& path) {
  const std::set<std::string_view> labels(text.labels.begin(), text.labels.end()),
      texts(text.texts.begin(), text.texts.end());
  if (labels.size() <= texts.size()) return;
  const auto spaced =
      std::count_if(text.labels.begin(), text.labels.end(),
                    [](const std::string& label) { return label.find(' ') != std::string::npos; });
  const std::string counts =
      fmt::format("{} labels for {} texts; a line is label TAB text", labels.size(), texts.size());
  if (2 * spaced >= text.size()) throw DataError(path, 0, counts + ": change the columns over");
  notice(fmt::format("{}: {}; are they the other way round?", path, counts));
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
  say(comments, "comments");
  if (!passed.empty()) text += "; passed over: " + passed;
  return text;
}

LabelledText read_conllu(const std::string& path, std::string_view field) {
  const std::size_t at = field_of(field);
  LineReader lines(path);
  LabelledText text;
  Sentence sentence;
  std::string line;
  while (lines.next(line)) {
    if (line.starts_with('#')) {
      ++text.report.comments;
    } else if (is_blank(line)) {
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
  std::vector<std::int64_t> lines;  // of the sentences that are kept
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
    Sentence sentence{strings(split_columns(word_line)), strings(split_columns(tag_line))};
    if (sentence.words.size() != sentence.tags.size()) {
      throw DataError(tags_path, tags.line_number(),
                      fmt::format("has {} tags for the {} words of {}", sentence.tags.size(),
                                  sentence.words.size(), words_path));
    }
    for (std::string& tag : sentence.tags) tag = std::string(trim_spaces(tag));
    refuse_empty_fields(sentence.words, "word", words);
    refuse_empty_fields(sentence.tags, "tag", tags);
    if (sentence.words.empty()) {
      ++text.report.dropped_empty;
      continue;
    }
    const std::string_view label = trim_spaces(label_line);
    if (label.empty()) throw DataError(labels_path, labels.line_number(), "expected a label");
    text.report.tokens += static_cast<std::int64_t>(sentence.words.size());
    text.words.push_back(std::move(sentence.words));
    text.tags.push_back(std::move(sentence.tags));
    text.labels.emplace_back(label);
    lines.push_back(tags.line_number());
  }
  expect_sentences(text, words_path, "a sentence a line");
  settle_tags(text.tags, tags_path, [&lines](TagPlace at) { return lines[at.sentence]; });
  return text;
}

LabelledText read_slots(const std::string& folder) {
  const std::filesystem::path at = folder;
  if (!std::filesystem::is_directory(at)) {
    fail<FileError>("{}: is no folder; expected one that holds seq.in, seq.out and label", folder);
  }
  return read_slots((at / "seq.in").string(), (at / "seq.out").string(), (at / "label").string());
}

std::vector<std::string> labels_between_commas(std::string_view field) {
  std::vector<std::string> labels;
  for (std::size_t begin = 0; begin <= field.size();) {
    const std::size_t end = std::min(field.find(',', begin), field.size());
    const std::string_view label = trim_spaces(field.substr(begin, end - begin));
    if (!label.empty()) labels.emplace_back(label);
    begin = end + 1;
  }
  return labels;
}

namespace {

const char* form_text(const TableForm& form) {
  if (form.pairs) return form.numbers ? "number TAB text TAB text" : "label TAB text TAB text";
  return form.numbers ? "number TAB text" : "label TAB text";
}

void check_label(std::string_view label, const TableForm& form, const LineReader& lines) {
  if (label.empty() && !form.several) {
    throw DataError(lines.name(), lines.line_number(),
                    fmt::format("expected {}, found nothing before the tab", form_text(form)));
  }
  if (form.numbers && !parse_double(label)) {
    throw DataError(lines.name(), lines.line_number(),
                    fmt::format("expected {}, but '{}' is no number", form_text(form), label));
  }
}

}  // namespace

LabelledText read_label_table(const std::string& path, const TableForm& form) {
  LineReader lines(path);
  LabelledText text;
  std::string line;
  bool three = true;  // columns, all the way
  while (lines.next(line)) {
    ++text.report.read;
    if (is_blank(line)) {
      ++text.report.dropped_empty;
      continue;
    }
    const auto tabs = std::count(line.begin(), line.end(), '\t');
    if (tabs == 0 || (form.pairs && tabs != 2)) {
      throw DataError(path, lines.line_number(),
                      fmt::format("expected {}, found {}", form_text(form),
                                  tabs == 0 ? "no tab" : fmt::format("{} columns", tabs + 1)));
    }
    three = three && tabs == 2;
    const std::size_t tab = line.find('\t');
    const std::string_view label = trim_spaces(std::string_view(line).substr(0, tab));
    check_label(label, form, lines);
    if (is_blank(std::string_view(line).substr(tab + 1))) {
      ++text.report.dropped_empty;
      continue;
    }
    text.labels.emplace_back(label);
    text.texts.push_back(line.substr(tab + 1));
    text.report.tokens += static_cast<std::int64_t>(split_blanks(text.texts.back()).size());
  }
  expect_sentences(text, path, fmt::format("{} a line", form_text(form)));
  if (!form.numbers && !form.several) check_order(text, path);
  if (three && !form.pairs) {
    notice(fmt::format(
        "{}: every line has three columns, the last two are read as one text; --words pair reads "
        "them as two",
        path));
  }
  return text;
}

}  // namespace qkv
