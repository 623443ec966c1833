#include "qkv/data/pairs.h"

#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

void add(TextPairs& pairs, std::string source, std::string target, const ReadOptions& options) {
  ++pairs.report.read;
  if (options.drop_empty && (is_blank(source) || is_blank(target))) {
    ++pairs.report.dropped_empty;
    return;
  }
  ++pairs.report.kept;
  pairs.source.push_back(std::move(source));
  pairs.target.push_back(std::move(target));
}

void expect_lines(const TextPairs& pairs, const std::string& path) {
  if (pairs.report.read == 0) throw DataError(path, 0, "is empty, expected a sentence a line");
}

}  // namespace

std::string PairReport::summary() const {
  std::string text = fmt::format("{} pairs read, {} kept", read, kept);
  std::string dropped;
  const auto say = [&dropped](std::int64_t count, std::string_view why) {
    if (count > 0) dropped += fmt::format("{}{} {}", dropped.empty() ? "" : ", ", count, why);
  };
  say(dropped_empty, "empty");
  say(dropped_long, "too long");
  say(dropped_ratio, "of unlike lengths");
  if (!dropped.empty()) text += "; dropped: " + dropped;
  if (cut > 0) text += fmt::format("; {} cut to length", cut);
  if (source_tokens + target_tokens > 0) {
    text += fmt::format("; {} source and {} target tokens", source_tokens, target_tokens);
  }
  return text;
}

TextPairs read_pairs(const std::string& source_path, const std::string& target_path,
                     const ReadOptions& options) {
  LineReader sources(source_path), targets(target_path);
  TextPairs pairs;
  std::string source, target;
  for (;;) {
    const bool more_source = sources.next(source);
    const bool more_target = targets.next(target);
    if (more_source != more_target) {
      while (sources.next(source)) {
      }
      while (targets.next(target)) {
      }
      throw DataError(source_path, 0,
                      fmt::format("has {} lines but {} has {}; line i of one must be the "
                                  "translation of line i of the other",
                                  sources.line_number(), target_path, targets.line_number()));
    }
    if (!more_source) break;
    add(pairs, source, target, options);
  }
  expect_lines(pairs, source_path);
  return pairs;
}

TextPairs read_pairs(const std::string& table_path, const ReadOptions& options) {
  LineReader rows(table_path);
  std::int64_t further = 0;  // rows with more than two columns
  TextPairs pairs;
  std::string row;
  while (rows.next(row)) {
    const std::size_t tab = row.find('\t');
    if (tab == std::string::npos && !is_blank(row)) {
      throw DataError(table_path, rows.line_number(),
                      "expected source TAB target, found one column");
    }
    if (tab == std::string::npos) {
      add(pairs, "", "", options);
    } else {
      const std::size_t end = row.find('\t', tab + 1);
      further += end == std::string::npos ? 0 : 1;
      add(pairs, row.substr(0, tab),
          row.substr(tab + 1, end == std::string::npos ? end : end - tab - 1), options);
    }
  }
  expect_lines(pairs, table_path);
  if (further > 0) {
    notice(fmt::format("{}: columns behind the second are passed over in {} lines", table_path,
                       further));
  }
  return pairs;
}

namespace {

TextPairs read(const std::vector<std::string>& files) {
  return files.size() == 2 ? read_pairs(files[0], files[1]) : read_pairs(files[0]);
}

TextPairs hold_out(TextPairs& train) {
  const std::vector<bool> out = held_out(train.source.size(), 50, "pairs");
  TextPairs valid, rest;
  for (std::size_t i = 0; i < out.size(); ++i) {
    TextPairs& to = out[i] ? valid : rest;
    to.source.push_back(std::move(train.source[i]));
    to.target.push_back(std::move(train.target[i]));
  }
  valid.report.read = valid.report.kept = static_cast<std::int64_t>(valid.source.size());
  rest.report = train.report;
  rest.report.kept -= valid.report.kept;
  train = std::move(rest);
  return valid;
}

}  // namespace

Split<TextPairs> read_pair_split(const std::vector<std::string>& train,
                                 const std::vector<std::string>& valid) {
  return read_split(train, valid, read, hold_out);
}

TokenPairs encode_pairs(const TextPairs& text, const TextEncoder& source, const TextEncoder& target,
                        const PairLimits& limits) {
  if (text.source.size() != text.target.size()) {
    fail("encode_pairs: {} sources but {} targets", text.source.size(), text.target.size());
  }
  TokenPairs pairs;
  PairReport& report = pairs.report;
  report = text.report;
  report.read = std::max(report.read, static_cast<std::int64_t>(text.source.size()));
  report.kept = 0;
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(limits.max_length, 0));
  for (std::size_t i = 0; i < text.source.size(); ++i) {
    std::vector<std::int32_t> s = source(text.source[i]);
    std::vector<std::int32_t> t = target(text.target[i]);
    if (limits.drop_empty && (s.empty() || t.empty())) {
      ++report.dropped_empty;
      continue;
    }
    if (limit > 0 && std::max(s.size(), t.size()) > limit) {
      if (limits.too_long == PairLimits::TooLong::drop) {
        ++report.dropped_long;
        continue;
      }
      ++report.cut;
      s.resize(std::min(s.size(), limit));
      t.resize(std::min(t.size(), limit));
    }
    const std::size_t shorter = std::min(s.size(), t.size());
    const std::size_t longer = std::max(s.size(), t.size());
    if (limits.max_ratio > 0.0 &&
        static_cast<double>(longer) > limits.max_ratio * static_cast<double>(shorter)) {
      ++report.dropped_ratio;
      continue;
    }
    ++report.kept;
    report.source_tokens += static_cast<std::int64_t>(s.size());
    report.target_tokens += static_cast<std::int64_t>(t.size());
    pairs.source.push_back(std::move(s));
    pairs.target.push_back(std::move(t));
  }
  if (report.kept == 0) fail("no sentence pair is left: {}", report.summary());
  return pairs;
}

}  // namespace qkv
