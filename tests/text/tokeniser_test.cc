#include "qkv/text/tokeniser.h"

#include <algorithm>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Kind = TokeniserOptions::Kind;
using Ids = std::vector<std::int32_t>;

constexpr Kind kAll[] = {Kind::word, Kind::character, Kind::space,
                         Kind::page, Kind::bpe,       Kind::unigram};

// A small text in two languages, each sentence often enough to learn from.
std::vector<std::string> corpus() {
  std::vector<std::string> sentences;
  for (int i = 0; i < 30; ++i) {
    sentences.insert(sentences.end(),
                     {"the dog is running across the grass.", "are you free tomorrow?",
                      "the cats were running, weren't they?", "你明天有空吗？", "狗在草地上跑。",
                      "我有3本Book。", ""});
  }
  return sentences;
}

Tokeniser trained(Kind kind, Normalisation normalise = {}) {
  return Tokeniser::train({.kind = kind, .normalise = normalise}, corpus());
}

class EveryKind : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Tokeniser, EveryKind, testing::ValuesIn(kAll),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

TEST_P(EveryKind, GivesTextBack) {
  const Tokeniser t = trained(GetParam());
  for (const std::string& sentence : corpus()) {
    const Ids ids = t.encode(sentence);
    for (const std::int32_t id : ids) {
      EXPECT_GT(id, 3) << sentence;
      EXPECT_LT(id, t.size());
    }
    EXPECT_EQ(t.pieces(sentence).size(), ids.size());
    if (GetParam() != Kind::page) {
      EXPECT_EQ(t.decode(ids), sentence);
    }
  }
}

TEST_P(EveryKind, NumbersItsSpecialTokens) {
  const Tokeniser t = trained(GetParam());
  EXPECT_THAT((Ids{t.pad(), t.unk(), t.bos(), t.eos()}), ElementsAre(0, 1, 2, 3));
  const bool page = GetParam() == Kind::page;
  EXPECT_EQ(t.piece(0), page ? "<PAD>" : "<pad>");
  EXPECT_EQ(t.piece(3), page ? "</S>" : "<eos>");
  EXPECT_EQ(t.decode(Ids{2, 3, 0}), "");
  EXPECT_EQ(t.decode({}), "");
  EXPECT_TRUE(t.encode("").empty());
  EXPECT_THROW(t.decode(Ids{t.size()}), Error);
  EXPECT_THROW(t.decode(Ids{-1}), Error);
  EXPECT_THROW(t.piece(t.size()), Error);
}

TEST_P(EveryKind, NoTextMakesSpecialTokens) {
  const Tokeniser t = trained(GetParam());
  for (const char* text : {"<pad> <eos> <bos> <unk>", "<S> </S> <PAD>", "</s>"}) {
    for (const std::int32_t id : t.encode(text)) EXPECT_TRUE(id == t.unk() || id > 3) << text;
  }
}

TEST_P(EveryKind, IsTheSameEachTime) {
  const Temporary folder;
  trained(GetParam()).save(folder.path(), "a");
  trained(GetParam()).save(folder.path(), "b");
  for (const char* end : {".vocab", ".model", ".tokeniser.json"}) {
    if (!std::filesystem::exists(folder / (std::string("a") + end))) continue;
    EXPECT_EQ(read_file(folder / (std::string("a") + end)),
              read_file(folder / (std::string("b") + end)));
  }
}

TEST_P(EveryKind, TakesAnyBytes) {
  const Tokeniser t = trained(GetParam(), {.nfkc = true, .lower = true});
  Philox random(11);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(random.below(60), ' ');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    const Ids ids = t.encode(bytes);
    EXPECT_EQ(t.words(ids).size(), ids.size());
    EXPECT_FALSE(first_bad_byte(t.decode(ids)));
  }
}

TEST_P(EveryKind, TakesALineOf100000Words) {
  const Tokeniser t = trained(GetParam());
  std::string line;
  for (int i = 0; i < 100000; ++i) line += i % 3 ? "running " : "dog ";
  line.pop_back();
  const Ids ids = t.encode(line);
  EXPECT_GE(ids.size(), 100000u);
  EXPECT_EQ(t.decode(ids), line);
}

TEST_P(EveryKind, SurvivesTheDisk) {
  const Temporary folder;
  const Tokeniser t = trained(GetParam(), {.nfkc = true, .lower = true});
  t.save(folder.path(), "source");
  const Tokeniser back = Tokeniser::load(folder.path(), "source");
  EXPECT_EQ(back.kind(), GetParam());
  EXPECT_EQ(back.normalisation(), t.normalisation());
  ASSERT_EQ(back.size(), t.size());
  for (std::int32_t i = 0; i < t.size(); ++i) EXPECT_EQ(back.piece(i), t.piece(i));
  const std::string text = "The DOG ran; 你 ｆree? ☃";
  EXPECT_EQ(back.encode(text), t.encode(text));
}

TEST_P(EveryKind, RefusesTruncatedAndChangedFiles) {
  const Temporary folder;
  // Few tokens, so that every length can be tried.
  const std::vector<std::string> text = {"ab ab b", "b a ab"};
  Tokeniser::train({.kind = GetParam()}, text).save(folder.path(), "t");
  for (const char* end : {".tokeniser.json", ".vocab", ".model"}) {
    const std::filesystem::path path = folder / (std::string("t") + end);
    if (!std::filesystem::exists(path)) continue;
    const std::string whole = read_file(path);
    // The newline after the last brace of the JSON is not missed.
    const std::size_t shorter = whole.size() - (std::string(end) == ".tokeniser.json" ? 1 : 0);
    for (std::size_t size = 0; size < shorter; ++size) {
      write_file(path, std::string_view(whole).substr(0, size));
      EXPECT_THROW(Tokeniser::load(folder.path(), "t"), DataError) << end << " " << size;
    }
    if (std::string(end) != ".tokeniser.json") {
      std::string changed = whole;
      changed[changed.size() / 2] ^= 1;
      write_file(path, changed);
      EXPECT_THROW(Tokeniser::load(folder.path(), "t"), DataError) << end;
      std::filesystem::remove(path);
      EXPECT_THROW(Tokeniser::load(folder.path(), "t"), FileError) << end;
    }
    write_file(path, whole);
    EXPECT_NO_THROW(Tokeniser::load(folder.path(), "t"));
  }
}

TEST_P(EveryKind, ReportsUnknownTokens) {
  const std::vector<std::string> text = {"the dog Ж", "the ЖЖ"};
  const UnknownReport report = trained(GetParam()).unknown_report(text);
  if (GetParam() == Kind::word || GetParam() == Kind::space) {
    EXPECT_EQ(report.tokens, 5);
    EXPECT_EQ(report.unknown, 2);
    EXPECT_EQ(report.types, 4);
    EXPECT_EQ(report.unknown_types, 2);
  } else if (GetParam() == Kind::character) {
    EXPECT_EQ(report.unknown, 3);
    EXPECT_EQ(report.unknown_types, 1);
  } else if (GetParam() == Kind::page) {
    EXPECT_EQ(report.tokens, 3);  // the Cyrillic words are stripped
    EXPECT_EQ(report.unknown, 0);
  } else {
    EXPECT_GE(report.unknown, 2);
  }
}

TEST_P(EveryKind, NeedsText) {
  for (const std::vector<std::string>& text :
       {std::vector<std::string>{}, std::vector<std::string>{"", ""}}) {
    EXPECT_THROW(Tokeniser::train({.kind = GetParam()}, text), Error);
  }
  const std::vector<std::string> some = {"a"};
  EXPECT_THROW(Tokeniser::train({.kind = GetParam(), .vocabulary_size = -1}, some), Error);
  EXPECT_THROW(Tokeniser::train({.kind = GetParam(), .coverage = 0.0}, some), Error);
}

TEST(Tokeniser, LearnsFromOddTextsWithoutComplaint) {
  const std::size_t lengthy = QKV_SWEEP > 1 ? 20'000 : 200'000;
  const std::vector<std::vector<std::string>> texts = {{"a"},
                                                       {"aaaaaaaaaaaaaaaaaaaa"},
                                                       {"\xFF\xFE"},
                                                       {std::string(lengthy, 'x'), "y"},
                                                       {"☃", "🐕🐕", "\u2581\u2581"},
                                                       {"<eos> <pad>"},
                                                       {std::string("a\0b", 3)},
                                                       {"\t", "x\ty"}};
  for (const auto& text : texts) {
    for (const Kind kind : {Kind::bpe, Kind::unigram}) {
      try {
        const Tokeniser t = Tokeniser::train({.kind = kind, .vocabulary_size = 50}, text);
        t.decode(t.encode(text[0]));
      } catch (const Error&) {  // refusing is fine
      }
    }
  }
}

TEST(Tokeniser, SubwordsSayWhenTheVocabularyIsTooSmall) {
  EXPECT_THAT([] { Tokeniser::train({.kind = Kind::bpe, .vocabulary_size = 10}, corpus()); },
              ThrowsMessage<Error>(HasSubstr("cannot learn 10 pieces from 210 sentences: Vocab")));
}

TEST(Tokeniser, SubwordSizeIsALimit) {
  for (const Kind kind : {Kind::bpe, Kind::unigram}) {
    EXPECT_LE(Tokeniser::train({.kind = kind, .vocabulary_size = 60}, corpus()).size(), 60);
  }
}

TEST(Tokeniser, BytesLeaveNothingUnknown) {
  const Tokeniser t = Tokeniser::train(
      {.kind = Kind::bpe, .vocabulary_size = 400, .byte_fallback = true}, corpus());
  const std::string text = "the 🐕 dog Ж";
  const Ids ids = t.encode(text);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), t.unk()), 0);
  EXPECT_EQ(t.decode(ids), text);
  EXPECT_THAT(t.word_texts(ids), ElementsAre("the", "🐕", "dog", "Ж"));
}

TEST(Tokeniser, SubwordsTakeAnySpaceForASpace) {
  for (const Kind kind : {Kind::bpe, Kind::unigram}) {
    const Tokeniser t = trained(kind);
    EXPECT_EQ(t.encode("the\tdog\u3000is \u00A0running\n"), t.encode("the dog is running"));
  }
}

TEST(Tokeniser, WordsIgnoreRareOnes) {
  const std::vector<std::string> text = {"a a a b b c"};
  const Tokeniser t = Tokeniser::train({.kind = Kind::word, .min_count = 2}, text);
  EXPECT_EQ(t.size(), 6);
  EXPECT_THAT(t.encode("a b c"), ElementsAre(4, 5, 1));
  EXPECT_EQ(t.decode(t.encode("a b c")), "a b <unk>");
}

TEST(Tokeniser, PageVariantIsTheRecipe) {
  const TokeniserOptions options = TokeniserOptions::page_variant();
  EXPECT_EQ(options.min_count, 20);
  std::vector<std::string> text(20, "It's fine, 5 times!");
  text.resize(39, "rare");
  const Tokeniser t = Tokeniser::train(options, text);
  EXPECT_EQ(t.size(), 4 + 3);
  EXPECT_EQ(t.decode(t.encode("It's fine? rare 99")), "It's fine <UNK>");
}

TEST(Tokeniser, CharactersKeepEverySpace) {
  const std::vector<std::string> text = {"a b\tc\u3000d 你"};
  const Tokeniser t = Tokeniser::train({.kind = Kind::character}, text);
  for (const std::string same : {"a  b", " a ", "\t\ta", "你 你", "\u3000"}) {
    EXPECT_EQ(t.decode(t.encode(same)), same);
  }
  EXPECT_EQ(t.decode(t.encode("a☃")), "a\u2047");
}

TEST(Tokeniser, NormalisesBeforeItCuts) {
  const Tokeniser t = trained(Kind::bpe, {.nfkc = true, .lower = true});
  EXPECT_EQ(t.encode("ＴＨＥ Dog"), t.encode("the dog"));
  EXPECT_EQ(t.decode(t.encode("The Dog")), "the dog");
}

TEST(Tokeniser, SubwordsBelongToWords) {
  const Tokeniser t = Tokeniser::train({.kind = Kind::bpe, .vocabulary_size = 60}, corpus());
  const Ids ids = t.encode("are they running? 狗跑");
  const std::vector<std::string> words = t.word_texts(ids);
  EXPECT_THAT(words, ElementsAre("are", "they", "running", "?", "狗", "跑"));
  const Ids index = t.words(ids);
  ASSERT_EQ(index.size(), ids.size());
  EXPECT_GT(ids.size(), words.size());
  EXPECT_TRUE(std::is_sorted(index.begin(), index.end()));
  EXPECT_EQ(index.front(), 0);
  EXPECT_EQ(index.back(), 5);
  Ids with_end = ids;
  with_end.push_back(t.eos());
  EXPECT_EQ(t.word_texts(with_end).back(), "<eos>");
  EXPECT_TRUE(t.words({}).empty());
  EXPECT_TRUE(t.word_texts({}).empty());
}

TEST(Tokeniser, CharactersBelongToWords) {
  const Tokeniser t = trained(Kind::character);
  const Ids ids = t.encode("the dog, 你有3本");
  EXPECT_THAT(t.word_texts(ids), ElementsAre("the", "dog", ",", "你", "有", "3", "本"));
  EXPECT_THAT(t.words(t.encode("a t")), ElementsAre(0, 1, 1));  // the space goes with "t"
}

TEST(Tokeniser, EveryWordIsAWord) {
  const Tokeniser t = trained(Kind::word);
  EXPECT_THAT(t.words(t.encode("the dog?")), ElementsAre(0, 1, 2));
}

TEST(Tokeniser, RefusesForeignDescriptions) {
  const Temporary folder;
  const auto loading = [&](const std::string& json) {
    write_file(folder / "t.tokeniser.json", json);
    return [&folder] { Tokeniser::load(folder.path(), "t"); };
  };
  EXPECT_THROW(Tokeniser::load(folder.path(), "t"), FileError);
  const std::string rest = R"("nfkc":false,"lower":false,"bytes":0,"crc32":0})";
  EXPECT_THAT(loading(R"({"format":"qkv tokeniser","version":9,"kind":"word",)" + rest),
              ThrowsMessage<DataError>(HasSubstr("version 9")));
  EXPECT_THAT(loading(R"({"format":"qkv tokeniser","version":1,"kind":"magic",)" + rest),
              ThrowsMessage<DataError>(HasSubstr("no tokeniser is called \"magic\"")));
  EXPECT_THAT(loading(R"({"format":"other","version":1,"kind":"word",)" + rest),
              ThrowsMessage<DataError>(HasSubstr("not a qkv tokeniser")));
  EXPECT_THAT(loading(R"({"format":"qkv tokeniser","version":1,"kind":7,)" + rest),
              ThrowsMessage<DataError>(HasSubstr("t.tokeniser.json: kind is 7, not a text")));
  for (const char* version : {"1e38", "1.5", "-1", "\"1\"", "[[1]]"}) {
    EXPECT_THAT(
        loading(fmt::format(R"({{"format":"qkv tokeniser","version":{},"kind":"word",)", version) +
                rest),
        ThrowsMessage<DataError>(HasSubstr("t.tokeniser.json: version is ")))
        << version;
  }
  EXPECT_THAT(loading(R"({"format":"qkv tokeniser","version":1,"kind":"word","dropout":1,)" + rest),
              ThrowsMessage<DataError>(HasSubstr("a field 'dropout'")));
  for (const char* junk : {"", "[]", "null", "{}", "\xFF\xFE", "[[[[[[[["}) {
    EXPECT_THROW(loading(junk)(), DataError) << junk;
  }
}

TEST(Tokeniser, NamesOfKinds) {
  for (const Kind kind : kAll) EXPECT_EQ(kind_of(name_of(kind)), kind);
  EXPECT_THAT([] { kind_of("bep"); }, ThrowsMessage<Error>(HasSubstr("bep")));
}

TEST(Tokeniser, BareModelsOpen) {
  const Temporary folder;
  const Tokeniser t = trained(Kind::unigram);
  t.save(folder.path(), "t");
  const Tokeniser bare = Tokeniser::open_model(folder / "t.model");
  EXPECT_EQ(bare.encode("the dog 你"), t.encode("the dog 你"));
  write_file(folder / "bad.model", "this is no model");
  EXPECT_THROW(Tokeniser::open_model(folder / "bad.model"), DataError);
  EXPECT_THROW(Tokeniser::open_model(folder / "none.model"), FileError);
}

TEST(Tokeniser, ACountThatNothingReachesIsRefused) {
  const std::vector<std::string> text = {"the dog", "the cat"};
  EXPECT_THAT([&] { Tokeniser::train({.kind = Kind::word, .min_count = 100}, text); },
              ThrowsMessage<Error>(HasSubstr("only 0 words occur 100 times; give more text or")));
  EXPECT_THAT([&] { Tokeniser::train({.kind = Kind::character, .min_count = 100}, text); },
              ThrowsMessage<Error>(HasSubstr("only 0 characters occur 100 times")));
  EXPECT_THAT([&] { Tokeniser::train({.kind = Kind::page, .vocabulary_size = 4}, text); },
              ThrowsMessage<Error>(HasSubstr("a vocabulary of 4 has no room")));
  EXPECT_EQ(Tokeniser::train({.kind = Kind::word, .min_count = 2}, text).size(), 5);
}

TEST(Tokeniser, ModelsWithoutWhatTheyNeedAreRefusedWhenLoaded) {
  const std::vector<std::string> text = {"ab ab b", "b a ab"};
  const Temporary folder;
  Tokeniser::train({.kind = Kind::bpe}, text).save(folder.path(), "t");
  std::string model = read_file(folder / "t.model");
  const std::string empty_piece = model + std::string("\x0A\x00", 2);  // a piece of no field
  EXPECT_THAT([&] { Subword::from_model(empty_piece, "m"); },
              ThrowsMessage<DataError>(HasSubstr("m: ")));
  model[model.find("<bos>") + 1] = 'x';
  write_file(folder / "t.model", model);
  const auto crc =
      ::crc32(0, reinterpret_cast<const Bytef*>(model.data()), static_cast<uInt>(model.size()));
  write_file(folder / "t.tokeniser.json",
             fmt::format(R"({{"format":"qkv tokeniser","version":1,"kind":"bpe","nfkc":false,)"
                         R"("lower":false,"bytes":{},"crc32":{}}})",
                         model.size(), crc));
  EXPECT_THAT([&] { Tokeniser::load(folder.path(), "t"); },
              ThrowsMessage<DataError>(HasSubstr("t.model: has no <bos>")));
}

// A run of unknown characters is one token however long it is, and costs no more than other text.
TEST(Tokeniser, LongRunsOfUnknownCharactersStayOneToken) {
  for (const Kind kind : {Kind::bpe, Kind::unigram}) {
    const Tokeniser t = trained(kind);
    for (const std::string sign : {"\u200D", "\u2603", "Ж"}) {
      std::string run;
      for (int i = 0; i < 500; ++i) run += sign;
      const std::string shorter = "the " + run.substr(0, 20 * sign.size()) + " dog " + sign + "s";
      const std::string longer = "the " + run + " dog " + sign + "s";
      EXPECT_EQ(t.encode(longer), t.encode(shorter)) << sign;
      std::string whole;
      for (const std::string& piece : t.pieces(longer)) whole += piece;
      EXPECT_NE(whole.find(run), std::string::npos);
      EXPECT_EQ(t.pieces(longer).size(), t.encode(longer).size());
    }
  }
  const Tokeniser t = trained(Kind::bpe);
  std::string run;
  for (int i = 0; i < 1000000; ++i) run += "\u200D";  // by the square an hour
  EXPECT_LE(t.encode(run).size(), 2u);
}

TEST(Tokeniser, DamagedBareModelsNeverCrash) {
  const std::vector<std::string> text = {"ab ab b", "b a ab"};
  const Temporary folder;
  Tokeniser::train({.kind = Kind::bpe}, text).save(folder.path(), "t");
  const std::string whole = read_file(folder / "t.model");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    try {
      const Subword t = Subword::from_model(whole.substr(0, size), "cut");
      t.decode(t.encode("ab b a"));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace qkv
