#include "demo/grammar.h"

#include <algorithm>

namespace qkv {
namespace {

const DemoLexicon& lexicon() { return demo_lexicon(); }

std::string join(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    if (!text.empty()) text += ' ';
    text += part;
  }
  return text;
}

const char* article_before(std::string_view word) {
  const bool vowel = std::string_view("aeio").find(word[0]) != std::string_view::npos ||
                     (word[0] == 'u' && word.substr(0, 3) != "use");
  return vowel ? "an" : "a";
}

}  // namespace

bool DemoGrammar::Phrase::has(std::string_view tag) const {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

const DemoEntry& DemoGrammar::pick(const DemoTable& table, const std::vector<std::string>& tags) {
  std::vector<const DemoEntry*> fitting;
  for (const DemoEntry& entry : table) {
    if (tags.empty() || entry.has_any(tags)) fitting.push_back(&entry);
  }
  return *pick(fitting);
}

DemoGrammar::Words DemoGrammar::words(const DemoTable& table,
                                      const std::vector<std::string>& tags) {
  const DemoEntry& entry = pick(table, tags);
  return {entry[0], entry[1]};
}

void DemoGrammar::meet(std::string_view role, const std::string& a, const std::string& b) {
  if (!a.empty() && !b.empty()) current_.pairs.push_back(demo_pair(role, a, b));
}

DemoGrammar::Phrase DemoGrammar::pronoun(const DemoEntry& entry) const {
  Phrase phrase;
  phrase.en = entry[0];
  phrase.zh = entry[3];
  phrase.who = entry.has("i") ? Who::i : entry.has("one") ? Who::one : Who::many;
  phrase.tags = {"human", entry[0]};
  return phrase;
}

DemoGrammar::Phrase DemoGrammar::named() {
  const DemoEntry& entry = pick(lexicon().names, {});
  Phrase phrase;
  phrase.en = phrase.head = entry[0];
  phrase.zh = entry[1];
  phrase.tags = {"human", "single"};
  return phrase;
}

// My father, without 的 where one person has him: 我爸爸, but 我们的爸爸.
DemoGrammar::Phrase DemoGrammar::kin() {
  const DemoEntry& entry = pick(lexicon().kin, {});
  const std::string& whose = pick(entry.tags);
  const auto owner = std::find_if(lexicon().pronouns.begin(), lexicon().pronouns.end(),
                                  [&](const DemoEntry& p) { return p[2] == whose; });
  Phrase phrase;
  phrase.en = whose + " " + entry[0];
  phrase.zh = (*owner)[3] + (whose == "our" || whose == "their" ? "的" : "") + entry[1];
  phrase.head = entry[0];
  phrase.tags = {"human", "single"};
  return phrase;
}

// A quality or a colour that goes before this noun; often none.
DemoGrammar::Words DemoGrammar::quality_before(const DemoEntry& entry) {
  static const std::vector<std::string> coloured = {"cloth", "worn", "vehicle", "furniture",
                                                    "ware",  "pet",  "device"};
  if (entry.has_any(coloured) && chance(0.15)) {
    const Words colour =
        entry.has("pet") ? words(lexicon().colours, {"fur"}) : words(lexicon().colours);
    meet("quality-noun", colour.en, entry[0]);
    return colour;
  }
  if (!chance(0.25)) return {};
  std::vector<const DemoEntry*> fitting;
  for (const DemoEntry& quality : lexicon().qualities) {
    if (!quality[3].empty() && quality.has_any(entry.tags)) fitting.push_back(&quality);
  }
  if (fitting.empty()) return {};
  const DemoEntry& quality = *pick(fitting);
  meet("quality-noun", quality[0], entry[0]);
  return {quality[0], quality[3]};
}

// articles: any of a (a), t (the), h (this, that), n (numbers), p (the, these + plural), m (my …),
// g (bare plural: all of them).
DemoGrammar::Phrase DemoGrammar::noun(const DemoEntry& entry, std::string_view articles) {
  const char article = articles[random_.below(articles.size())];
  const Words quality = quality_before(entry);
  const std::string one = join({quality.en, entry[0]}), many = join({quality.en, entry[1]});
  const std::string zh = quality.zh + entry[3];
  Phrase phrase;
  phrase.head = entry[0];
  phrase.tags = entry.tags;
  switch (article) {
    case 'a':
      phrase.en = join({article_before(one), one});
      phrase.zh = "一" + entry[2] + zh;
      break;
    case 't':
      phrase.en = "the " + one;
      phrase.zh = "那" + entry[2] + zh;
      break;
    case 'h': {
      const bool near = chance(0.7);
      phrase.en = (near ? "this " : "that ") + one;
      phrase.zh = (near ? "这" : "那") + entry[2] + zh;
      break;
    }
    case 'n': {
      const Words number = words(lexicon().numbers);
      phrase.en = number.en + " " + many;
      phrase.zh = number.zh + entry[2] + zh;
      phrase.who = Who::many;
      break;
    }
    case 'p': {
      const bool near = chance(0.3);
      phrase.en = (near ? "these " : "the ") + many;
      phrase.zh = (near ? "这些" : "那些") + zh;
      phrase.who = Who::many;
      break;
    }
    case 'm': {
      const DemoEntry& owner = pick(lexicon().pronouns, {});
      phrase.en = owner[2] + " " + one;
      phrase.zh = owner[3] + "的" + zh;
      break;
    }
    default:
      phrase.en = many;
      phrase.zh = zh;
      phrase.who = Who::many;
  }
  phrase.tags.push_back(phrase.who == Who::one ? "single" : "several");
  return phrase;
}

DemoGrammar::Phrase DemoGrammar::person() {
  const double x = random_.uniform();
  if (x < 0.30) return pronoun(pick(lexicon().pronouns, {}));
  if (x < 0.46) return named();
  if (x < 0.60) return kin();
  const DemoEntry& entry = pick(lexicon().nouns, {"person"});
  Phrase phrase = noun(entry, entry.has("known") ? "tttthnpmm" : "tttthnp");
  phrase.tags.push_back("human");
  return phrase;
}

// A person or an animal with one of the tags.
DemoGrammar::Phrase DemoGrammar::creature(const std::vector<std::string>& tags) {
  const DemoEntry& entry = pick(lexicon().nouns, tags);
  return noun(entry, entry.has("pet") ? "attthnpmm" : "attthnp");
}

DemoGrammar::Phrase DemoGrammar::object(const std::vector<std::string>& tags,
                                        std::string_view articles) {
  std::vector<const DemoEntry*> fitting;
  for (const DemoEntry& entry : lexicon().nouns) {
    if (entry.has_any(tags)) fitting.push_back(&entry);
  }
  const std::size_t counted = fitting.size();
  for (const DemoEntry& entry : lexicon().stuff) {
    if (entry.has_any(tags)) fitting.push_back(&entry);
  }
  const std::size_t i = random_.below(fitting.size());
  if (i < counted) {
    std::string usual(articles);
    if (fitting[i]->has("person") && !fitting[i]->has("known")) std::erase(usual, 'm');
    return noun(*fitting[i], usual);
  }
  Phrase phrase;
  phrase.en = phrase.head = (*fitting[i])[0];
  phrase.zh = (*fitting[i])[1];
  phrase.tags = fitting[i]->tags;
  return phrase;
}

// A modal verb leads: "can see", "does not want to see".
void DemoGrammar::set_modal(const Clause& c, Mood mood, Predicate& p) {
  const Who who = c.subject.who;
  const bool negative = mood == Mood::negative;
  p.zh_before = negative ? c.modal->zh_not : c.modal->zh;
  if (c.modal->auxiliary) {
    p.aux = c.modal->en;
    return;
  }
  if (negative || mood == Mood::question) p.aux = who == Who::one ? "does" : "do";
  const std::string verb = c.modal->en;
  const bool third = p.aux.empty() && who == Who::one;
  p.before = third ? (verb == "have" ? "has" : verb + "s") : verb;
  p.before += " to";
}

DemoGrammar::Predicate DemoGrammar::predicate(const Clause& c, Aspect aspect, Mood mood) {
  const Who who = c.subject.who;
  const bool negative = mood == Mood::negative, asks = mood == Mood::question;
  const std::string be = who == Who::i ? "am" : who == Who::one ? "is" : "are";
  const std::string do_ = who == Who::one ? "does" : "do", have = who == Who::one ? "has" : "have";
  const std::string &participle = c.forms[3], &ing = c.forms[4];
  Predicate p;
  p.before = c.adverb.en;
  p.main = c.forms[0];
  switch (aspect) {
    case Aspect::habit:
      if (negative || asks) p.aux = do_;
      if (p.aux.empty() && who == Who::one) p.main = c.forms[1];
      p.zh_before = c.adverb.zh + (negative ? "不" : "");
      break;
    case Aspect::progressive:
      p.aux = be;
      p.main = ing;
      // 正在 and the 在 of a place are one: 正在公园里跑步.
      p.zh_before = negative ? "没" : c.plain_progressive || !c.place.zh.empty() ? "正" : "正在";
      if (negative && c.place.zh.empty()) p.zh_before = "没在";
      break;
    case Aspect::past:
      if (negative || asks) p.aux = "did";
      if (p.aux.empty()) p.main = c.forms[2];
      if (negative) p.zh_before = "没";
      if (!negative) p.after = "了";
      break;
    case Aspect::future:
      p.aux = "will";
      p.zh_before = negative ? "不会" : "会";
      break;
    case Aspect::plan:
      p.aux = be;
      p.before = "going to";
      p.zh_before = negative ? "不打算" : "打算";
      break;
    case Aspect::already:
      p.aux = have;
      p.main = participle;
      if (negative) {
        p.end = "yet";
        p.zh_before = "还没";
      } else {
        p.before = "already";
        p.zh_before = "已经";
        p.after = "了";
      }
      break;
    case Aspect::just:
      p.aux = have;
      p.before = "just";
      p.main = participle;
      p.zh_before = "刚";
      p.after = "了";
      break;
    case Aspect::never:
      p.aux = have;
      p.before = asks ? "ever" : "never";
      p.main = participle;
      p.zh_before = asks ? "" : "从没";
      p.after = "过";
      break;
    case Aspect::before:
      p.aux = have;
      p.main = participle;
      p.end = "before";
      p.zh_before = "以前";
      p.after = "过";
      break;
    case Aspect::modal:
      set_modal(c, mood, p);
      break;
  }
  return p;
}

// The heart of the grammar.
DemoGrammar::Words DemoGrammar::say(const Clause& c, Aspect aspect, Mood mood) const {
  const bool asks = mood == Mood::question;
  Predicate p = predicate(c, aspect, mood);
  // Asking where, why or how, the verb is no news and goes bare.
  if (c.question == "where" || c.question == "why") p.after.clear();
  if ((c.question == "where" && aspect == Aspect::progressive) || c.question == "how") {
    p.zh_before.clear();
  } else if (c.question == "why" && aspect == Aspect::progressive) {
    p.zh_before = c.place.zh.empty() ? "在" : "";
  }
  Words s;
  s.en = asks ? join({c.question, p.aux, c.subject.en, p.before, p.main})
              : join({c.subject.en, p.aux, mood == Mood::negative ? "not" : "", p.before, p.main});
  s.en = join(
      {s.en, c.object.en, c.manner.en, c.place.en, c.company.en, c.duration.en, c.time.en, p.end});
  s.zh = c.subject.zh + c.time.zh + c.zh_why + p.zh_before + c.place.zh + c.company.zh +
         c.manner.zh + c.zh_path + c.zh_verb + p.after + c.duration.zh + c.object.zh;
  if (asks && c.question.empty()) s.zh += "吗";
  return s;
}

}  // namespace qkv
