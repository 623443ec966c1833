// Against what Hugging Face's libraries make of the same lines (tools/golden_tokenisers.py).
#include "qkv/text/token_pipeline.h"

#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/text/tokeniser.h"

namespace qkv {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

const std::filesystem::path kFolder =
    std::filesystem::path(QKV_SOURCE_DIR) / "tests/text/tokenisers";

std::vector<Json> golden(const std::string& name) {
  std::istringstream lines(read_file(kFolder / (name + ".golden.jsonl")));
  std::vector<Json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
  return rows;
}

TokenPipeline named(const std::string& name) {
  const std::filesystem::path file = kFolder / (name + ".json");
  if (!std::filesystem::exists(file)) return read_token_pipeline(kFolder / name);
  return TokenPipeline::from_json(read_file(file), file.string());
}

Json offsets_of(const TokenEncoding& e, const std::string& first, const std::string& second) {
  Json offsets = Json::array();
  for (std::size_t i = 0; i < e.ids.size(); ++i) {
    const auto& text = e.texts[i] == 1 ? second : first;
    const TextSpan span = code_point_spans(text, std::span(&e.spans[i], 1))[0];
    offsets.push_back({span.begin, span.end});
  }
  return offsets;
}

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, TokensSpansAndTextsAreThose) {
  const TokenPipeline t = named(GetParam());
  const std::vector<Json> rows = golden(GetParam());
  ASSERT_GT(rows.size(), 15U);
  for (const Json& row : rows) {
    const Json& text = row["text"];
    const std::string first =
        text.is_array() ? text[0].get<std::string>() : text.get<std::string>();
    const std::string second = text.is_array() ? text[1].get<std::string>() : std::string();
    const TokenEncoding e = text.is_array() ? t.encode(first, second) : t.encode(first);
    EXPECT_EQ(Json(e.ids), row["ids"]) << text;
    EXPECT_EQ(t.decode(e.ids), row["decoded"]) << text;
    if (!text.is_array()) {
      EXPECT_EQ(t.ids(first), e.ids) << text;
    }
    if (!row.contains("pieces")) continue;
    EXPECT_EQ(Json(e.pieces), row["pieces"]) << text;
    EXPECT_EQ(offsets_of(e, first, second), row["offsets"]) << text;
    EXPECT_EQ(Json(e.types), row["types"]) << text;
    EXPECT_EQ(Json(e.special), row["special"]) << text;
  }
}

// Whatever files it was made of: as the one file that it is saved as, it does the same.
TEST_P(Golden, GoesThroughOneFile) {
  const Temporary folder;
  const TokenPipeline t = named(GetParam());
  Tokeniser(t).save(folder.path(), "tokens");
  const Tokeniser back = Tokeniser::load(folder.path(), "tokens");
  EXPECT_EQ(back.pipeline()->roles(), t.roles());
  EXPECT_EQ(back.pipeline()->json(), t.json());
  for (const Json& row : golden(GetParam())) {
    if (row["text"].is_array()) continue;
    const auto text = row["text"].get<std::string>();
    const TokenEncoding here = t.encode(text), there = back.pipeline()->encode(text);
    EXPECT_EQ(there.ids, here.ids) << text;
    EXPECT_EQ(there.pieces, here.pieces) << text;
    EXPECT_EQ(there.spans, here.spans) << text;
    EXPECT_EQ(back.pipeline()->encode(text, "the cat").ids, t.encode(text, "the cat").ids) << text;
    EXPECT_EQ(back.pipeline()->decode(here.ids), t.decode(here.ids)) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(TokenPipeline, Golden,
                         testing::Values("bert", "bert-cased", "roberta", "llama3", "bpe-suffix",
                                         "bpe-prefix", "words", "unigram", "bpe-bytes",
                                         "bert-files", "gpt2-files", "roberta-files", "xlmr-files",
                                         "llama-files", "marian-files"));

TEST(TokenPipeline, ManyTextsGiveTheSameForAnyNumberOfThreads) {
  for (const char* name : {"bert", "roberta", "unigram"}) {
    const TokenPipeline t = named(name);
    std::vector<std::string> texts;
    for (int round = 0; round < 40; ++round) {
      for (const Json& row : golden(name)) {
        if (row["text"].is_string()) texts.push_back(row["text"].get<std::string>() + " cat");
      }
    }
    std::vector<std::vector<std::int32_t>> alone;
    for (const std::string& text : texts) alone.push_back(t.ids(text));
    for (const int threads : {1, 3, 8}) {
      const ThreadScope scope(threads);
      EXPECT_EQ(t.ids(texts), alone) << name << threads;
    }
  }
}

TEST(TokenPipeline, IsSharedByThreadsThatComeAndGo) {
  const TokenPipeline t = named("llama3"), other = named("bert");
  const auto expected = t.ids("the cat didn't");
  const auto expected_other = other.ids("the cat didn't");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        wrong[static_cast<std::size_t>(i)] += t.ids("the cat didn't") != expected;
        wrong[static_cast<std::size_t>(i)] += other.ids("the cat didn't") != expected_other;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(TokenPipeline, RememberedWordsDoNotChangeTheAnswer) {
  const TokenPipeline t = named("llama3");
  const auto before = t.ids(" cat");
  for (int i = 0; i < 70000; ++i) (void)t.ids("w" + std::to_string(i));  // more than are kept
  EXPECT_EQ(t.ids(" cat"), before);
}

TEST(TokenPipeline, SpansCoverAnyBytes) {
  for (const char* name : {"bert", "roberta", "unigram", "bpe-bytes", "words"}) {
    const TokenPipeline t = named(name);
    for (const std::string text : {"a\xFFz", "\xC3", "caf\xC3\xA9 \xF0\x9F\x98", "\xED\xA0\x80"}) {
      for (const TextSpan& span : t.encode(text).spans) {
        EXPECT_LE(span.begin, span.end);
        EXPECT_LE(span.end, text.size());
      }
    }
  }
}

TEST(TokenPipeline, ALiteralIsASecondTextAndNoFlag) {
  const TokenPipeline t = named("bert");
  const TokenEncoding pair = t.encode("the", "cat");
  EXPECT_EQ(pair.ids, t.encode("the", std::string("cat")).ids);
  EXPECT_EQ(pair.texts, (std::vector<std::int8_t>{-1, 0, -1, 1, -1}));
}

TEST(TokenPipeline, KnowsItsTokens) {
  const TokenPipeline t = read_token_pipeline(kFolder / "bert-files");
  EXPECT_EQ(t.roles().mask, t.id("[MASK]"));
  EXPECT_EQ(t.roles().bos, -1);
  EXPECT_TRUE(t.is_special(t.roles().cls));
  EXPECT_FALSE(t.is_special(t.size() - 1));
  EXPECT_EQ(t.id("no such piece"), -1);
  EXPECT_THROW((void)t.piece(t.size()), Error);
  EXPECT_THROW((void)t.decode(std::vector<std::int32_t>{-1}), Error);
  EXPECT_EQ(t.encode("cat", false).ids.size() + 2, t.encode("cat").ids.size());
  const TokenPipeline marian = read_token_pipeline(kFolder / "marian-files", TextSide::target);
  EXPECT_EQ(marian.roles().eos, 0);
  EXPECT_EQ(marian.roles().unk, 1);
}

/// The message of what a changed tokenizer.json is refused with.
std::string refusal(const std::string& name, const std::string& pointer, const Json& value) {
  Json json = Json::parse(read_file(kFolder / (name + ".json")));
  json[Json::json_pointer(pointer)] = value;
  try {
    (void)TokenPipeline::from_json(json.dump(), "t.json");
  } catch (const DataError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(TokenPipeline, RefusesWhatItDoesNotKnowByName) {
  EXPECT_THAT(refusal("bert", "/version", "2.0"), HasSubstr("t.json: version: is 2.0"));
  EXPECT_THAT(refusal("bert", "/surprise", 1), HasSubstr("'surprise'"));
  EXPECT_THAT(refusal("bert", "/normalizer/type", "Nmt"), HasSubstr("normalizer.type: 'Nmt'"));
  EXPECT_THAT(refusal("bert", "/normalizer/fold", true), HasSubstr("'fold'"));
  EXPECT_THAT(refusal("bert", "/pre_tokenizer/type", "UnicodeScripts"),
              HasSubstr("UnicodeScripts"));
  EXPECT_THAT(refusal("bert", "/model/type", "CharBPE"), HasSubstr("CharBPE"));
  EXPECT_THAT(refusal("bert", "/model/vocab/the", -1), HasSubstr("vocab 'the': is -1"));
  EXPECT_THAT(refusal("bert", "/model/vocab/the", 2000000000), HasSubstr("far beyond"));
  EXPECT_THAT(refusal("bert", "/model/vocab/the", 0), HasSubstr("same number 0"));
  EXPECT_THAT(refusal("bert", "/decoder/type", "CTC"), HasSubstr("'CTC' is no decoder"));
  EXPECT_THAT(refusal("bert", "/post_processor/single/0/SpecialToken/id", "[X]"), HasSubstr("[X]"));
  EXPECT_THAT(refusal("bert", "/post_processor/special_tokens/[CLS]/ids/0", 99999),
              HasSubstr("no token has the number 99999"));
  EXPECT_THAT(refusal("bert", "/added_tokens/0/id", 7), HasSubstr("the vocabulary gives it 0"));
  EXPECT_THAT(refusal("llama3", "/pre_tokenizer/pretokenizers/0/pattern/Regex", "a|b"),
              HasSubstr("pre_tokenizer.pretokenizers[0].pattern.Regex: this program does not know "
                        "the expression a|b"));
  EXPECT_THAT(refusal("llama3", "/model/merges/0", "x"), HasSubstr("merge 0"));
  EXPECT_THAT(refusal("llama3", "/model/merges/0", "qq ww"), HasSubstr("merge 0 joins"));
  EXPECT_THAT(refusal("unigram", "/model/unk_id", 5000), HasSubstr("unk_id: is 5000"));
  EXPECT_THAT(refusal("unigram", "/normalizer/normalizers/0/precompiled_charsmap", "AAA"),
              HasSubstr("cut off"));
  EXPECT_EQ(refusal("bert", "/padding", Json{{"pad_id", 0}}), "accepted");
  EXPECT_EQ(refusal("llama3", "/model/dropout", 0.1), "accepted");
}

TEST(TokenPipeline, AcceptsBothSpellingsOfMerges) {
  Json json = Json::parse(read_file(kFolder / "llama3.json"));
  for (Json& merge : json["model"]["merges"]) {
    const std::string text = merge;
    merge = {text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
  }
  EXPECT_EQ(TokenPipeline::from_json(json.dump(), "t.json").ids("the cat didn't"),
            named("llama3").ids("the cat didn't"));
}

TEST(TokenPipeline, TellsOfTruncationAndDoesNotCut) {
  Json json = Json::parse(read_file(kFolder / "bert.json"));
  json["truncation"] = {
      {"direction", "Left"}, {"max_length", 4}, {"strategy", "LongestFirst"}, {"stride", 0}};
  const TokenPipeline t = TokenPipeline::from_json(json.dump(), "t.json");
  ASSERT_TRUE(t.truncation().has_value());
  EXPECT_EQ(t.truncation()->max_length, 4);
  EXPECT_TRUE(t.truncation()->left);
  EXPECT_GT(t.ids("the cat the cat the cat").size(), 4U);
  EXPECT_FALSE(named("bert").truncation().has_value());
}

TEST(TokenPipeline, TruncatedFilesAreRefused) {
  for (const char* name : {"bert", "llama3", "unigram"}) {
    const std::string text = read_file(kFolder / (std::string(name) + ".json"));
    for (std::size_t size = 0; size < text.size(); size += 97) {
      EXPECT_THROW((void)TokenPipeline::from_json(text.substr(0, size), "t.json"), DataError);
    }
  }
}

TEST(TokenPipeline, DamagedDirectoriesAreRefusedOrAnswer) {
  for (const char* name :
       {"bert-files", "gpt2-files", "xlmr-files", "llama-files", "marian-files"}) {
    for (const auto& entry : std::filesystem::directory_iterator(kFolder / name)) {
      const std::string bytes = read_file(entry.path());
      for (std::size_t size = 0; size < bytes.size(); size += 97 * (1 + bytes.size() / 4000)) {
        const Temporary folder;
        std::filesystem::copy(kFolder / name, folder.path(),
                              std::filesystem::copy_options::overwrite_existing);
        write_file(folder / entry.path().filename().string(), bytes.substr(0, size));
        try {
          (void)read_token_pipeline(folder.path()).ids("the cat");
        } catch (const Error&) {
        }
      }
    }
  }
}

TEST(TokenPipeline, SaysWhatADirectoryLacks) {
  const Temporary folder;
  const auto message = [&folder] {
    try {
      (void)read_token_pipeline(folder.path());
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message(), HasSubstr("has no tokenizer.json"));
  write_file(folder / "spiece.model", "x");
  EXPECT_THAT(message(), HasSubstr("spiece.model"));
  write_file(folder / "vocab.json", "{}");
  write_file(folder / "merges.txt", "");
  EXPECT_THAT(message(), HasSubstr("tokenizer_class"));
}

// Directories of ours say in config.json what other programs say beside it, labellers in parts.
TEST(TokenPipeline, OurOwnBertsAndLabellersSayTheirRules) {
  const Temporary folder;
  write_file(folder / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n");
  const auto pieces = [&](const Json& config, const std::string& text) {
    write_file(folder / "config.json", config.dump());
    return read_token_pipeline(folder.path()).encode(text, false).pieces;
  };
  using List = std::vector<std::string>;
  const List unknown = {"[UNK]"}, cut = {"a", "##b", "##b"};
  const std::string longer = "a" + std::string(120, 'b');
  const Json theirs = {{"model_type", "bert"}}, ours = {{"format", 2}, {"task", "mlm"}};
  EXPECT_EQ(pieces(theirs, longer), unknown);
  EXPECT_EQ(pieces(ours, longer).size(), 121U);
  EXPECT_EQ(pieces({{"format", 2}, {"task", "mlm"}, {"max_input_chars_per_word", 2}}, "abb"),
            unknown);
  EXPECT_EQ(pieces({{"format", 2}, {"task", "mlm"}, {"do_lower_case", false}}, "ABB"), unknown);
  const auto labeller = [](bool lower, int longest) {
    return Json{{"format", 2},
                {"task", "tag"},
                {"words", {{"lowercase", lower}}},
                {"bert", {{"max_input_chars_per_word", longest}}}};
  };
  EXPECT_EQ(pieces(labeller(true, 3), "ABB"), cut);
  EXPECT_EQ(pieces(labeller(false, 3), "ABB"), unknown);
  EXPECT_EQ(pieces(labeller(true, 2), "abb"), unknown);
}

TEST(TokenPipeline, SettingsBesideATokenizerJsonMustAgree) {
  const Temporary folder;
  write_file(folder / "tokenizer.json", read_file(kFolder / "bert.json"));
  write_file(folder / "tokenizer_config.json", R"({"do_lower_case": true, "pad_token": "[PAD]"})");
  EXPECT_EQ(read_token_pipeline(folder.path()).roles().pad, 0);
  write_file(folder / "tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_THROW((void)read_token_pipeline(folder.path()), DataError);
}

}  // namespace
}  // namespace qkv
