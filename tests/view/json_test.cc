#include "qkv/view/json.h"

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

TEST(AttentionJson, ComesBackAsItWas) {
  AttentionMaps maps = sample_maps();
  maps.source[1] = "\"</script>\\\n\x01草";
  maps.maps[0].weights = matrix({0.123456f, 0.9f, -0.5f, 1e-3f, 0, 1}, 2, 3);
  maps.maps[1].head = kMeanHead;
  const std::string text = attention_json(maps);
  const AttentionMaps back = parse_attention_json(text);
  EXPECT_EQ(back.title, maps.title);
  EXPECT_EQ(back.source, maps.source);
  EXPECT_EQ(back.target, maps.target);
  EXPECT_EQ(back.target_in, maps.target_in);
  EXPECT_EQ(back.source_text, maps.source_text);
  EXPECT_EQ(back.translation, maps.translation);
  ASSERT_EQ(back.maps.size(), maps.maps.size());
  for (std::size_t i = 0; i < maps.maps.size(); ++i) {
    EXPECT_EQ(back.maps[i].kind, maps.maps[i].kind);
    EXPECT_EQ(back.maps[i].layer, maps.maps[i].layer);
    EXPECT_EQ(back.maps[i].head, maps.maps[i].head);
    const auto a = maps.maps[i].weights.values();
    const auto b = back.maps[i].weights.values();
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t j = 0; j < a.size(); ++j) EXPECT_EQ(a[j], b[j]);
  }
  EXPECT_EQ(attention_json(back), text);
}

TEST(AttentionJson, IsStable) {
  AttentionMaps maps;
  maps.source = {"a", "b"};
  maps.maps = {{AttentionMap::Kind::encoder_self, 0, 2, matrix({0.66666f, 0.33333f, 1, 0}, 2, 2)}};
  EXPECT_EQ(attention_json(maps, 3),
            R"({"format":"qkv-attention","version":1,"title":"","source_text":"","translation":"",)"
            R"("source":["a","b"],"target":[],"target_in":[],"maps":[{"kind":"encoder","layer":0,)"
            R"("head":2,"weights":[[0.667,0.333],[1,0]]}]})");
}

TEST(AttentionJson, EmptyMapsKeepTheirShape) {
  AttentionMaps maps;
  maps.source = {"a", "b"};
  maps.maps = {{AttentionMap::Kind::cross, 0, 0, Tensor::zeros({0, 2})}};
  EXPECT_EQ(parse_attention_json(attention_json(maps)).maps[0].weights.shape(), (Shape{0, 2}));
  EXPECT_TRUE(parse_attention_json(attention_json(AttentionMaps{})).maps.empty());
}

TEST(AttentionJson, BadBytesAreReplacedAndNanRefused) {
  AttentionMaps maps;
  maps.source = {"\xff"};
  EXPECT_EQ(parse_attention_json(attention_json(maps)).source[0], "\uFFFD");
  maps.maps = {{AttentionMap::Kind::encoder_self, 0, 0, matrix({kNan}, 1, 1)}};
  EXPECT_THROW(attention_json(maps), NumericError);
  EXPECT_THROW(attention_json(AttentionMaps{}, 0), Error);
  EXPECT_THROW(attention_json(AttentionMaps{}, 10), Error);
}

TEST(AttentionJson, EveryTruncationIsADataError) {
  const std::string text = attention_json(sample_maps());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_THROW(parse_attention_json(text.substr(0, size)), DataError) << size;
  }
}

TEST(AttentionJson, SaysWhatIsWrong) {
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string text = attention_json(sample_maps());
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const auto fails = [](const std::string& text, const std::string& why) {
    EXPECT_THAT([&] { parse_attention_json(text, "x.json"); },
                ThrowsMessage<DataError>(testing::AllOf(StartsWith("x.json: "), HasSubstr(why))))
        << text;
  };
  fails("[]", "not an attention file");
  fails("{}", "not an attention file");
  fails(R"({"format":7})", "");
  fails(R"({"format":"qkv-attention"})", "version");
  fails(std::string("\0\xff binary", 9), "");
  fails(changed("\"version\":1", "\"version\":2"), "version 2 of the attention format");
  fails(changed("\"cross\"", "\"crossed\""), "is not one of");
  fails(changed("\"layer\":1", "\"layer\":1.5"), "not a whole number");
  fails(changed("\"layer\":1", "\"layer\":-1"), "");
  fails(changed("\"head\":0", "\"head\":99999999999999999999"), "");
  fails(changed("[0.5,0.5,0]", "[0.5,0.5]"), "needs 3 numbers");
  fails(changed("[0.5,0.5,0]", "[0.5,0.5,null]"), "not a number");
  fails(changed("[0.5,0.5,0]", "[0.5,0.5,1e999]"), "");
  fails(changed("[0.5,0.5,0]", "[0.5,0.5,1e99]"), "too large");
  fails(changed("[0.5,0.5,0],", ""), "need 2 rows");
  fails(changed("\"head\":1", "\"head\":0"), "is there twice");
  fails(changed("\"source\":[", "\"source\":[7,"), "");
}

TEST(AttentionJson, DeepNestingIsAnErrorToo) {
  EXPECT_THROW(parse_attention_json(std::string(100'000, '[')), DataError);
}

}  // namespace
}  // namespace qkv
