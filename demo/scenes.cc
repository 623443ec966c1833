// More kinds of sentences of the demo corpus: being, having, places, times and longer ones.
#include <algorithm>
#include <array>

#include "demo/grammar.h"

namespace qkv {
namespace {

const DemoLexicon& lexicon() { return demo_lexicon(); }

}  // namespace

// Tom is a doctor. Whose umbrella is this?
void DemoGrammar::identity() {
  if (chance(0.55)) {
    Phrase who = chance(0.4)   ? pronoun(pick(lexicon().pronouns, {}))
                 : chance(0.5) ? named()
                               : kin();
    const DemoEntry& job = pick(lexicon().nouns, {"job"});
    meet("quality-noun", job[0], who.head);
    const bool several = who.en == "we" || who.en == "they";
    const std::string what = several ? job[1] : (job[0][0] == 'e' ? "an " : "a ") + job[0];
    const std::string be = who.who == Who::i ? "am" : who.who == Who::one ? "is" : "are";
    const double x = random_.uniform();
    if (x < 0.25)
      return finish({be + " " + who.en + " " + what, who.zh + "是" + job[3] + "吗"}, true);
    if (x < 0.4)
      return finish({who.en + " " + be + " not " + what, who.zh + "不是" + job[3]}, false);
    return finish({who.en + " " + be + " " + what, who.zh + "是" + job[3]}, false);
  }
  const DemoEntry& thing = pick(lexicon().nouns, {"thing", "pet", "small"});
  const DemoEntry& owner = pick(lexicon().pronouns, {});
  const double x = random_.uniform();
  const bool near = chance(0.6);
  const std::string en = near ? "this" : "that", zh = near ? "这" : "那";
  if (x < 0.3) {
    return finish({"whose " + thing[0] + " is " + en, zh + "是谁的" + thing[3]}, true);
  }
  if (x < 0.5) {
    return finish({"is " + en + " " + owner[2] + " " + thing[0],
                   zh + "是" + owner[3] + "的" + thing[3] + "吗"},
                  true);
  }
  const bool negative = x < 0.65;
  finish({en + " is " + (negative ? "not " : "") + owner[2] + " " + thing[0],
          zh + (negative ? "不" : "") + "是" + owner[3] + "的" + thing[3]},
         false);
}

// She has two brown dogs. How many books do you have?
void DemoGrammar::possession() {
  const DemoEntry& thing = pick(lexicon().nouns, {"thing", "pet", "small"});
  Phrase who = person();
  const bool one = who.who == Who::one;
  const std::string does = one ? "does " : "do ";
  const double x = random_.uniform();
  meet("verb-object", "have", thing[0]);
  const std::string single =
      (std::string_view("aeiou").find(thing[0][0]) != std::string_view::npos ? "an " : "a ") +
      thing[0];
  if (x < 0.15) {
    return finish({does + who.en + " have " + single, who.zh + "有" + thing[3] + "吗"}, true);
  }
  if (x < 0.3) {
    return finish({who.en + " " + does + "not have " + single, who.zh + "没有" + thing[3]}, false);
  }
  if (x < 0.45) {
    return finish({"how many " + thing[1] + " " + does + who.en + " have",
                   who.zh + "有几" + thing[2] + thing[3]},
                  true);
  }
  const Phrase what = noun(thing, "aann");
  finish({who.en + (one ? " has " : " have ") + what.en, who.zh + "有" + what.zh}, false);
}

// The keys are under the sofa. There is a cat behind the door.
void DemoGrammar::location() {
  const DemoEntry& spot = pick(lexicon().spots, {});
  const DemoEntry* found = &pick(lexicon().nouns, spot.tags);
  const DemoEntry& thing = *found;
  // Nothing stands next to itself.
  if (spot[0].find(" " + thing[0]) != std::string::npos) return location();
  meet("noun-spot", thing[0], spot[0]);
  const double x = random_.uniform();
  if (x < 0.4) {
    Phrase who = noun(thing, thing.has("person") && !thing.has("known") ? "thp" : "thpm");
    const bool one = who.who == Who::one;
    if (chance(0.2)) {
      return finish(
          {(one ? "is " : "are ") + who.en + " " + spot[0], who.zh + "在" + spot[1] + "吗"}, true);
    }
    const bool negative = chance(0.15);
    return finish({who.en + (one ? " is " : " are ") + (negative ? "not " : "") + spot[0],
                   who.zh + (negative ? "不" : "") + "在" + spot[1]},
                  false);
  }
  if (x < 0.5) {
    Phrase who = noun(thing, thing.has("person") && !thing.has("known") ? "thp" : "thpm");
    return finish({(who.who == Who::one ? "where is " : "where are ") + who.en, who.zh + "在哪儿"},
                  true);
  }
  if (x < 0.6) {
    return finish(
        {"how many " + thing[1] + " are there " + spot[0], spot[1] + "有几" + thing[2] + thing[3]},
        true);
  }
  const Phrase what = noun(thing, "aan");
  const bool one = what.who == Who::one;
  if (chance(0.15)) {
    return finish({(one ? "is there " : "are there ") + what.en + " " + spot[0],
                   spot[1] + "有" + what.zh + "吗"},
                  true);
  }
  finish({(one ? "there is " : "there are ") + what.en + " " + spot[0], spot[1] + "有" + what.zh},
         false);
}

// The girl is wearing a blue dress; he is holding an umbrella.
void DemoGrammar::wearing() {
  Phrase who = person();
  while (who.who == Who::many) {  // not all in one dress
    current_.pairs.clear();
    who = person();
  }
  const std::string be = who.who == Who::i ? "am" : "is";
  const std::size_t i = random_.below(3);
  static constexpr const char* kTags[] = {"cloth", "worn", "lend"};
  static constexpr const char* kChinese[] = {"穿着", "戴着", "拿着"};
  const Phrase what = object({kTags[i]}, "aaam");
  const std::string verb = i == 2 ? "holding" : "wearing";
  meet("subject-verb", who.head, verb);
  meet("verb-object", verb, what.head);
  if (chance(0.15)) {
    return finish({"who " + std::string("is ") + verb + " " + what.en,
                   std::string("谁") + kChinese[i] + what.zh},
                  true);
  }
  finish({who.en + " " + be + " " + verb + " " + what.en, who.zh + kChinese[i] + what.zh}, false);
}

// We went to Beijing by train last year. How do you go to school?
void DemoGrammar::go_somewhere() {
  Clause clause;
  clause.subject = person();
  clause.forms = {"go", "goes", "went", "gone", "going"};
  clause.zh_verb = "去";
  const double x = random_.uniform();
  const bool city = x < 0.3;
  const bool daily = x > 0.85;  // to school, to work
  const bool school = chance(0.5);
  if (daily) {
    clause.zh_verb = "上";
    clause.object = school ? Words{"to school", "学"} : Words{"to work", "班"};
    meet("subject-verb", clause.subject.head, school ? "go to school" : "go to work");
  } else {
    const DemoEntry& place = pick(lexicon().places, {city ? "city" : "go"});
    clause.object = {(city ? "to " : "to the ") + place[1], place[2]};
    meet("path-place", "go", place[1]);
  }
  if (chance(0.45)) {
    const DemoEntry& by = pick(lexicon().vehicles, {});
    if (by.has("far") ? city : !(city && by.has("near"))) {
      clause.company = {by[0], by[1]};
      meet("verb-object", "go", by[0]);
    }
  }
  Aspect aspect = Aspect::past;
  if (daily) {
    aspect = Aspect::habit;
  } else if (chance(0.55)) {
    aspect = chance(0.6) ? Aspect::future : city ? Aspect::plan : Aspect::habit;
  }
  set_time(clause, aspect, city);
  Mood mood = chance(0.15) ? Mood::negative : chance(0.2) ? Mood::question : Mood::statement;
  if (aspect == Aspect::habit) mood = Mood::statement;
  if (mood == Mood::question && chance(0.35) && clause.company.en.empty() &&
      aspect == Aspect::future) {
    clause.question = "how";
    clause.company = {"", "怎么"};
  }
  finish(clause, aspect, mood);
}

// Are you free tomorrow?
void DemoGrammar::be_free() {
  Phrase who = person();
  while (who.who == Who::i && chance(0.7)) who = person();  // seldom asked of oneself
  const bool past = chance(0.15);
  const Words time = past ? words(lexicon().past, {"day"}) : words(lexicon().future, {"day"});
  const std::string be = past ? (who.who == Who::many ? "were" : "was")
                              : (who.who == Who::i     ? "am"
                                 : who.who == Who::one ? "is"
                                                       : "are");
  meet("quality-noun", "free", who.head);
  const double x = random_.uniform();
  if (x < 0.4)
    return finish({be + " " + who.en + " free " + time.en, who.zh + time.zh + "有空吗"}, true);
  if (x < 0.5)
    return finish({"when " + be + " " + who.en + " free", who.zh + "什么时候有空"}, true);
  if (x < 0.65) {
    return finish({who.en + " " + be + " not free " + time.en, who.zh + time.zh + "没空"}, false);
  }
  finish({who.en + " " + be + " free " + time.en, who.zh + time.zh + "有空"}, false);
}

// My mother gave me an apple. Tom bought a dress for Mary.
void DemoGrammar::give() {
  const Phrase who = person();
  Phrase to = chance(0.5) ? named() : kin();
  if (chance(0.5)) {
    const DemoEntry& entry = pick(lexicon().pronouns, {});
    if (entry[0] == who.en) {
      current_.pairs.clear();
      return give();
    }
    to.en = entry[1];
    to.zh = entry[3];
  }
  if (to.zh == who.zh) {
    current_.pairs.clear();
    return give();
  }
  const std::size_t i = random_.below(4);
  static constexpr const char* kTags[] = {"post", "lend", "post", "thing"};
  const Phrase what = object({kTags[i]}, "aaanm");
  const bool future = chance(0.35);
  const std::string will = future ? "will " : "";
  const Words time =
      chance(0.4) ? words(future ? lexicon().future : lexicon().past, {"day"}) : Words{};
  const std::string zh = who.zh + time.zh + (future ? "会" : ""), after = future ? "" : "了";
  Words s;
  static constexpr const char* kNow[] = {"give", "lend", "send", "buy"};
  static constexpr const char* kPast[] = {"gave", "lent", "sent", "bought"};
  static constexpr const char* kChinese[] = {"给", "借给", "寄给", "买"};
  const std::string verb = future ? kNow[i] : kPast[i];
  meet("subject-verb", who.head, kNow[i]);
  meet("verb-object", kNow[i], what.head);
  if (i < 3) {
    s = {who.en + " " + will + verb + " " + to.en + " " + what.en,
         zh + kChinese[i] + after + to.zh + what.zh};
  } else {
    s = {who.en + " " + will + verb + " " + what.en + " for " + to.en,
         zh + "给" + to.zh + "买" + after + what.zh};
  }
  if (!time.en.empty()) s.en += " " + time.en;
  finish(s, false);
}

// It will rain tomorrow. It was very cold in London yesterday.
void DemoGrammar::weather() {
  static constexpr std::array<std::array<const char*, 2>, 4> kFeels = {
      {{"cold", "冷"}, {"hot", "热"}, {"warm", "暖和"}, {"cool", "凉快"}}};
  const bool past = chance(0.4), future = !past && chance(0.5);
  const Words time = past     ? words(lexicon().past, {"day"})
                     : future ? words(lexicon().future, {"day"})
                              : Words{"today", "今天"};
  const double x = random_.uniform();
  if (x < 0.3) {
    const bool snow = chance(0.5);
    const std::string verb = snow ? "snow" : "rain", zh = snow ? "下雪" : "下雨";
    if (past) return finish({"it " + verb + "ed " + time.en, time.zh + zh + "了"}, false);
    if (future && chance(0.4)) {
      return finish({"will it " + verb + " " + time.en, time.zh + "会" + zh + "吗"}, true);
    }
    if (future) return finish({"it will " + verb + " " + time.en, time.zh + "会" + zh}, false);
    return finish({"it is " + verb + "ing now", "现在正在" + zh}, false);
  }
  const auto& feels = kFeels[random_.below(kFeels.size())];
  const bool city = chance(0.6), very = chance(0.4);
  const DemoEntry& place = pick(lexicon().places, {"city"});
  const std::string where = city ? " in " + place[1] : "", zh_where = city ? place[2] : "";
  if (city) meet("quality-noun", feels[0], place[1]);
  const std::string be = past ? "was" : future ? "will be" : "is";
  if (!future && chance(0.25)) {
    return finish(
        {be + " it " + feels[0] + where + " " + time.en, zh_where + time.zh + feels[1] + "吗"},
        true);
  }
  finish({"it " + be + (very ? " very " : " ") + feels[0] + where + " " + time.en,
          zh_where + time.zh + (future ? "会" : "") + (very ? "非常" : "很") + feels[1]},
         false);
}

// I get up at seven o'clock every day. Today is Monday.
void DemoGrammar::schedule() {
  const Words hour = words(lexicon().numbers, {"hour"});
  if (chance(0.3)) {
    const Words day = words(lexicon().days);
    const bool tomorrow = chance(0.5), asks = chance(0.3);
    const std::string en = tomorrow ? "tomorrow" : "today", zh = tomorrow ? "明天" : "今天";
    if (asks) return finish({"is " + en + " " + day.en, zh + "是" + day.zh + "吗"}, true);
    return finish({en + " is " + day.en, zh + "是" + day.zh}, false);
  }
  static constexpr std::array<std::array<const char*, 3>, 5> kTasks = {
      {{"get up", "gets up", "起床"},
       {"have breakfast", "has breakfast", "吃早饭"},
       {"have lunch", "has lunch", "吃午饭"},
       {"go home", "goes home", "回家"},
       {"go to bed", "goes to bed", "睡觉"}}};
  const auto& task = kTasks[random_.below(kTasks.size())];
  const Phrase who = person();
  const Words when = words(lexicon().habits, {"day"});
  meet("subject-verb", who.head, task[0]);
  const bool one = who.who == Who::one;
  if (chance(0.25)) {
    return finish({std::string("what time ") + (one ? "does " : "do ") + who.en + " " + task[0] +
                       " " + when.en,
                   who.zh + when.zh + "几点" + task[2]},
                  true);
  }
  finish({who.en + " " + task[one ? 1 : 0] + " at " + hour.en + " o'clock " + when.en,
          who.zh + when.zh + hour.zh + "点" + task[2]},
         false);
}

DemoGrammar::Words DemoGrammar::simple_clause() {
  if (chance(0.4)) return quality_clause(nullptr);
  Clause clause = activity(false);
  clause.company = {};
  return say(clause, Aspect::progressive, Mood::statement);
}

// I think she is tired. If it rains tomorrow, we will play chess. He is singing and I am cooking.
void DemoGrammar::combined() {
  const double x = random_.uniform();
  if (x < 0.35) {
    const Phrase who = person();
    const Words what = quality_clause(nullptr);
    const bool one = who.who == Who::one, think = chance(0.6);
    meet("subject-verb", who.head, think ? "think" : "know");
    const std::string verb = think ? (one ? " thinks " : " think ") : (one ? " knows " : " know ");
    return finish({who.en + verb + "that " + what.en, who.zh + (think ? "觉得" : "知道") + what.zh},
                  false);
  }
  if (x < 0.55) {
    Clause clause = activity(true);
    clause.company = {};
    const bool snow = chance(0.5), negative = chance(0.4);
    const Words then = say(clause, Aspect::future, negative ? Mood::negative : Mood::statement);
    return finish({std::string("if it ") + (snow ? "snows" : "rains") + " tomorrow , " + then.en,
                   std::string("如果明天") + (snow ? "下雪" : "下雨") + "，" + then.zh},
                  false);
  }
  const Words b = simple_clause();
  if (x < 0.8) {
    const Words a = simple_clause();
    return finish({a.en + " , but " + b.en, a.zh + "，但是" + b.zh}, false);
  }
  const Phrase who = person();
  const DemoEntry& mood = pick(lexicon().qualities, {"mood"});
  meet("quality-noun", mood[0], who.head);
  const std::string be = who.who == Who::i ? " am " : who.who == Who::one ? " is " : " are ";
  finish({who.en + be + mood[0] + " because " + b.en,
          "因为" + b.zh + "，所以" + who.zh + "很" + mood[2]},
         false);
}

}  // namespace qkv
