#include "qkv/view/html.h"

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/view/json.h"
#include "qkv/view/page.h"

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::Not;

// What stands in <script id="data">.
std::string data_of(const std::string& page) {
  const std::string open = "id=\"data\">";
  const std::size_t begin = page.find(open) + open.size();
  return page.substr(begin, page.find("</script>", begin) - begin);
}

TEST(Html, HoldsTheMapsAsTheyAre) {
  const std::string data = data_of(html_page(sample_maps()));
  ASSERT_GT(data.size(), 2U);
  const AttentionMaps back = parse_attention_json(data.substr(1, data.size() - 2));
  EXPECT_EQ(back.source, sample_maps().source);
  EXPECT_EQ(back.maps.size(), 4U);
}

TEST(Html, NeedsNothingFromOutside) {
  const std::string page = html_page(sample_maps());
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, Not(HasSubstr("src=\"")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
  EXPECT_THAT(page, Not(HasSubstr("@import")));
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_EQ(count_of(page, "http"), 2);  // http-equiv and the name of the SVG space
}

TEST(Html, TemplateIsFilledAndNothingIsParsedAsMarkup) {
  const std::string page = html_page(sample_maps());
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  for (const char* way :
       {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("}) {
    EXPECT_THAT(std::string(kPageScript), Not(HasSubstr(way)));
  }
}

TEST(Html, HostileLabelsStayText) {
  const std::string evil =
      "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>{{data}}\u2028&amp;";
  AttentionMaps maps = sample_maps();
  maps.title = maps.source_text = maps.translation = evil;
  maps.source[0] = maps.target[0] = maps.target_in[0] = evil;
  const std::string calm = html_page(sample_maps()), page = html_page(maps, {.title = evil});
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  for (const char* tag : {"<script", "</script>", "<style", "</title>"}) {
    EXPECT_EQ(count_of(page, tag), count_of(calm, tag)) << tag;
  }
  EXPECT_THAT(page, HasSubstr("<title>&lt;/script&gt;&lt;script&gt;"));
  const std::string data = data_of(page);
  EXPECT_EQ(data.find_first_of("<>&"), std::string::npos);
  EXPECT_EQ(data.find("\u2028"), std::string::npos);
  // It reads back as the same text (the line separator made harmless).
  const AttentionMaps back = parse_attention_json(data.substr(1, data.size() - 2));
  EXPECT_THAT(back.source[0], testing::StartsWith("</script><script>alert(1)</script><!--<img"));
  EXPECT_THAT(back.source[0], testing::EndsWith("{{data}}\uFFFD&amp;"));
}

TEST(Html, ScriptSafeJsonIsTheSameJson) {
  EXPECT_EQ(script_safe_json("[\"</a>&\u2028\u2029草\"]"),
            "[\"\\u003c/a\\u003e\\u0026\\u2028\\u2029草\"]");
  EXPECT_EQ(script_safe_json("\xE2\x80"), "\xE2\x80");
}

TEST(Html, SeveralNoneAndLongSentences) {
  const std::vector<AttentionMaps> two = {sample_maps(), sample_maps()};
  EXPECT_EQ(count_of(data_of(html_page(two)), "\"qkv-attention\""), 2);
  EXPECT_EQ(data_of(html_page(std::span<const AttentionMaps>{})), "[]");
  EXPECT_EQ(count_of(data_of(html_page(AttentionMaps{})), "\"qkv-attention\""), 1);
  AttentionMaps longer;
  longer.source.assign(300, "a");
  longer.maps = {{AttentionMap::Kind::encoder_self, 0, 0, Tensor::zeros({300, 300})}};
  EXPECT_EQ(count_of(data_of(html_page(longer)), "a…a"), 100);
}

TEST(Html, RefusesNan) {
  AttentionMaps maps = sample_maps();
  maps.maps[0].weights = matrix({kNan, 0, 0, 0, 0, 0}, 2, 3);
  EXPECT_THROW(html_page(maps), NumericError);
}

}  // namespace
}  // namespace qkv
