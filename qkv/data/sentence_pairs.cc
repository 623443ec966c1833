#include "qkv/data/sentence_pairs.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

std::vector<std::string> between_tabs(const std::string& line) {
  std::vector<std::string> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t end = line.find('\t', begin);
    fields.push_back(line.substr(begin, end - begin));
    if (end == std::string::npos) return fields;
    begin = end + 1;
  }
}

/// The third column is one of numbers when all of it is.
void settle_third(SentencePairs& pairs) {
  std::vector<double> scores;
  for (const std::string& field : pairs.negative) {
    const auto number = parse_double(trim_spaces(field));
    if (!number) return;
    scores.push_back(*number);
  }
  pairs.scores = std::move(scores);
  pairs.negative.clear();
}

SentencePairs hold_out_pairs(SentencePairs& train) {
  SentencePairs valid, rest;
  const std::vector<bool> out = held_out(train.first.size(), 10, "pairs");
  for (std::size_t i = 0; i < out.size(); ++i) {
    SentencePairs& to = out[i] ? valid : rest;
    const auto move = [i](auto& from, auto& into) {
      if (!from.empty()) into.push_back(std::move(from[i]));
    };
    move(train.first, to.first);
    move(train.second, to.second);
    move(train.negative, to.negative);
    move(train.scores, to.scores);
  }
  valid.read = valid.size();
  rest.read = train.read - valid.read;
  rest.dropped_empty = train.dropped_empty;
  train = std::move(rest);
  return valid;
}

}  // namespace

std::string SentencePairs::summary() const {
  std::string text = fmt::format("{} pairs read", read);
  if (!scores.empty()) text += ", scored";
  if (!negative.empty()) text += ", each with a negative";
  if (dropped_empty > 0) text += fmt::format("; dropped: {} empty", dropped_empty);
  return text;
}

SentencePairs read_sentence_pairs(const std::string& path) {
  LineReader lines(path);
  SentencePairs pairs;
  std::string line;
  std::size_t columns = 0;
  while (lines.next(line)) {
    ++pairs.read;
    if (is_blank(line)) {
      ++pairs.dropped_empty;
      continue;
    }
    std::vector<std::string> fields = between_tabs(line);
    if (columns == 0) columns = fields.size();
    if (columns < 2 || columns > 3 || fields.size() != columns) {
      const char* form = columns == 2   ? "text TAB text as in the first line"
                         : columns == 3 ? "three columns as in the first line"
                                        : "text TAB text, and perhaps TAB a negative or a score";
      throw DataError(path, lines.line_number(),
                      fmt::format("expected {}, found {} column{}", form, fields.size(),
                                  fields.size() == 1 ? "" : "s"));
    }
    if (is_blank(fields[0]) || is_blank(fields[1]) || is_blank(fields.back())) {
      ++pairs.dropped_empty;
      continue;
    }
    pairs.first.push_back(std::move(fields[0]));
    pairs.second.push_back(std::move(fields[1]));
    if (columns == 3) pairs.negative.push_back(std::move(fields[2]));
  }
  if (pairs.size() == 0) throw DataError(path, 0, "holds no pair; expected text TAB text a line");
  if (!pairs.negative.empty()) settle_third(pairs);
  return pairs;
}

Split<SentencePairs> read_sentence_pair_split(const std::vector<std::string>& train,
                                              const std::vector<std::string>& valid) {
  Split<SentencePairs> split = read_split(
      train, valid, [](const auto& paths) { return read_sentence_pairs(paths.front()); },
      hold_out_pairs);
  if (split.train.scores.empty() != split.valid.scores.empty()) {
    fail("{} has scores and {} has not; both are to have the same columns",
         split.train.scores.empty() ? valid.front() : train.front(),
         split.train.scores.empty() ? train.front() : valid.front());
  }
  return split;
}

}  // namespace qkv
