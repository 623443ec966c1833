// The grammar behind the demo corpus: it says the same thing in English and in Chinese, so that the
// English alone decides the Chinese. Internal to the demo corpus.
//
// English is lower case with a space between all tokens; Chinese is written without spaces. A
// statement ends without a mark, a question with "?" and "？".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "demo/lexicon.h"

#include "qkv/base/random.h"

namespace qkv {

struct DemoSentence {
  std::string source, target;
  /// What meets what here: subject and verb, verb and object, quality and noun … as demo_pair().
  std::vector<std::uint64_t> pairs;
};

/// The key of two words that meet in a role: "subject-verb", "verb-object", "path-place",
/// "activity-place", "noun-spot", "quality-noun".
constexpr std::uint64_t demo_pair(std::string_view role, std::string_view a, std::string_view b) {
  return key_of(hash_name(role), hash_name(a), hash_name(b));
}

/// Whether a pair of words is kept from the training part of demo_corpus(seed).
bool demo_held_out(std::uint64_t pair, std::uint64_t seed);

/// Draws sentences one after the other; the same key gives the same sequence.
class DemoGrammar {
 public:
  explicit DemoGrammar(std::uint64_t key) : random_(key) {}
  DemoSentence next();

 private:
  struct Words {
    std::string en, zh;
  };
  enum class Who { i, one, many };  // am, is, are
  struct Phrase : Words {
    Who who = Who::one;
    std::string head;                    // the noun or name; empty for pronouns
    std::vector<std::string> tags = {};  // what it is
    bool has(std::string_view tag) const;
  };
  enum class Aspect { habit, progressive, past, future, plan, already, just, never, before, modal };
  enum class Mood { statement, negative, question };
  struct Modal {
    const char *en, *zh, *zh_not;
    bool auxiliary;  // "can see", against "want to see"
  };
  // Somebody does something: parts in English order; `path` (朝…, 绕着…) is only Chinese.
  struct Clause {
    Phrase subject;
    std::vector<std::string> forms;  // base, -s, past, participle, -ing
    std::string zh_verb;
    Words object, manner, place, company, duration, adverb, time;
    std::string zh_path;
    std::string question;            // what, where, why …; Chinese has its word in place
    std::string zh_why;              // 为什么
    bool plain_progressive = false;  // 正 instead of 正在: the verb says where to
    const Modal* modal = nullptr;
  };

  // What mood and aspect make of the verb. English: auxiliary, what stands before the verb, its
  // form, what ends the sentence; Chinese: a word before the verb (正在, 会, 已经, 没 …) and a
  // particle after it (了, 过).
  struct Predicate {
    std::string aux, before, main, end;
    std::string zh_before, after;
  };

  // Drawing (demo_grammar.cc).
  bool chance(double p) { return random_.uniform() < p; }
  template <class T>
  const T& pick(const std::vector<T>& items) {
    return items[random_.below(items.size())];
  }
  const DemoEntry& pick(const DemoTable& table, const std::vector<std::string>& tags);
  Words words(const DemoTable& table, const std::vector<std::string>& tags = {});
  void meet(std::string_view role, const std::string& a, const std::string& b);

  // Phrases (demo_grammar.cc).
  Phrase pronoun(const DemoEntry& entry) const;
  Phrase named();
  Phrase kin();
  Phrase noun(const DemoEntry& entry, std::string_view articles);
  Words quality_before(const DemoEntry& entry);
  Phrase person();
  Phrase creature(const std::vector<std::string>& tags);
  Phrase object(const std::vector<std::string>& tags, std::string_view articles);
  Words say(const Clause& clause, Aspect aspect, Mood mood) const;
  static Predicate predicate(const Clause& clause, Aspect aspect, Mood mood);
  static void set_modal(const Clause& clause, Mood mood, Predicate& p);

  // Sentences (demo_sentences.cc): each adds to current_.
  void finish(const Words& sentence, bool question);
  void finish(const Clause& clause, Aspect aspect, Mood mood);
  Clause doing(const DemoEntry& verb);
  Clause activity(bool with_place);
  void set_time(Clause& clause, Aspect aspect, bool rare);
  Aspect aspect_for(bool event);
  void motion();
  void act_on();
  void be_active();
  void ask_about_action();
  void feel();
  void modal();
  void quality();
  void compare();
  void identity();
  void possession();
  void location();
  void wearing();
  void go_somewhere();
  void be_free();
  void give();
  void weather();
  void schedule();
  void combined();
  Words simple_clause();
  Words quality_clause(bool* question);

  Philox random_;
  DemoSentence current_;
};

}  // namespace qkv
