#include "qkv/data/masked_text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Ids = std::vector<std::int32_t>;

// Ids 0 … 4 are special; 100 … 109 stand inside words.
MaskVocabulary vocabulary() {
  MaskVocabulary v{.cls = 2, .sep = 3, .mask = 4, .size = 1000, .continues = {}};
  v.continues.assign(1000, 0);
  for (std::size_t i = 100; i < 110; ++i) v.continues[i] = 1;
  return v;
}

/// "5 6 7" -> {5, 6, 7}
Ids numbers(std::string_view line) {
  Ids ids;
  for (std::size_t i = 0; i < line.size();) {
    std::size_t end = line.find(' ', i);
    if (end == std::string_view::npos) end = line.size();
    if (end > i) ids.push_back(std::stoi(std::string(line.substr(i, end - i))));
    i = end + 1;
  }
  return ids;
}

/// `documents` documents of `sentences` sentences of `words` words; words are numbered through.
Documents text_of(int documents, int sentences, int words) {
  std::vector<std::string> lines;
  int next = 200;
  for (int d = 0; d < documents; ++d) {
    for (int s = 0; s < sentences; ++s) {
      std::string line;
      for (int w = 0; w < words; ++w) line += std::to_string(200 + (next++ - 200) % 800) + " ";
      lines.push_back(line);
    }
    lines.emplace_back();
  }
  return make_documents(lines, numbers, false);
}

/// The text of an example before anything was hidden.
Ids whole(const MaskedExample& e) {
  Ids ids = e.ids;
  for (std::size_t i = 0; i < e.where.size(); ++i) {
    ids[static_cast<std::size_t>(e.where[i])] = e.targets[i];
  }
  return ids;
}

TEST(MaskedText, DocumentsEndAtBlankLines) {
  const std::vector<std::string> lines = {"", "5 6", "7", "", "", "8 1", ""};
  const Documents d = make_documents(lines, numbers, false, 1);
  EXPECT_EQ(d.ids, (Ids{5, 6, 7, 8, 1}));
  EXPECT_EQ(d.sentences, (std::vector<std::int64_t>{0, 2, 3, 5}));
  EXPECT_EQ(d.documents, (std::vector<std::int64_t>{0, 2, 3}));
  EXPECT_EQ(d.summary(), "3 sentences in 2 documents, 5 tokens, 1 unknown");
  EXPECT_EQ(make_documents(lines, numbers, true).document_count(), 3);
  EXPECT_THROW((void)make_documents(std::vector<std::string>{"", ""}, numbers, false), Error);
}

TEST(MaskedText, AShareIsHiddenRoundedAndCapped) {
  for (const auto& [length, wanted] :
       {std::pair{3, 1}, std::pair{9, 1}, std::pair{10, 2}, std::pair{24, 4}, std::pair{30, 4},
        std::pair{100, 15}, std::pair{128, 19}, std::pair{300, 20}}) {
    MaskedExample e;
    e.ids.assign(static_cast<std::size_t>(length), 500);
    e.ids.front() = 2;
    e.ids.back() = 3;
    hide_tokens(e, vocabulary(), {}, 7);
    EXPECT_EQ(e.where.size(), static_cast<std::size_t>(wanted)) << length << " tokens";
    EXPECT_TRUE(std::is_sorted(e.where.begin(), e.where.end()));
    EXPECT_EQ(std::set<std::int32_t>(e.where.begin(), e.where.end()).size(), e.where.size());
    for (const std::int32_t t : e.targets) EXPECT_EQ(t, 500) << "[CLS] or [SEP] was hidden";
  }
}

TEST(MaskedText, EightyTenTen) {
  const Documents text = text_of(60, 10, 30);
  int masked = 0, kept = 0, random = 0, all = 0, tokens = 0;
  std::map<std::size_t, int> places;
  for (std::int64_t round = 0; round < 4; ++round) {
    for (const MaskedExample& e :
         masked_examples(text, vocabulary(), {.most = 0, .short_sequences = 0}, round)) {
      tokens += static_cast<int>(e.ids.size());
      for (std::size_t i = 0; i < e.where.size(); ++i, ++all) {
        const std::int32_t now = e.ids[static_cast<std::size_t>(e.where[i])];
        masked += now == 4;
        kept += now == e.targets[i];
        random += now != 4 && now != e.targets[i];
        ++places[static_cast<std::size_t>(e.where[i])];
      }
    }
  }
  const auto share = [&](int n) { return static_cast<double>(n) / all; };
  ASSERT_GT(all, 10000);
  // Three standard deviations of so many draws.
  const double wide = 3 * std::sqrt(0.8 * 0.2 / all), narrow = 3 * std::sqrt(0.1 * 0.9 / all);
  EXPECT_NEAR(share(masked), 0.8, wide);
  EXPECT_NEAR(share(kept), 0.1, narrow);
  EXPECT_NEAR(share(random), 0.1, narrow);
  EXPECT_NEAR(static_cast<double>(all) / tokens, 0.15, 0.005);
  EXPECT_GT(places.size(), 100U) << "every place is hidden now and then";
}

TEST(MaskedText, WholeWordsAreHiddenTogether) {
  MaskedExample original;
  original.ids = {2, 300, 101, 102, 301, 302, 103, 303, 304, 305, 104, 105, 306, 3};
  std::set<Ids> seen;
  for (std::uint64_t key = 0; key < 200; ++key) {
    MaskedExample e = original;
    hide_tokens(e, vocabulary(), {.share = 0.3, .whole_words = true}, key);
    EXPECT_EQ(whole(e), original.ids);
    EXPECT_LE(e.where.size(), 4U);
    const auto hidden = [&](std::int32_t place) {
      return std::find(e.where.begin(), e.where.end(), place) != e.where.end();
    };
    EXPECT_EQ(hidden(1), hidden(2));
    EXPECT_EQ(hidden(1), hidden(3));
    EXPECT_EQ(hidden(5), hidden(6));
    EXPECT_EQ(hidden(9), hidden(10));
    EXPECT_EQ(hidden(9), hidden(11));
    seen.insert(e.where);
  }
  EXPECT_GT(seen.size(), 10U);
  // A word longer than the share is hidden in part.
  MaskedExample word;
  word.ids = {2, 300, 101, 102, 103, 3};
  hide_tokens(word, vocabulary(), {.whole_words = true}, 1);
  EXPECT_EQ(word.where.size(), 1U);
}

TEST(MaskedText, SequencesHoldEverySentenceOnce) {
  const Documents text = text_of(7, 9, 11);
  Ids all;
  for (const MaskedExample& e : masked_examples(text, vocabulary(), {.max_length = 40}, 0)) {
    const Ids ids = whole(e);
    ASSERT_LE(ids.size(), 40U);
    EXPECT_EQ(ids.front(), 2);
    EXPECT_EQ(ids.back(), 3);
    EXPECT_EQ(e.follows, -1);
    EXPECT_EQ(e.types, Ids(ids.size(), 0));
    all.insert(all.end(), ids.begin() + 1, ids.end() - 1);
  }
  EXPECT_EQ(all, text.ids);
  // A sentence longer than a sequence goes on in the next.
  const Documents giant = text_of(1, 1, 100);
  std::size_t tokens = 0;
  for (const auto& e : masked_examples(giant, vocabulary(), {.max_length = 32}, 0)) {
    tokens += e.ids.size() - 2;
  }
  EXPECT_EQ(tokens, 100U);
}

TEST(MaskedText, HalfOfThePairsFollow) {
  const Documents text = text_of(80, 20, 8);
  const std::vector<MaskedExample> examples =
      masked_examples(text, vocabulary(), {.max_length = 64, .pairs = true}, 3);
  int unrelated = 0;
  for (const MaskedExample& e : examples) {
    const Ids ids = whole(e);
    ASSERT_LE(ids.size(), 64U);
    ASSERT_EQ(std::count(ids.begin(), ids.end(), 3), 2);
    const auto middle = std::find(ids.begin(), ids.end(), 3) - ids.begin();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ASSERT_EQ(e.types[i], static_cast<std::ptrdiff_t>(i) > middle);
    }
    ASSERT_GT(middle, 1);
    ASSERT_LT(static_cast<std::size_t>(middle) + 2, ids.size());
    // Words count up through a document of 160, so a b that follows begins where a ends, unless
    // either lost its end for length.
    if (e.follows == 0 && ids.size() < 64) {
      EXPECT_EQ((ids[static_cast<std::size_t>(middle) + 1] - 200) % 800,
                (ids[static_cast<std::size_t>(middle) - 1] - 200 + 1) % 800);
    }
    unrelated += e.follows;
  }
  const auto n = static_cast<double>(examples.size());
  ASSERT_GT(n, 200);
  // More than half: the last sentence of a document has nothing to go on with.
  EXPECT_GT(unrelated / n, 0.5 - 3 * std::sqrt(0.25 / n));
  EXPECT_LT(unrelated / n, 0.65);
}

TEST(MaskedText, RoundsRepeatAfterTheDuplicates) {
  const Documents text = text_of(5, 8, 9);
  const auto ids = [&](std::int64_t round, std::int64_t duplicates, std::uint64_t seed) {
    std::vector<Ids> all;
    for (const auto& e :
         masked_examples(text, vocabulary(), {.duplicates = duplicates, .seed = seed}, round)) {
      all.push_back(e.ids);
    }
    return all;
  };
  EXPECT_EQ(ids(3, 10, 1), ids(3, 10, 1));
  EXPECT_EQ(ids(3, 10, 1), ids(13, 10, 1));
  EXPECT_NE(ids(3, 10, 1), ids(4, 10, 1));
  EXPECT_NE(ids(3, 0, 1), ids(13, 0, 1));
  EXPECT_NE(ids(3, 10, 1), ids(3, 10, 2));
}

TEST(MaskedText, PackedBatches) {
  const Documents text = text_of(4, 6, 9);
  const auto examples = masked_examples(text, vocabulary(), {.max_length = 30, .pairs = true}, 0);
  ASSERT_GT(examples.size(), 3U);
  const MaskedBatch b = pack(examples, std::vector<std::int64_t>{2, 0});
  EXPECT_EQ(b.segments.count(), 2);
  EXPECT_EQ(b.segments.length(0), static_cast<std::int64_t>(examples[2].ids.size()));
  EXPECT_EQ(b.follows, (Ids{examples[2].follows, examples[0].follows}));
  EXPECT_EQ(b.where.back(), b.segments.begin(1) + examples[0].where.back());
  EXPECT_EQ(b.targets.size(), b.where.size());
  EXPECT_EQ(b.types.size(), b.ids.size());
}

TEST(MaskedText, RefusesOptionsThatMakeNoSense) {
  const Documents text = text_of(1, 1, 3);
  EXPECT_THROW((void)masked_examples(text, vocabulary(), {.max_length = 3}, 0), Error);
  EXPECT_THROW((void)masked_examples(text, vocabulary(), {.share = 1.5}, 0), Error);
  EXPECT_THROW((void)masked_examples(text, vocabulary(), {.masked = 0.8, .kept = 0.3}, 0), Error);
}

}  // namespace
}  // namespace qkv
