// Sentences of the demo corpus that say how something is.
#include "demo/grammar.h"

namespace qkv {
namespace {

const DemoLexicon& lexicon() { return demo_lexicon(); }

}  // namespace

DemoGrammar::Words DemoGrammar::quality_clause(bool* question) {
  const bool thing = chance(0.45);
  const DemoEntry* noun_entry = nullptr;
  Phrase who;
  std::vector<std::string> tags = {"human"};
  if (thing) {
    do {
      noun_entry = &pick(lexicon().nouns, {});
    } while (noun_entry->has("person"));
    tags = noun_entry->tags;
    // The quality is what is told, so none stands before the noun.
    who.head = (*noun_entry)[0];
    const bool many = chance(0.2), near = chance(0.4);
    who.en = many ? (near ? "these " : "the ") + (*noun_entry)[1]
                  : (near ? "this " : "the ") + (*noun_entry)[0];
    who.zh = (near ? "这" : "那") + (many ? "些" : (*noun_entry)[2]) + (*noun_entry)[3];
    who.who = many ? Who::many : Who::one;
  } else {
    who = person();
  }
  std::vector<const DemoEntry*> fitting;
  for (const DemoEntry& entry : lexicon().qualities) {
    if (entry.has_any(tags)) fitting.push_back(&entry);
  }
  if (fitting.empty()) return quality_clause(question);
  const DemoEntry& entry = *pick(fitting);
  meet("quality-noun", entry[0], who.head);
  const std::string be = who.who == Who::i ? "am" : who.who == Who::one ? "is" : "are";
  const double x = random_.uniform();
  if (question != nullptr && x < 0.2) {
    *question = true;
    if (entry.has("mood") && chance(0.5)) {
      return {"why " + be + " " + who.en + " so " + entry[0], who.zh + "为什么这么" + entry[2]};
    }
    return {be + " " + who.en + " " + entry[0], who.zh + entry[2] + "吗"};
  }
  if (x < 0.35) {
    const bool has = entry[2].starts_with("有");  // 有钱, but 没有钱
    return {who.en + " " + be + " not " + entry[0], who.zh + (has ? "没" : "不") + entry[2]};
  }
  if (x < 0.5) return {who.en + " " + be + " very " + entry[0], who.zh + "非常" + entry[2]};
  if (x < 0.6) return {who.en + " " + be + " too " + entry[0], who.zh + "太" + entry[2] + "了"};
  if (x < 0.75 && entry.has("mood")) {
    const std::string was = who.who == Who::many ? "were" : "was";
    const Words time = words(lexicon().past, {"day"});
    return {who.en + " " + was + " " + entry[0] + " " + time.en,
            who.zh + time.zh + "很" + entry[2]};
  }
  return {who.en + " " + be + " " + entry[0], who.zh + "很" + entry[2]};
}

// The car is very expensive. Why are you so sad?
void DemoGrammar::quality() {
  bool question = false;
  if (chance(0.15)) {  // what colour it is
    const DemoEntry& entry =
        pick(lexicon().nouns, {"cloth", "worn", "vehicle", "furniture", "ware", "pet"});
    if (chance(0.3)) {
      return finish({"what colour is the " + entry[0], "那" + entry[2] + entry[3] + "是什么颜色的"},
                    true);
    }
    const DemoEntry& owner = pick(lexicon().pronouns, {});
    const Words colour = words(lexicon().colours);
    meet("quality-noun", colour.en, entry[0]);
    return finish({owner[2] + " " + entry[0] + " is " + colour.en,
                   owner[3] + "的" + entry[3] + "是" + colour.zh},
                  false);
  }
  const Words sentence = quality_clause(&question);
  finish(sentence, question);
}

// Mary is taller than Tom. The bed is as old as the table.
void DemoGrammar::compare() {
  const DemoEntry* quality = &pick(lexicon().qualities, {});
  while ((*quality)[1].empty()) quality = &pick(lexicon().qualities, {});
  Phrase a, b;
  if (quality->has("human")) {
    a = person();
    b = chance(0.5) ? named() : kin();
    if (a.en == b.en) {
      current_.pairs.clear();
      return compare();
    }
  } else {
    const auto thing = [this, quality] {
      const DemoEntry& entry = pick(lexicon().nouns, quality->tags);
      Phrase phrase;
      const bool near = chance(0.4);
      phrase.head = entry[0];
      phrase.en = (near ? "this " : "the ") + entry[0];
      phrase.zh = (near ? "这" : "那") + entry[2] + entry[3];
      return phrase;
    };
    a = thing();
    b = thing();
    if (a.zh == b.zh) return compare();
  }
  meet("quality-noun", (*quality)[0], a.head);
  const std::string be = a.who == Who::i ? "am" : a.who == Who::one ? "is" : "are";
  if (chance(0.7)) {
    const bool much = chance(0.25);
    return finish({a.en + " " + be + (much ? " much " : " ") + (*quality)[1] + " than " + b.en,
                   a.zh + "比" + b.zh + (*quality)[2] + (much ? "得多" : "")},
                  false);
  }
  finish({a.en + " " + be + " as " + (*quality)[0] + " as " + b.en,
          a.zh + "和" + b.zh + "一样" + (*quality)[2]},
         false);
}

}  // namespace qkv
