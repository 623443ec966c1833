// The kinds of sentences of the demo corpus.
#include <algorithm>
#include <array>

#include "demo/grammar.h"

namespace qkv {
namespace {

const DemoLexicon& lexicon() { return demo_lexicon(); }

std::vector<std::string> forms_of(const DemoEntry& verb) {
  return {verb.words.begin(), verb.words.begin() + 5};
}

}  // namespace

DemoSentence DemoGrammar::next() {
  struct Kind {
    double weight;
    void (DemoGrammar::*make)();
  };
  static constexpr std::array<Kind, 18> kKinds = {{
      {12, &DemoGrammar::motion},
      {16, &DemoGrammar::act_on},
      {13, &DemoGrammar::be_active},
      {7, &DemoGrammar::ask_about_action},
      {5, &DemoGrammar::feel},
      {7, &DemoGrammar::modal},
      {5, &DemoGrammar::quality},
      {3, &DemoGrammar::compare},
      {3, &DemoGrammar::identity},
      {4, &DemoGrammar::possession},
      {6, &DemoGrammar::location},
      {2, &DemoGrammar::wearing},
      {4, &DemoGrammar::go_somewhere},
      {2, &DemoGrammar::be_free},
      {3, &DemoGrammar::give},
      {2, &DemoGrammar::weather},
      {3, &DemoGrammar::schedule},
      {3, &DemoGrammar::combined},
  }};
  current_ = {};
  double x = random_.uniform() * 100.0;
  for (const Kind& kind : kKinds) {
    x -= kind.weight;
    if (x >= 0.0) continue;
    (this->*kind.make)();
    break;
  }
  return std::move(current_);
}

void DemoGrammar::finish(const Words& sentence, bool question) {
  current_.source = sentence.en + (question ? " ?" : "");
  current_.target = sentence.zh + (question ? "？" : "");
}

// A statement is now and then an answer.
void DemoGrammar::finish(const Clause& clause, Aspect aspect, Mood mood) {
  Words sentence = say(clause, aspect, mood);
  if (mood == Mood::negative && chance(0.12)) {
    sentence = {"no , " + sentence.en, "不，" + sentence.zh};
  } else if (mood == Mood::statement && chance(0.04)) {
    sentence = {"yes , " + sentence.en, "是的，" + sentence.zh};
  }
  finish(sentence, mood == Mood::question);
}

DemoGrammar::Aspect DemoGrammar::aspect_for(bool event) {
  const double x = random_.uniform();
  if (event) {
    return x < 0.5    ? Aspect::past
           : x < 0.75 ? Aspect::already
           : x < 0.85 ? Aspect::just
                      : Aspect::future;
  }
  return x < 0.26   ? Aspect::progressive
         : x < 0.49 ? Aspect::past
         : x < 0.63 ? Aspect::future
         : x < 0.69 ? Aspect::plan
         : x < 0.77 ? Aspect::already
         : x < 0.81 ? Aspect::just
                    : Aspect::habit;
}

// A time that fits; habits must have one or an adverb, or English does not tell them apart.
void DemoGrammar::set_time(Clause& clause, Aspect aspect, bool rare) {
  const std::vector<std::string> spans =
      rare ? std::vector<std::string>{"long", "day"} : std::vector<std::string>{"day"};
  if (aspect == Aspect::habit) {
    if (chance(0.6)) clause.adverb = words(lexicon().adverbs);
    if (clause.adverb.en.empty()) clause.time = words(lexicon().habits);
  } else if (aspect == Aspect::past) {
    if (chance(0.5)) clause.time = words(lexicon().past, spans);
  } else if (aspect == Aspect::future || aspect == Aspect::plan) {
    if (chance(0.5)) clause.time = words(lexicon().future, spans);
  } else if (aspect == Aspect::progressive && chance(0.12)) {
    clause.time = {"now", "现在"};
  }
}

DemoGrammar::Clause DemoGrammar::doing(const DemoEntry& verb) {
  Clause clause;
  clause.forms = forms_of(verb);
  clause.zh_verb = verb[5];
  return clause;
}

// The dog is running across the grass.
void DemoGrammar::motion() {
  const DemoEntry& verb = pick(lexicon().motions, {});
  std::vector<std::string> paths;
  for (const std::string& tag : verb.tags) {
    if (tag != "all" && tag != "fly" && tag != "swim" && tag != "person" && tag != "crawl")
      paths.push_back(tag);
  }
  const std::string path = pick(paths);
  const DemoEntry& place = pick(lexicon().places, {path == "climb" ? "up_tree" : path});
  Clause clause = doing(verb);
  if (verb.has("fly")) {
    clause.subject = creature({"fly"});
  } else if (verb.has("swim")) {
    clause.subject = chance(0.5) ? person() : creature({"swim"});
  } else if (verb.has("crawl")) {
    clause.subject = chance(0.7) ? person() : creature({"crawl"});
  } else if (verb.has("person")) {
    clause.subject = chance(0.5) ? person() : creature({"climb"});
  } else {
    clause.subject = chance(0.45) ? person() : creature({"animal"});
  }
  const std::string manner = verb[5], &where = place[2];
  bool whole = true;  // the path has an end, so the past can be told
  std::string preposition = path;
  if (path == "up" || path == "climb") {
    preposition = "up";
    clause.zh_verb = manner + "上";
  } else if (path == "down") {
    clause.zh_verb = manner + "下";
  } else if (path == "into") {
    clause.zh_verb = manner + "进";
  } else if (path == "out_of") {
    preposition = "out of";
    clause.zh_verb = manner + "出";
  } else if (path == "through") {
    clause.zh_verb = manner + "着穿过";
  } else if (path == "towards") {
    clause.zh_path = "朝" + where;
    clause.zh_verb = manner + "去";
  } else if (path == "around" || path == "along") {
    clause.zh_path = (path == "around" ? "绕着" : "沿着") + where;
    whole = false;
  } else {
    preposition = path == "over" || path == "leap" ? "over" : "across";
    clause.zh_verb = manner + "过";
  }
  clause.object = {preposition + " the " + place[1], clause.zh_path.empty() ? where : ""};
  clause.plain_progressive = true;
  meet("path-place", verb[0] + " " + preposition, place[1]);
  meet("subject-verb", clause.subject.head, verb[0]);
  const Aspect told[] = {Aspect::progressive, Aspect::progressive, Aspect::past,
                         Aspect::past,        Aspect::already,     Aspect::future};
  const Aspect going_on[] = {Aspect::progressive, Aspect::habit, Aspect::future};
  const Aspect aspect = whole ? told[random_.below(6)] : going_on[random_.below(3)];
  set_time(clause, aspect, false);
  Mood mood = Mood::statement;
  if (aspect == Aspect::progressive || aspect == Aspect::past) {
    if (chance(0.15)) mood = Mood::question;
    if (aspect == Aspect::past && mood == Mood::statement && chance(0.12)) mood = Mood::negative;
  }
  finish(clause, aspect, mood);
}

// She has already washed the blue shirt.
void DemoGrammar::act_on() {
  const DemoEntry* verb = &pick(lexicon().verbs, {});
  while (verb->has("state")) verb = &pick(lexicon().verbs, {});
  Clause clause = doing(*verb);
  clause.subject = verb->has("animals") && chance(0.3) ? creature({"animal"}) : person();
  const bool event = verb->has("event");
  Aspect aspect = aspect_for(event);
  Mood mood = chance(0.14) ? Mood::negative : chance(0.2) ? Mood::question : Mood::statement;
  if (mood == Mood::question && !event && chance(0.25)) {
    aspect = Aspect::never;  // have you ever …
  } else if (mood == Mood::statement && !event && chance(0.12)) {
    aspect = chance(0.5) ? Aspect::never : Aspect::before;
  }
  if ((aspect == Aspect::habit || aspect == Aspect::just || aspect == Aspect::already) &&
      mood == Mood::question) {
    mood = Mood::statement;
  }
  if ((aspect == Aspect::habit || aspect == Aspect::just) && mood == Mood::negative) {
    mood = Mood::statement;
  }
  const bool general =
      aspect == Aspect::habit || aspect == Aspect::never || aspect == Aspect::before;
  const Phrase what = object(verb->tags, general                  ? "g"
                                         : mood == Mood::negative ? "tthpm"
                                                                  : "aaatthnnpmm");
  clause.object = what;
  meet("subject-verb", clause.subject.head, (*verb)[0]);
  meet("verb-object", (*verb)[0], what.head);
  set_time(clause, aspect, verb->has("rare"));
  if (verb->has("same") && aspect == Aspect::past && clause.time.en.empty()) {
    clause.time = words(lexicon().past, {"day"});
  }
  finish(clause, aspect, mood);
}

DemoGrammar::Clause DemoGrammar::activity(bool with_place) {
  const DemoEntry& entry = pick(lexicon().activities, {});
  Clause clause;
  clause.forms = forms_of(entry);
  clause.zh_verb = entry[6];
  clause.object = {entry[5], entry[7]};
  clause.subject = entry.has("animals") && chance(0.3) ? creature({"animal"}) : person();
  const std::string name = entry[0] + (entry[5].empty() ? "" : " " + entry[5]);
  meet("subject-verb", clause.subject.head, name);
  std::vector<std::string> where;
  for (const std::string& tag : entry.tags) {
    if (tag != "skill" && tag != "animals") where.push_back(tag);
  }
  if (with_place && !where.empty() && chance(0.4)) {
    const DemoEntry& place = pick(lexicon().places, where);
    const bool city = place.has("city");
    if (city || !place[0].empty()) {
      clause.place = {(city ? "in " : place[0] + " the ") + place[1],
                      "在" + place[2] + (place.has("water") ? "边" : place[3])};
      meet("activity-place", name, place[1]);
    }
  }
  if (clause.subject.has("human") && chance(0.12)) {
    const Phrase other = chance(0.5) ? named() : kin();
    if (other.en != clause.subject.en) {
      clause.company = {"with " + other.en, "和" + other.zh + "一起"};
    }
  }
  return clause;
}

// Tom is dancing in the garden with my older sister.
void DemoGrammar::be_active() {
  Clause clause = activity(true);
  Aspect aspect = aspect_for(false);
  if (aspect == Aspect::already || aspect == Aspect::just) aspect = Aspect::past;
  Mood mood = chance(0.14) ? Mood::negative : chance(0.2) ? Mood::question : Mood::statement;
  if (aspect == Aspect::habit && mood != Mood::statement) mood = Mood::statement;
  set_time(clause, aspect, false);
  if (aspect == Aspect::past && mood == Mood::statement && clause.place.en.empty() && chance(0.3)) {
    const Words hours = words(lexicon().numbers, {"hour"});
    clause.duration = {"for " + hours.en + " hours", hours.zh + "个小时"};
  } else if (clause.place.en.empty() && clause.company.en.empty() &&
             aspect == Aspect::progressive && clause.subject.has("human") && chance(0.15)) {
    clause.manner = words(lexicon().manners);
  }
  finish(clause, aspect, mood);
}

// What is she reading? Who bought this car? Where will they play football?
void DemoGrammar::ask_about_action() {
  const double x = random_.uniform();
  if (x < 0.3) {  // where and why
    const bool where = chance(0.5);
    Clause clause = activity(!where);
    const Aspect aspects[] = {Aspect::progressive, Aspect::past, Aspect::future};
    Aspect aspect = aspects[random_.below(3)];
    clause.company = {};
    if (where) {
      clause.question = "where";
      clause.place = {"", "在哪儿"};
    } else {
      clause.question = "why";
      clause.zh_why = "为什么";
      if (aspect == Aspect::future) aspect = Aspect::past;
    }
    set_time(clause, aspect, false);
    return finish(say(clause, aspect, Mood::question), true);
  }
  const DemoEntry* verb = &pick(lexicon().verbs, {});
  while (verb->has("state")) verb = &pick(lexicon().verbs, {});
  Clause clause = doing(*verb);
  const bool event = verb->has("event");
  const Aspect aspects[] = {Aspect::past, Aspect::future, Aspect::progressive};
  const Aspect aspect = aspects[random_.below(event ? 2 : 3)];
  const bool to_people = verb->has("person");
  if (x < 0.6) {  // what, whom
    clause.subject = person();
    meet("subject-verb", clause.subject.head, (*verb)[0]);
    clause.question = to_people ? "who" : "what";
    clause.object = {"", to_people ? "谁" : "什么"};
    set_time(clause, aspect, false);
    return finish(say(clause, aspect, Mood::question), true);
  }
  if (x < 0.8) {  // who
    clause.subject.en = "who";
    clause.subject.zh = "谁";
    const Phrase what = object(verb->tags, "aatthpm");
    clause.object = what;
    meet("verb-object", (*verb)[0], what.head);
    set_time(clause, aspect, false);
    if (verb->has("same") && aspect == Aspect::past) clause.time = {"yesterday", "昨天"};
    return finish(say(clause, aspect, Mood::statement), true);
  }
  // how many; drinks and dishes are not counted
  if (verb->has_any({"drink", "dish"})) return ask_about_action();
  const DemoEntry& counted = pick(lexicon().nouns, verb->tags);
  clause.subject = person();
  clause.question = "how many " + counted[1];
  clause.object = {"", "几" + counted[2] + counted[3]};
  meet("subject-verb", clause.subject.head, (*verb)[0]);
  meet("verb-object", (*verb)[0], counted[0]);
  const Aspect counting = chance(0.6) ? Aspect::past : Aspect::future;
  set_time(clause, counting, false);
  finish(say(clause, counting, Mood::question), true);
}

// I like cats. Does she need an umbrella?
void DemoGrammar::feel() {
  const DemoEntry& verb = pick(lexicon().verbs, {"state"});
  Clause clause = doing(verb);
  clause.subject = person();
  const std::string name = verb[0];
  const Mood mood = chance(0.2) ? Mood::negative : chance(0.3) ? Mood::question : Mood::statement;
  const bool taste = name == "like" || name == "hate";
  const Phrase what = object(verb.tags, taste                    ? "gggth"
                                        : name == "know"         ? "tthpm"
                                        : mood == Mood::negative ? "tthp"
                                                                 : "aaatthn");
  clause.object = what;
  meet("subject-verb", clause.subject.head, name);
  meet("verb-object", name, what.head);
  finish(clause, Aspect::habit, mood);
}

// You should help your mother. May I open the window? He can swim.
void DemoGrammar::modal() {
  static constexpr std::array<Modal, 6> kModals = {{{"should", "应该", "不应该", true},
                                                    {"must", "必须", "不能", true},
                                                    {"may", "可以", "", true},
                                                    {"want", "想", "不想", false},
                                                    {"need", "需要", "不需要", false},
                                                    {"have", "得", "不用", false}}};
  static constexpr Modal kSkill = {"can", "会", "不会", true}, kAble = {"can", "能", "不能", true};
  Clause clause;
  const bool skill = chance(0.2);
  bool plain = false;  // only the verb
  if (skill) {
    const DemoEntry& entry = pick(lexicon().activities, {"skill"});
    clause.forms = forms_of(entry);
    clause.zh_verb = entry[6];
    clause.object = {entry[5], entry[7]};
    clause.subject = person();
    clause.modal = &kSkill;
    meet("subject-verb", clause.subject.head, entry[0] + (entry[5].empty() ? "" : " " + entry[5]));
    plain = true;
  } else {
    const DemoEntry* verb = &pick(lexicon().verbs, {});
    while (verb->has("state") || verb->has("event")) verb = &pick(lexicon().verbs, {});
    clause = doing(*verb);
    clause.subject = person();
    const std::size_t i = random_.below(7);
    clause.modal = i < 6 ? &kModals[i] : &kAble;
    const Phrase what = object(verb->tags, "atthpm");
    clause.object = what;
    meet("subject-verb", clause.subject.head, (*verb)[0]);
    meet("verb-object", (*verb)[0], what.head);
  }
  const std::string_view modal = clause.modal->en;
  Mood mood = chance(0.2) ? Mood::negative : chance(0.3) ? Mood::question : Mood::statement;
  if (modal == "may") mood = clause.subject.who == Who::i ? Mood::question : Mood::statement;
  if (modal == "must" && mood == Mood::question) mood = Mood::statement;
  if (modal == "have" && mood == Mood::question) mood = Mood::statement;
  if (!plain && chance(0.2)) clause.time = words(lexicon().future, {"day"});
  finish(clause, Aspect::modal, mood);
}

}  // namespace qkv
