#include "demo/corpus.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "demo/grammar.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using Text = std::vector<std::string>;
using Set = std::set<std::string>;

const DemoCorpus& corpus() {
  static const DemoCorpus made = demo_corpus();
  return made;
}

Set words_of(const Text& lines) {
  Set words;
  for (const std::string& line : lines) {
    std::istringstream stream(line);
    for (std::string word; stream >> word;) words.insert(word);
  }
  return words;
}

Set characters_of(const Text& lines) {
  Set characters;
  for (const std::string& line : lines) {
    for (std::size_t i = 0; i < line.size();) {
      std::size_t n = 1;
      while (i + n < line.size() && (line[i + n] & 0xC0) == 0x80) ++n;
      characters.insert(line.substr(i, n));
      i += n;
    }
  }
  return characters;
}

// Everything the grammar says in `count` draws; the translation is looked up by the source.
const std::map<std::string, DemoSentence>& sentences() {
  static const auto drawn = [] {
    std::map<std::string, DemoSentence> all;
    DemoGrammar grammar(1);
    for (int i = 0; i < 120000; ++i) {
      const DemoSentence sentence = grammar.next();
      const auto at = all.emplace(sentence.source, sentence);
      // One English sentence has one translation.
      EXPECT_EQ(at.first->second.target, sentence.target) << sentence.source;
    }
    return all;
  }();
  return drawn;
}

TEST(DemoCorpus, Counts) {
  const DemoCorpus& c = corpus();
  EXPECT_EQ(c.train_source.size(), 30000u);
  EXPECT_EQ(c.train_target.size(), 30000u);
  EXPECT_EQ(c.valid_source.size(), 500u);
  EXPECT_EQ(c.valid_target.size(), 500u);
  EXPECT_EQ(c.test_source.size(), 1000u);
  EXPECT_EQ(c.test_target.size(), 1000u);
  const std::size_t words = words_of(c.train_source).size();
  const std::size_t characters = characters_of(c.train_target).size();
  EXPECT_GT(words, 500u);
  EXPECT_LT(words, 750u);
  EXPECT_GT(characters, 400u);
  EXPECT_LT(characters, 550u);
  std::size_t tokens = 0, longest = 0;
  for (const std::string& line : c.train_source) {
    const auto n = static_cast<std::size_t>(std::count(line.begin(), line.end(), ' ')) + 1;
    tokens += n;
    longest = std::max(longest, n);
  }
  EXPECT_GT(tokens, 180000u);
  EXPECT_LT(tokens, 270000u);
  EXPECT_LE(longest, 22u);
}

TEST(DemoCorpus, NoLeak) {
  const DemoCorpus& c = corpus();
  const Set source(c.train_source.begin(), c.train_source.end());
  const Set target(c.train_target.begin(), c.train_target.end());
  EXPECT_EQ(source.size(), c.train_source.size());  // distinct
  EXPECT_EQ(Set(c.test_source.begin(), c.test_source.end()).size(), c.test_source.size());
  for (const Text* part : {&c.valid_source, &c.test_source}) {
    for (const std::string& line : *part) EXPECT_EQ(source.count(line), 0u) << line;
  }
  for (const Text* part : {&c.valid_target, &c.test_target}) {
    for (const std::string& line : *part) EXPECT_EQ(target.count(line), 0u) << line;
  }
  for (const std::string& line : c.valid_source) {
    EXPECT_EQ(std::count(c.test_source.begin(), c.test_source.end(), line), 0);
  }
}

TEST(DemoCorpus, TestWordsAreTrained) {
  const DemoCorpus& c = corpus();
  EXPECT_THAT(
      words_of(c.test_source),
      ::testing::Each(::testing::Truly([known = words_of(c.train_source)](const auto& word) {
        return known.count(word) == 1;
      })));
  EXPECT_THAT(characters_of(c.test_target),
              ::testing::Each(
                  ::testing::Truly([known = characters_of(c.train_target)](const auto& character) {
                    return known.count(character) == 1;
                  })));
}

TEST(DemoCorpus, HeldOutPairsMeetOnlyInTheTest) {
  const DemoCorpus& c = corpus();
  std::set<std::uint64_t> trained;
  std::size_t found = 0;
  const auto pairs_of = [&found](const std::string& source) {
    const auto at = sentences().find(source);
    found += at != sentences().end();
    return at == sentences().end() ? std::vector<std::uint64_t>{} : at->second.pairs;
  };
  for (const std::string& source : c.train_source) {
    for (const std::uint64_t pair : pairs_of(source)) trained.insert(pair);
  }
  // All but the two sentences that are added by hand come from the same draws.
  EXPECT_GE(found, c.train_source.size() - 2);
  EXPECT_GT(trained.size(), 3000u);
  for (const std::uint64_t pair : trained) EXPECT_FALSE(demo_held_out(pair, 1));
  for (const std::string& source : c.test_source) {
    const std::vector<std::uint64_t> pairs = pairs_of(source);
    EXPECT_TRUE(std::any_of(pairs.begin(), pairs.end(), [&](std::uint64_t pair) {
      return demo_held_out(pair, 1) && trained.count(pair) == 0;
    })) << source;
  }
}

// Read off the text itself: a quality that is held out for a noun never stands before it.
TEST(DemoCorpus, HeldOutQualitiesAreAbsentFromTheText) {
  const DemoLexicon& lexicon = demo_lexicon();
  Set bigrams;
  for (const std::string& line : corpus().train_source) {
    std::istringstream stream(line);
    std::string before, word;
    while (stream >> word) {
      bigrams.insert(before + " " + word);
      before = word;
    }
  }
  int held = 0, met = 0;
  for (const DemoEntry& noun : lexicon.nouns) {
    for (const DemoTable* table : {&lexicon.qualities, &lexicon.colours}) {
      for (const DemoEntry& quality : *table) {
        const bool there = bigrams.count(quality[0] + " " + noun[0]) > 0 ||
                           bigrams.count(quality[0] + " " + noun[1]) > 0;
        met += there;
        if (!demo_held_out(demo_pair("quality-noun", quality[0], noun[0]), 1)) continue;
        EXPECT_FALSE(there) << quality[0] << " " << noun[0];
        ++held;
      }
    }
  }
  EXPECT_GT(held, 50);
  EXPECT_GT(met, 300);
}

TEST(DemoCorpus, SameArgumentsSameCorpus) {
  const DemoCorpus a = demo_corpus(3, 600), b = demo_corpus(3, 600), c = demo_corpus(4, 600);
  EXPECT_EQ(a.train_source, b.train_source);
  EXPECT_EQ(a.test_target, b.test_target);
  EXPECT_NE(a.train_source, c.train_source);
  EXPECT_EQ(a.train_source.size(), 600u);
  EXPECT_EQ(a.valid_source.size(), 10u);
  EXPECT_EQ(a.test_source.size(), 20u);
  EXPECT_TRUE(demo_corpus(1, 0).train_source.empty());
}

TEST(DemoCorpus, SentencesToShow) {
  const std::vector<DemoPair> shown = demo_sentences();
  ASSERT_GE(shown.size(), 6u);
  EXPECT_EQ(shown[0].source, "the dog is running across the grass");
  EXPECT_EQ(shown[0].target, "那只狗正跑过草地");
  EXPECT_EQ(shown[1].source, "are you free tomorrow ?");
  EXPECT_EQ(shown[1].target, "你明天有空吗？");
  for (const DemoCorpus& c : {corpus(), demo_corpus(9, 300)}) {
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const auto at = std::find(c.train_source.begin(), c.train_source.end(), shown[i].source);
      ASSERT_EQ(at != c.train_source.end(), i < 2) << shown[i].source;
      if (i < 2) {
        EXPECT_EQ(c.train_target[static_cast<std::size_t>(at - c.train_source.begin())],
                  shown[i].target);
      }
    }
  }
  const Set words = words_of(corpus().train_source),
            characters = characters_of(corpus().train_target);
  for (const DemoPair& pair : shown) {
    EXPECT_THAT(words, ::testing::IsSupersetOf(words_of({pair.source}))) << pair.source;
    EXPECT_THAT(characters, ::testing::IsSupersetOf(characters_of({pair.target}))) << pair.source;
    // Where the grammar says it too, it says the same.
    const auto at = sentences().find(pair.source);
    if (at != sentences().end()) {
      EXPECT_EQ(at->second.target, pair.target);
    }
  }
}

TEST(DemoCorpus, OneEnglishSentenceHasOneTranslation) { EXPECT_GT(sentences().size(), 80000u); }

TEST(DemoCorpus, MeasureWords) {
  struct Row {
    const char *english, *chinese, *wrong;
  };
  const Row rows[] = {{"two dogs", "两只", "两个狗"},      {"three books", "三本", "三个书"},
                      {"four cars", "四辆", "四个汽车"},   {"five tables", "五张", "五个桌子"},
                      {"two dresses", "两条", "两件裙子"}, {"two horses", "两匹", "两个马"},
                      {"three keys", "三把", "三个钥匙"},  {"two teachers", "两位", "两个老师"},
                      {"two pens", "两支", "两个钢笔"},    {"two flowers", "两朵", "两个花"},
                      {"two hats", "两顶", "两个帽子"},    {"two letters", "两封", "两个信"}};
  std::map<std::string, int> met;
  for (const auto& entry : sentences()) {
    for (const Row& row : rows) {
      EXPECT_THAT(entry.second.target, ::testing::Not(::testing::HasSubstr(row.wrong)));
      if ((" " + entry.first + " ").find(std::string(" ") + row.english + " ") !=
          std::string::npos) {
        EXPECT_THAT(entry.second.target, ::testing::HasSubstr(row.chinese)) << entry.first;
        ++met[row.english];
      }
    }
    EXPECT_THAT(entry.second.target, ::testing::Not(::testing::HasSubstr("二只")));
  }
  EXPECT_EQ(met.size(), std::size(rows));
}

TEST(DemoCorpus, LooksAsPromised) {
  for (const auto& entry : sentences()) {
    const std::string &en = entry.first, &zh = entry.second.target;
    ASSERT_FALSE(en.empty());
    EXPECT_EQ(en.find("  "), std::string::npos) << en;
    EXPECT_NE(en.back(), ' ') << en;
    EXPECT_EQ(zh.find(' '), std::string::npos) << zh;
    EXPECT_TRUE(std::none_of(en.begin(), en.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
    EXPECT_EQ(en.ends_with(" ?"), zh.ends_with("？")) << en << " " << zh;
  }
}

}  // namespace
}  // namespace qkv
