#include "qkv/data/text_stream.h"

#include <algorithm>
#include <map>
#include <set>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// Each byte a token; '?' is unknown (1).
std::vector<std::int32_t> bytes_of(std::string_view line) {
  std::vector<std::int32_t> ids;
  for (const char c : line) ids.push_back(c == '?' ? 1 : static_cast<unsigned char>(c));
  return ids;
}

constexpr StreamFormat kStream = {.start = 3, .line_end = 3, .unknown = 1};
constexpr StreamFormat kLines = {.start = 2, .line_end = 3, .unknown = 1, .by_line = true};

/// One document of n tokens to predict.
TextStream stream_of(std::int64_t n) {
  const std::vector<std::string> line = {std::string(static_cast<std::size_t>(n - 1), 'x')};
  return make_stream(line, bytes_of, kStream);
}

TEST(TextStream, LinesStandEndToEndOrAlone) {
  const std::vector<std::string> lines = {"ab", "", "c? \xC3\xA4"};
  const TextStream s = make_stream(lines, bytes_of, kStream);
  EXPECT_THAT(s.ids, ElementsAre(3, 'a', 'b', 3, 3, 'c', 1, ' ', 0xC3, 0xA4, 3));
  EXPECT_THAT(s.documents, ElementsAre(0, 11));
  EXPECT_EQ(s.predicted(), 10);
  EXPECT_EQ(s.lines, 3);
  EXPECT_EQ(s.characters, 3 + 1 + 5) << "ends of lines and one ä";
  EXPECT_EQ(s.words, 2 + 1 + 3);
  EXPECT_EQ(s.unknown, 1);
  EXPECT_THAT(s.summary(), HasSubstr("10 tokens, 1 unknown (10.00 %)"));

  const TextStream d = make_stream(lines, bytes_of, kLines);
  EXPECT_THAT(d.ids, ElementsAre(2, 'a', 'b', 3, 2, 'c', 1, ' ', 0xC3, 0xA4, 3));
  EXPECT_THAT(d.documents, ElementsAre(0, 4, 11)) << "the blank line is no document";
  EXPECT_EQ(d.predicted(), 9);
  EXPECT_THAT(d.summary(), HasSubstr("2 documents"));
}

TEST(TextStream, RefusesNothing) {
  const std::vector<std::string> blank = {"", ""};
  EXPECT_NO_THROW((void)make_stream(blank, bytes_of, kStream)) << "two ends of lines";
  EXPECT_THROW((void)make_stream(blank, bytes_of, kLines), Error);
  EXPECT_THROW((void)make_stream({}, bytes_of, kStream), Error);
  const Temporary folder;
  write_file(folder / "a", "one\ntwo");
  write_file(folder / "empty", "");
  write_file(folder / "bad", "fine\n\xFF\n");
  const std::string a = (folder / "a").string(), bad = (folder / "bad").string();
  EXPECT_THAT(read_text(std::vector<std::string>{a, a}), ElementsAre("one", "two", "one", "two"));
  const std::vector<std::string> with_empty = {a, (folder / "empty").string()};
  EXPECT_THAT([&] { (void)read_text(with_empty); }, ThrowsMessage<DataError>(HasSubstr("empty: ")));
  EXPECT_THAT([&] { (void)read_text(std::vector<std::string>{bad}); },
              ThrowsMessage<DataError>(HasSubstr("bad:2: ")));
  EXPECT_THROW((void)read_text(std::vector<std::string>{(folder / "none").string()}), FileError);
}

TEST(TextStream, AWindowStaysInItsDocument) {
  const TextStream d = make_stream(std::vector<std::string>{"abcd", "ef"}, bytes_of, kLines);
  const auto expect = [&](std::int64_t begin, std::int64_t length, std::int64_t end) {
    const Window w = window_at(d, begin, length);
    EXPECT_EQ(w.begin, begin);
    EXPECT_EQ(w.end, end);
    EXPECT_EQ(w.scored, begin + 1);
  };
  expect(0, 3, 3);
  expect(3, 3, 5);  // the last token is only predicted
  expect(6, 9, 9);
  EXPECT_THROW((void)window_at(d, 10, 3), Error);
  EXPECT_THROW((void)window_at(d, -1, 3), Error);
  EXPECT_THROW((void)window_at(d, 0, 0), Error);
}

TEST(TextStream, AnEpochPredictsEveryTokenOnce) {
  const TextStream s = stream_of(100);
  std::set<std::int64_t> cuts;
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto plan = plan_windows(s, 8, 24, 5, epoch);
    EXPECT_EQ(plan, plan_windows(s, 8, 24, 5, epoch));
    std::map<std::int64_t, int> seen;
    std::int64_t first = 100;
    for (const auto& batch : plan) {
      std::int64_t tokens = 0;
      for (const std::int64_t begin : batch) {
        const Window w = window_at(s, begin, 8);
        first = std::min(first, begin);
        for (std::int64_t t = w.begin; t < w.end; ++t, ++tokens) ++seen[t + 1];
      }
      EXPECT_LE(tokens, 24);
    }
    cuts.insert(first);
    EXPECT_LT(first, 8);
    EXPECT_EQ(static_cast<std::int64_t>(seen.size()), 100 - first);
    for (const auto& [token, times] : seen) EXPECT_EQ(times, 1) << token;
  }
  EXPECT_GT(cuts.size(), 3U) << "the cuts move";
  EXPECT_NE(plan_windows(s, 8, 24, 5, 0), plan_windows(s, 8, 24, 6, 0));
  // Short texts are one window, and documents begin where they begin.
  EXPECT_EQ(plan_windows(stream_of(5), 8, 24, 1, 3), (std::vector<std::vector<std::int64_t>>{{0}}));
  const TextStream d = make_stream(std::vector<std::string>{"abcd", "efghij"}, bytes_of, kLines);
  std::vector<std::int64_t> begins;
  for (const auto& batch : plan_windows(d, 4, 1, 1, 0)) {
    EXPECT_EQ(batch.size(), 1U) << "longer than the budget: a batch of its own";
    begins.push_back(batch.front());
  }
  EXPECT_THAT(begins, testing::UnorderedElementsAre(0, 4, 6, 10));
}

TEST(TextStream, EvaluationScoresEveryTokenOnceWithEnoughContext) {
  for (const std::int64_t tokens : {1, 7, 8, 9, 40, 41}) {
    const TextStream s = stream_of(tokens);
    for (const std::int64_t stride : {0, 1, 3, 8}) {
      std::int64_t next = 1;
      for (const Window& w : evaluation_windows(s, 8, stride)) {
        EXPECT_EQ(w.scored, next);
        EXPECT_LE(w.end - w.begin, 8);
        EXPECT_GE(w.end, w.scored);
        // The first scored token sees all that the stride leaves it.
        if (w.begin > 0) {
          EXPECT_EQ(w.scored - w.begin, 8 - (stride > 0 ? stride : 8) + 1);
        }
        next = w.end + 1;
      }
      EXPECT_EQ(next, tokens + 1);
    }
  }
  EXPECT_THROW((void)evaluation_windows(stream_of(4), 8, 9), Error);
  EXPECT_THROW((void)evaluation_windows(stream_of(4), 8, -1), Error);
}

}  // namespace
}  // namespace qkv
