#include "qkv/data/label_files.h"

#include <filesystem>
#include <utility>

#include <fmt/ranges.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

bool names_conllu(const std::string& path) { return path.find(".conllu") != std::string::npos; }

LabelFormat format_of(const std::string& path, LabelTask task) {
  if (task == LabelTask::intent || std::filesystem::is_directory(path)) return LabelFormat::slots;
  if (task == LabelTask::classify) return LabelFormat::table;
  return names_conllu(path) ? LabelFormat::conllu : LabelFormat::columns;
}

}  // namespace

LabelledText hold_out(LabelledText& train) {
  LabelledText valid, rest;
  const std::vector<bool> out = held_out(static_cast<std::size_t>(train.size()), 10, "sentences");
  for (std::size_t i = 0; i < out.size(); ++i) {
    LabelledText& to = out[i] ? valid : rest;
    const auto move = [&](auto& from, auto& into) {
      if (!from.empty()) into.push_back(std::move(from[i]));
    };
    move(train.words, to.words);
    move(train.texts, to.texts);
    move(train.tags, to.tags);
    move(train.labels, to.labels);
  }
  valid.report.read = valid.size();
  for (const auto& words : valid.words) {
    valid.report.tokens += static_cast<std::int64_t>(words.size());
  }
  rest.report = train.report;
  rest.report.read -= valid.report.read;
  rest.report.tokens -= valid.report.tokens;
  train = std::move(rest);
  return valid;
}

LabelledText read_labelled(const std::vector<std::string>& paths, const LabelFiles& files,
                           LabelTask task) {
  const LabelFormat format =
      files.format == LabelFormat::automatic ? format_of(paths.front(), task) : files.format;
  if (format == LabelFormat::columns && task == LabelTask::tag) {
    return read_columns(paths.front(), {.tags = files.column, .words = files.word_column});
  }
  if (format == LabelFormat::conllu && task == LabelTask::tag)
    return read_conllu(paths.front(), files.field);
  if (format == LabelFormat::table && task == LabelTask::classify)
    return read_label_table(paths.front(), files.table);
  if (format == LabelFormat::slots) {
    if (files.table.pairs || files.table.numbers || files.table.several) {
      fail("{}: pairs, numbers and several labels stand in a table, not in slots", paths.front());
    }
    if (paths.size() == 2) fail("give the folder, or the files of words, tags and labels");
    LabelledText text =
        paths.size() == 3 ? read_slots(paths[0], paths[1], paths[2]) : read_slots(paths.front());
    // A classifier cuts text itself, in training as in use.
    if (task == LabelTask::classify) {
      for (const auto& words : text.words)
        text.texts.push_back(fmt::format("{}", fmt::join(words, " ")));
      text.words.clear();
      text.tags.clear();
    }
    return text;
  }
  fail("--format {} is not for this task; give one of {}", name_of(format),
       task == LabelTask::tag ? "columns, conllu, slots" : "table, slots");
}

Split<LabelledText> read_labelling_texts(const std::vector<std::string>& train,
                                         const std::vector<std::string>& valid,
                                         const LabelFiles& files, LabelTask task) {
  return read_split(
      train, valid, [&](const auto& paths) { return read_labelled(paths, files, task); }, hold_out);
}

}  // namespace qkv
