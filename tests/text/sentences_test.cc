// split_sentences() on hard cases in several languages; "|" stands where a sentence ends.
#include "qkv/text/sentences.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using testing::ElementsAre;

std::string marked(std::string_view text) {
  std::string result;
  for (const SentencePiece& piece : split_sentences(text)) {
    result.append(piece.text).append(piece.text.empty() ? "" : "|").append(piece.space_after);
  }
  return result;
}

std::string whole(std::string_view text) {
  std::string result;
  for (const SentencePiece& piece : split_sentences(text)) {
    result.append(piece.text).append(piece.space_after);
  }
  return result;
}

struct Row {
  const char* language;
  const char* text;
};

constexpr Row kRows[] = {
    {"en", "He left.| She stayed.|"},
    {"en", "Mr. Smith met Dr. Brown at 5 p.m. on Monday.| They talked.|"},
    {"en", "It costs $3.50, i.e. 3.2 euros.| That's cheap!|"},
    {"en", "The U.S. Army left.| The U.S. president stayed.|"},
    {"en", "He lives in the U.S.| He likes it.|"},
    {"en", "J. R. R. Tolkien and C.S. Lewis were friends.| Both wrote.|"},
    {"en", "John F. Kennedy spoke.| People listened.|"},
    {"en", "\"Stop!\" he cried.| \"Why?\"| Nobody knew.|"},
    {"en", "“Stop!” he cried.| “Why?”| Nobody knew.|"},
    {"en", "She asked, \"Really?\"| He nodded.|"},
    {"en", "He said \"yes.\"| Then he left.|"},
    {"en", "(See p. 5.)| It is on page 7.|"},
    {"en", "Well... I don't know.| Wait... what?|"},
    {"en", "He paused…| Then he went on.|"},
    {"en", "See Fig. 3 and Sec. 4.| No. 5 is alive.|"},
    {"en", "No.| I won't.|"},
    {"en", "The answer is no.| We go.|"},
    {"en", "This is Plan B.| Plan A failed.|"},
    {"en", "Take vitamin C.| It helps.|"},
    {"en", "So do I.| And you?|"},
    {"en", "Apple Inc. was founded in 1976.| It grew.|"},
    {"en", "He works at Acme Corp.| The pay is good.|"},
    {"en", "We met Smith et al. (1999) there.| Fine.|"},
    {"en", "Bring pens, paper, etc.| Then wait.|"},
    {"en", "It was 3.14.| Pi, roughly.|"},
    {"en", "Visit www.example.com.| Or write to a.b@c.org.|"},
    {"en", "Version 2.0.1 is out.| Get it.|"},
    {"en", "What?!| No way!!!| OK.|"},
    {"en", "Yahoo! is a company.| Really.|"},
    {"en", "1. First item.| 2. Second item.|"},
    {"en", "It happened in 1999.| Then came 2000.|"},
    {"en", "They arrived at 10 a.m. Tuesday.| Good.|"},
    {"en", "It began at 8 p.m.| Everyone came.|"},
    {"en", "He has a Ph.D. in physics.| She has an M.A. too.|"},
    {"en", "I met Prof. Dr. Lee and Gen. Ray.| OK.|"},
    {"en", "He knew it.[12]| She did not.|"},
    {"en", "The end .| The next one .|"},
    {"en", "It cost a lot.| 5 people paid.|"},
    {"en", "(This is one.| This is two.)| Next.|"},
    {"en", "Dan Smith Jr. was there.| Joe came.|"},
    {"en", "We use .NET here.| Good.|"},
    {"en", "I came.|\u00A0 He went.|"},
    {"en", "Great 👍.| Next one.| 👍 again.|"},
    {"de", "Am 3. Oktober wird gefeiert.| Der 2. Weltkrieg endete 1945.|"},
    {"de", "Im 19. Jahrhundert war das so.| Heute nicht.|"},
    {"de", "Das ist z. B. Hunden egal.| Mir auch.|"},
    {"de", "Er mag Tiere, z.B. Katzen.| Sie nicht.|"},
    {"de", "Das heißt, d. h. Freitag, bzw. Samstag.| Gut.|"},
    {"de", "Herr Dr. Müller u. a. Kollegen kamen.| Sie gingen.|"},
    {"de", "Siehe S. 12, Abs. 3, Nr. 4.| Das reicht.|"},
    {"de", "„Was?“, fragte er.| „Nichts.“| Sie ging.|"},
    {"de", "»Komm!« rief sie.| »Wohin?«| Er kam.|"},
    {"de", "Er ist 3.| Sie ist 5.|"},
    {"de", "Ludwig XIV. war König.| Er starb 1715.|"},
    {"de", "Es gab Äpfel, Birnen usw.| Alles war frisch.|"},
    {"de", "Das kostet ca. 3,50 Euro bzw. 1.000 Yen.| Teuer!|"},
    {"de", "Die Fa. Meier GmbH zahlt.| Immer.|"},
    {"fr", "M. Dupont et Mme Durand sont là.| Ils parlent.|"},
    {"fr", "« Vraiment ? » dit-il.| « Oui ! »| Elle part.|"},
    {"fr", "Vraiment ?| Oui !| C'est vrai.|"},
    {"fr", "Il a lu l'art. 3 du chap. 2, p. 7.| C'est tout.|"},
    {"fr", "Né en 52 av. J.-C. à Rome.| Il y vit.|"},
    {"fr", "Des fruits, p. ex. Golden, etc.| Voilà.|"},
    {"es", "El Sr. López y la Sra. Ruiz llegaron.| ¿Qué tal?| ¡Bien!|"},
    {"es", "¿De verdad?| —Sí —dijo él.| Nada más.|"},
    {"es", "Vive en EE. UU. desde 1990.| Le gusta.|"},
    {"es", "Ud. sabe, p. ej. Madrid.| Claro.|"},
    {"es", "Véase la pág. 5 y el núm. 3.| Gracias.|"},
    {"zh", "你好。|我很好。|"},
    {"zh", "真的吗？！|我不信。|"},
    {"zh", "他说：“你好！”|然后走了。|"},
    {"zh", "他说“好。”，然后走了。|"},
    {"zh", "“你是谁？”他问。|“我是李明。”|"},
    {"en", "Visit us at http://a.b/c?d=e.f.| Bye.|"},
    {"en", "I visited Washington, D.C. last week.| I like D.C.| It was hot.|"},
    {"en", "He was born on Jan. 5, 1980.| She was born in Feb.| They met in Dec. 2001.|"},
    {"en", "A. First option.| B. Second option.|"},
    {"en", "the boat waits .| the red boat , too .|"},
    {"de", "Der 1. FC Köln gewann.| Der Jubel war groß.|"},
    {"de", "Das Treffen ist am 12.05.2020 um 14.30 Uhr.| Bitte pünktlich!|"},
    {"fr", "Il est né le 1er janv. 1900.| Il est mort en 1950.|"},
    {"ja", "彼は「行く」と言った。|私は行かなかった。|"},
    {"zh", "他……走了。|"},
    {"zh", "价格是3.5元。|（很贵。）|算了！|"},
    {"zh", "真的吗?|我不信!|好。|"},
    {"zh", "我用C++。| 你呢？|"},
    {"ja", "「はい。」と彼は言った。|そうですか。|"},
    {"ja", "今日は。|元気ですか？|はい！|"},
    {"ja", "（笑）面白い。|次です。|"},
    {"ru", "Он ушёл.| Она осталась.|"},
    {"ru", "А. С. Пушкин писал.| Мы читаем.|"},
    {"ar", "هل أنت بخير؟| نعم.|"},
    {"hi", "वह गया।| मैं रहा।|"},
    {"ko", "안녕하세요.| 잘 지내요?|"},
};

TEST(SplitSentences, HardCasesOfSeveralLanguages) {
  int right = 0;
  for (const Row& row : kRows) {
    std::string text = row.text;
    std::erase(text, '|');
    const bool same = marked(text) == row.text;
    right += same ? 1 : 0;
    EXPECT_EQ(marked(text), row.text) << row.language;
    EXPECT_EQ(whole(text), text);
  }
  RecordProperty("right", right);
}

TEST(SplitSentences, NothingIsLost) {
  for (const std::string text :
       {"",    " ",   "\n\n", "  a", "a  ", ".",  "...", " . ! ? ", "\xFF. \xFF A.", "a.\r\n\r\nB",
        "(.)", "«.»", "! »",  "#",   "- ",  "1.", "。",  "\u2029x", ". [12",         ". [1"}) {
    EXPECT_EQ(whole(text), text);
  }
  EXPECT_TRUE(split_sentences("").empty());
  EXPECT_EQ(marked("  He left. She"), "  He left.| She|");
}

TEST(SplitSentences, ParagraphsEndSentencesAndWrappedLinesDoNot) {
  EXPECT_EQ(marked("A title\n\nA long sentence\nthat is wrapped. The\nnext one.\r\n\r\nLast"),
            "A title|\n\nA long sentence\nthat is wrapped.| The\nnext one.|\r\n\r\nLast|");
  EXPECT_EQ(marked("Dr.\n\nSmith"), "Dr.|\n\nSmith|");
  EXPECT_EQ(marked("Mr.\nSmith went.\nHe left."), "Mr.\nSmith went.|\nHe left.|");
  EXPECT_EQ(marked("one\n \t\ntwo"), "one|\n \t\ntwo|");
  EXPECT_EQ(marked("你好\n吗？我\n很好。\n\n再见"), "你好\n吗？|我\n很好。|\n\n再见|");
  EXPECT_EQ(marked("Am\n3. Oktober war es.\nGut."), "Am\n3. Oktober war es.|\nGut.|");
  EXPECT_EQ(marked("It took\n- as he said - long.\n"), "It took\n- as he said - long.|\n");
}

TEST(SplitSentences, ItemsOfListsStandAlone) {
  EXPECT_EQ(marked("Buy:\n- milk\n- ten eggs\n"), "Buy:|\n- milk|\n- ten eggs|\n");
  EXPECT_EQ(marked("• one\n• two"), "• one|\n• two|");
  EXPECT_EQ(marked("Do this:\n1. Sit.\n2. Wait"), "Do this:|\n1. Sit.|\n2. Wait|");
  EXPECT_EQ(marked("# Title\nText goes\non."), "# Title|\nText goes\non.|");
}

TEST(Sentences, StandBesideEachOtherAsTheirScriptsDo) {
  EXPECT_EQ(space_between("Hello.", "Goodbye."), " ");
  EXPECT_EQ(space_between("你好。", "再见。"), "");
  EXPECT_EQ(space_between("你好。", "Goodbye."), " ");
  EXPECT_EQ(space_between("", "Goodbye."), "");
  EXPECT_EQ(space_between("Hello.", ""), "");
}

TEST(OneLine, LineEndsBecomeSpaces) {
  EXPECT_EQ(one_line("a long\nsentence \r\n  here"), "a long sentence here");
  EXPECT_EQ(one_line("你好\n吗，\n我"), "你好吗，我");
  EXPECT_EQ(one_line("a  b"), "a  b");
  EXPECT_EQ(one_line(""), "");
  EXPECT_EQ(one_line("用\nC"), "用 C");
}

// Whatever is long: words, spaces, marks, openers, digits, list items.
TEST(SplitSentences, TimeIsLinear) {
  const auto seconds = [](const std::string& unit, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += unit;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(whole(text).size(), text.size());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  // By the square a million bytes would take minutes; ten seconds are far from both.
  for (const char* unit : {"a",   " ",  ".",    "(",  ")",    ". (",  "a. ",  "»",     " »",
                           "! »", "[1", ".[1]", "\n", "\n- ", "Mr. ", "1. ",  "\"",    ". \"",
                           "。",  "」", "。」", "…",  "- ",   "A.",   ". - ", "\u0301"}) {
    EXPECT_LT(seconds(unit, 300000), 10.0) << unit;
  }
}

}  // namespace
}  // namespace qkv
