// The words of the demo corpus, English and Chinese side by side. Internal to the demo corpus.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// One row of a table: its words, and the tags that say what it goes with.
struct DemoEntry {
  std::vector<std::string> words;
  std::vector<std::string> tags;

  const std::string& operator[](std::size_t i) const { return words[i]; }
  bool has(std::string_view tag) const;
  bool has_any(const std::vector<std::string>& wanted) const;
};

using DemoTable = std::vector<DemoEntry>;

struct DemoLexicon {
  DemoTable pronouns;    // subject, object, possessive, zh; tags: i, one, many
  DemoTable names;       // en, zh
  DemoTable kin;         // en, zh; tags: whose
  DemoTable nouns;       // singular, plural, classifier, zh; people, animals and things
  DemoTable stuff;       // en, zh: mass nouns and plurals without a number
  DemoTable verbs;       // base, -s, past, participle, -ing, zh; tags: objects, and how they behave
  DemoTable activities;  // base, -s, past, participle, -ing, rest, zh verb, zh object; where
  DemoTable motions;     // base, -s, past, participle, -ing, zh; tags: paths
  DemoTable places;      // preposition, en, zh, zh suffix; tags: paths, kinds
  DemoTable spots;       // en, zh; tags: small, large
  DemoTable qualities;   // en, comparative, zh, zh before a noun or -; tags: of what
  DemoTable colours;     // en, zh
  DemoTable numbers;     // en, zh
  DemoTable past, future, habits, adverbs, days, manners, vehicles;  // en, zh
};

/// Read once from the tables in demo_lexicon.cc.
const DemoLexicon& demo_lexicon();

}  // namespace qkv
