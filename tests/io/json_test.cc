#include "qkv/io/json.h"

#include <array>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

std::string parse_error(std::string_view text) {
  return error_of([&] { parse_json(text, "c.json"); });
}

TEST(Json, WritesSortedAndPrettyAndReadsBack) {
  const Temporary folder;
  const auto path = folder / "c.json";
  const Json json = {{"z", 1.5}, {"a", {1, 2}}, {"名", "词\n"}};
  write_json(path, json);
  EXPECT_EQ(read_json(path), json);
  EXPECT_EQ(read_file(path),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"z\": 1.5,\n"
            "  \"名\": \"词\\n\"\n}\n");
  EXPECT_THROW(write_json(path, Json("\xff")), Error);
  EXPECT_EQ(read_json(path), json);
}

TEST(Json, NamesFileLineAndColumn) {
  EXPECT_THAT(parse_error("{\n  \"a\": 1,\n  b: 2\n}"), StartsWith("c.json:3:3: syntax error"));
  EXPECT_EQ(parse_error(""), "c.json: is empty, expected JSON");
  EXPECT_THAT(parse_error("{\"a\": 1"), StartsWith("c.json:1:8: "));
  EXPECT_THAT(parse_error("{} x"), StartsWith("c.json:1:4: "));
  EXPECT_THAT(parse_error("\"\xff\""), StartsWith("c.json:1:2: "));
  EXPECT_THAT(parse_error("{\"a\": 1e999}"), StartsWith("c.json: "));
}

TEST(Json, MessagesStayShortAndPrintable) {
  for (const std::string& text : {"\"" + std::string(100000, 'x'), std::string("\"\xff\xfe"),
                                  std::string("\0\1\2", 3), std::string("{\"\n")}) {
    const std::string message = parse_error(text);
    EXPECT_LT(message.size(), 200u);
    for (const char c : message) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << message;
  }
}

TEST(Json, RefusesRepeatedFieldsAndDeepNesting) {
  EXPECT_THAT(parse_error(R"({"a": {"b": 1, "b": 2}})"), HasSubstr("field 'b' is given twice"));
  EXPECT_EQ(parse_error(R"({"a": {"b": 1}, "b": {"b": 2}, "c": [{"b": 1}, {"b": 1}]})"),
            "no DataError");
  EXPECT_EQ(parse_error(std::string(64, '[') + std::string(64, ']')), "no DataError");
  EXPECT_THAT(parse_error(std::string(65, '[') + std::string(65, ']')), HasSubstr("64 levels"));
  EXPECT_THAT(parse_error(std::string(1000000, '[')), HasSubstr("64 levels"));
}

TEST(Json, MissingFileAndDirectory) {
  const Temporary folder;
  EXPECT_THROW(read_json(folder / "none.json"), FileError);
  EXPECT_THROW(read_json(folder.path()), FileError);
}

class Fields : public testing::Test {
 protected:
  const Json json_ = Json::parse(
      R"({"layers": "six", "heads": 8, "big": 18446744073709551615, "rate": 0.5, "on": true,
          "norm": "post", "sizes": [1, 2, 3], "nothing": null, "model": {"width": 512, "hieght": 1}})");
  FieldReader fields_{json_, "c.json"};
};

TEST_F(Fields, ReadsValues) {
  constexpr std::array<std::string_view, 2> kNorms = {"pre", "post"};
  EXPECT_EQ(fields_.integer("heads", {.least = 1, .most = 8}), 8);
  EXPECT_EQ(fields_.number("rate", {0, 1}), 0.5);
  EXPECT_EQ(fields_.number("heads"), 8.0);
  EXPECT_TRUE(fields_.boolean("on"));
  EXPECT_EQ(fields_.text("layers"), "six");
  EXPECT_EQ(fields_.choice("norm", kNorms), 1u);
  EXPECT_EQ(fields_.object("model").integer("width"), 512);
  EXPECT_TRUE(fields_.has("nothing"));
  EXPECT_FALSE(fields_.has("void"));
}

TEST_F(Fields, FallsBackOnlyWhenTheFieldIsAbsent) {
  EXPECT_EQ(fields_.integer("absent", {.least = 1}, 6), 6);
  EXPECT_EQ(fields_.number("absent", {}, 0.1), 0.1);
  EXPECT_FALSE(fields_.boolean("absent", false));
  EXPECT_EQ(fields_.text("absent", "x"), "x");
  EXPECT_EQ(fields_.choice("absent", {}, 3), 3u);
  EXPECT_THROW(fields_.integer("layers", {}, 6), DataError);
  EXPECT_THROW(fields_.integer("nothing", {}, 6), DataError);
}

TEST_F(Fields, SayWhatWasExpectedAndWhatIsThere) {
  const auto error = [&](auto&& read) { return error_of([&] { read(fields_); }); };
  EXPECT_EQ(error([](auto& f) { f.integer("layers", {.least = 1}); }),
            "c.json: field 'layers': expected a positive integer, got \"six\"");
  EXPECT_EQ(error([](auto& f) {
              f.integer("heads", {1, 4});
            }),
            "c.json: field 'heads': expected an integer from 1 to 4, got 8");
  EXPECT_EQ(error([](auto& f) { f.integer("big"); }),
            "c.json: field 'big': expected an integer, got 18446744073709551615");
  EXPECT_EQ(error([](auto& f) { f.integer("rate"); }),
            "c.json: field 'rate': expected an integer, got 0.5");
  EXPECT_EQ(error([](auto& f) {
              f.number("rate", {1, 2});
            }),
            "c.json: field 'rate': expected a number from 1 to 2, got 0.5");
  EXPECT_EQ(error([](auto& f) { f.number("on"); }),
            "c.json: field 'on': expected a number, got true");
  EXPECT_EQ(error([](auto& f) { f.boolean("sizes"); }),
            "c.json: field 'sizes': expected true or false, got an array of 3");
  EXPECT_EQ(error([](auto& f) { f.text("model"); }),
            "c.json: field 'model': expected text, got an object");
  EXPECT_EQ(error([](auto& f) { f.integer("depth"); }), "c.json: field 'depth' is missing");
  EXPECT_EQ(error([](auto& f) { f.object("rate"); }),
            "c.json: field 'rate': expected an object, got 0.5");
  EXPECT_EQ(error([](auto& f) { f.object("model").text("width"); }),
            "c.json: field 'model.width': expected text, got 512");
  EXPECT_EQ(error([](auto& f) {
              f.choice("norm", std::array<std::string_view, 3>{"a", "b", "c"});
            }),
            "c.json: field 'norm': expected \"a\", \"b\" or \"c\", got \"post\"");
  EXPECT_EQ(error_of([] {
              const Json list = Json::array();
              FieldReader(list, "c.json");
            }),
            "c.json: expected an object, got an array of 0");
}

TEST_F(Fields, RejectUnknownOnesWithASuggestion) {
  FieldReader model = fields_.object("model");
  model.integer("width");
  model.integer("height", {}, 1);
  EXPECT_EQ(error_of([&] { model.finish(); }),
            "c.json: unknown field 'model.hieght'; did you mean 'model.height'?");
  const Json other = {{"colour", 1}};
  FieldReader fields(other, "c.json");
  fields.has("layers");
  EXPECT_EQ(error_of([&] { fields.finish(); }), "c.json: unknown field 'colour'");
  fields.has("colour");
  EXPECT_NO_THROW(fields.finish());
}

TEST(NearestName, WithinAThirdOfTheLetters) {
  const std::vector<std::string> names = {"layers", "heads", "dropout"};
  EXPECT_EQ(nearest_name("layer", names), "layers");
  EXPECT_EQ(nearest_name("droput", names), "dropout");
  EXPECT_EQ(nearest_name("dorpuot", names), "");
  EXPECT_EQ(nearest_name("width", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name(std::string(1000000, 'h'), names), "");
  EXPECT_EQ(nearest_name("heads", {}), "");
}

TEST(JsonLines, AppendAndRead) {
  const Temporary folder;
  const auto path = folder / "metrics.jsonl";
  append_jsonl(path, {{"step", 1}, {"text", "a\nb"}});
  append_jsonl(path, {{"step", 2}, {"text", "\xff"}});  // no reason to end a training
  const std::vector<Json> lines = read_jsonl(path);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], (Json{{"step", 1}, {"text", "a\nb"}}));
  EXPECT_EQ(lines[1]["step"], 2);
  EXPECT_THROW(read_jsonl(folder / "none"), FileError);
  EXPECT_THROW(append_jsonl(folder / "no" / "m", 1), FileError);
  EXPECT_THROW(append_jsonl(folder.path(), 1), FileError);
}

TEST(JsonLines, ATornLastLineIsLeftOutAndRepaired) {
  const Temporary folder;
  const auto path = folder / "metrics.jsonl";
  const std::string whole = "{\"step\":1}\n{\"step\":2}\n";
  const std::string added = "{\"step\":3,\"text\":\"" + std::string(5000, 'x') + "\"}";
  for (std::size_t size = 0; size <= added.size(); size += size < 20 || size > 5010 ? 1 : 777) {
    const bool complete = size == added.size();
    write_file(path, whole + added.substr(0, size));
    EXPECT_EQ(read_jsonl(path).size(), complete ? 3u : 2u) << size;
    append_jsonl(path, {{"step", 4}});
    EXPECT_EQ(read_file(path), whole + (complete ? added + "\n" : "") + "{\"step\":4}\n") << size;
  }
  // Blocks that never reached the disk read as zeros.
  write_file(path, whole + std::string(100, '\0'));
  EXPECT_EQ(read_jsonl(path).size(), 2u);
  append_jsonl(path, {{"step", 4}});
  EXPECT_EQ(read_file(path), whole + "{\"step\":4}\n");
  // Torn from its first byte on.
  write_file(path, "{\"st");
  append_jsonl(path, {{"step", 4}});
  EXPECT_EQ(read_file(path), "{\"step\":4}\n");
}

TEST(JsonLines, ABadLineInTheMiddleIsAnError) {
  EXPECT_THAT(error_of([] { parse_jsonl("{}\n{\"a\":}\n{}\n", "m.jsonl"); }),
              StartsWith("m.jsonl:2:6: syntax error"));
  EXPECT_THAT(error_of([] { parse_jsonl("{}\n{\"a\":1,\"a\":1}\n", "m.jsonl"); }),
              StartsWith("m.jsonl:2: field 'a'"));
  EXPECT_EQ(parse_jsonl("\n{}\r\n\n", "m.jsonl").size(), 1u);
  EXPECT_TRUE(parse_jsonl("", "m.jsonl").empty());
}

}  // namespace
}  // namespace qkv
