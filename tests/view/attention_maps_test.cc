#include "qkv/view/attention_maps.h"

#include "view/sample.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Kind = AttentionMap::Kind;

std::vector<float> numbers(const Tensor& tensor) {
  const auto values = tensor.values();
  return {values.begin(), values.end()};
}

TEST(AttentionMaps, SelectsByKindLayerAndHead) {
  const AttentionMaps maps = sample_maps();
  EXPECT_THAT(numbers(select(maps, Kind::cross, 1, 1).weights),
              ElementsAre(0, 1, 0, 0.25f, 0.25f, 0.5f));
  EXPECT_EQ(select(maps, Kind::cross, -1, 0).layer, 1);
  EXPECT_THAT(layers_of(maps, Kind::cross), ElementsAre(1));
  EXPECT_THAT(heads_of(maps, Kind::cross, 1), ElementsAre(0, 1));
  EXPECT_THAT([&] { select(maps, Kind::cross, 1, 5); },
              ThrowsMessage<Error>("no head 5 in cross layer 1; heads: 0, 1"));
  EXPECT_THAT([&] { select(maps, Kind::encoder_self, 4, 0); },
              ThrowsMessage<Error>("no encoder attention of layer 4; layers: 0"));
  EXPECT_THAT([&] { select(AttentionMaps{}, Kind::cross, -1, kMeanHead); },
              ThrowsMessage<Error>("no cross attention of layer -1; layers: none"));
}

TEST(AttentionMaps, ModulesSayWhichMapTheyBelongTo) {
  AttentionMaps maps;
  const Tensor weights = Tensor::of(std::vector<float>{1, 0, 0, 1}, {2, 1, 2});  // two heads
  const std::vector<SeenAttention> seen = {{"encoder.layers.2.self", weights},
                                           {"decoder.layers.0.self", weights},
                                           {"blocks.3.attn", weights},
                                           {"decoder.layers.1.cross", weights},
                                           {"encoder.pooling", weights}};
  add_maps(maps, seen);
  ASSERT_EQ(maps.maps.size(), 10U);
  EXPECT_THAT(layers_of(maps, Kind::encoder_self), ElementsAre(2));
  EXPECT_THAT(layers_of(maps, Kind::decoder_self), ElementsAre(0, 3));
  EXPECT_THAT(layers_of(maps, Kind::cross), ElementsAre(0, 1));
  EXPECT_THAT(numbers(select(maps, Kind::cross, 1, 1).weights), ElementsAre(0, 1));
  EXPECT_THAT(numbers(select(maps, Kind::encoder_self, 2, 0).weights), ElementsAre(1, 0));
  AttentionMaps recurrent;
  add_maps(recurrent, std::vector<SeenAttention>{{"decoder.attention", weights}});
  EXPECT_EQ(recurrent.maps.front().kind, Kind::cross);
  EXPECT_THROW(add_maps(maps, std::vector<SeenAttention>{{"", weights}}), Error);
}

TEST(AttentionMaps, MeanIsTheMeanOfTheHeads) {
  AttentionMaps maps = sample_maps();
  EXPECT_THAT(numbers(select(maps, Kind::cross, 1, kMeanHead).weights),
              ElementsAre(0.25f, 0.75f, 0, 0.125f, 0.125f, 0.75f));
  // A mean that came with the maps is taken as it is.
  maps.maps.push_back({Kind::cross, 1, kMeanHead, matrix({1, 0, 0, 1, 0, 0}, 2, 3)});
  EXPECT_THAT(numbers(select(maps, Kind::cross, 1, kMeanHead).weights),
              ElementsAre(1, 0, 0, 1, 0, 0));
}

TEST(AttentionMaps, NamesOfKinds) {
  for (Kind kind : {Kind::encoder_self, Kind::decoder_self, Kind::cross}) {
    EXPECT_EQ(attention_kind(name_of(kind)), kind);
  }
  EXPECT_THAT([] { attention_kind("self"); },
              ThrowsMessage<Error>("attention 'self' is not one of encoder, decoder, cross"));
}

TEST(AttentionMaps, CheckFindsWhatIsWrong) {
  check(sample_maps());
  check(AttentionMaps{});
  AttentionMaps maps = sample_maps();
  maps.maps[1].weights = matrix({0, kNan, 0, 0, 0, 0}, 2, 3);
  EXPECT_THAT([&] { check(maps); }, ThrowsMessage<NumericError>(
                                        "attention maps: a weight of cross layer 1 head 1 is nan"));
  maps = sample_maps();
  maps.maps[1].weights = matrix({0, 0, 0, 0, 0, 0}, 3, 2);
  EXPECT_THAT([&] { check(maps); },
              ThrowsMessage<ShapeError>(HasSubstr("are [3, 2], labels [2, 3]")));
  maps = sample_maps();
  maps.maps[1].head = 0;
  EXPECT_THAT([&] { check(maps); }, ThrowsMessage<Error>(HasSubstr("is there twice")));
  maps = sample_maps();
  maps.maps[0].weights = Tensor();
  EXPECT_THROW(check(maps), ShapeError);
  maps = sample_maps();
  maps.maps[0].layer = -1;
  EXPECT_THROW(check(maps), Error);
  maps = sample_maps();
  maps.target_in.pop_back();
  EXPECT_THROW(check(maps), ShapeError);
}

TEST(AttentionMaps, MergesKeysBySumAndQueriesByMean) {
  const Tensor weights = matrix({0.1f, 0.2f, 0.7f, 0.3f, 0.3f, 0.4f, 1, 0, 0}, 3, 3);
  const std::vector<std::int32_t> queries = {0, 0, 1}, keys = {0, 1, 1};
  const Tensor merged = merge_weights(weights, queries, keys);
  EXPECT_EQ(merged.shape(), (Shape{2, 2}));
  EXPECT_THAT(numbers(merged), ElementsAre(testing::FloatEq(0.2f), testing::FloatEq(0.8f), 1, 0));
}

TEST(AttentionMaps, MergesTokensToWords) {
  AttentionMaps maps = sample_maps();
  maps.received = {0.5, 0.75, 1.25};
  const Groups source{{0, 0, 1}, {"the dog", "</s>"}}, target{{0, 1}}, target_in{{0, 1}};
  const AttentionMaps words = merge_tokens(maps, source, target, target_in);
  check(words);
  EXPECT_THAT(words.source, ElementsAre("the dog", "</s>"));
  EXPECT_THAT(words.target, ElementsAre("狗", "</s>"));
  EXPECT_THAT(numbers(select(words, Kind::cross, 1, 0).weights), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(numbers(select(words, Kind::encoder_self, 0, 0).weights),
              ElementsAre(1, 0, 0.5f, 0.5f));
  EXPECT_THAT(numbers(maps.maps[0].weights), ElementsAre(0.5f, 0.5f, 0, 0, 0, 1));  // untouched
  EXPECT_THAT(words.received, ElementsAre(1.25, 1.25));
  maps.received.pop_back();
  EXPECT_THROW(check(maps), ShapeError);
  maps.received.clear();
  // Without labels the pieces are joined.
  EXPECT_THAT(merge_tokens(maps, {{0, 0, 1}}, target, target_in).source,
              ElementsAre("thedog", "</s>"));
}

TEST(AttentionMaps, RefusesGroupsThatDoNotFit) {
  const AttentionMaps maps = sample_maps();
  const Groups two{{0, 1}};
  EXPECT_THAT([&] { merge_tokens(maps, two, two, two); },
              ThrowsMessage<Error>("merge: 2 groups for 3 source tokens"));
  for (const std::vector<std::int32_t>& bad :
       std::vector<std::vector<std::int32_t>>{{0, 2, 3}, {1, 1, 2}, {0, 1, 0}, {-1, 0, 1}}) {
    EXPECT_THROW(merge_tokens(maps, {bad}, two, two), Error);
  }
  EXPECT_THROW(merge_tokens(maps, {{0, 0, 1}, {"one"}}, two, two), Error);
  EXPECT_THROW(merge_tokens(maps, {{0, 1, 2}}, two, {}), Error);  // target_in has labels of its own
  EXPECT_THROW(merge_tokens(maps, {{0, 1, 2}}, two, {{0, 0}}), Error);
}

TEST(AttentionMaps, ShrinksLongOnes) {
  AttentionMaps maps;
  const int n = 450;
  for (int i = 0; i < n; ++i) maps.source.push_back(std::to_string(i));
  maps.maps.push_back({Kind::encoder_self, 0, 0, Tensor::full({n, n}, 1.0 / n)});
  const AttentionMaps small = shrink(maps, 200);
  check(small);
  ASSERT_EQ(small.source.size(), 200U);
  EXPECT_EQ(small.source.front(), "0…2");
  EXPECT_EQ(small.source.back(), "448…449");
  double sum = 0.0;
  for (float w : small.maps[0].weights.rows(7, 8).values()) sum += static_cast<double>(w);
  EXPECT_NEAR(sum, 1.0, 1e-5);
  EXPECT_EQ(shrink(maps, 450).source, maps.source);
  EXPECT_THROW(shrink(maps, 0), Error);
}

TEST(HeatMap, IsNamedAfterWhatItShows) {
  const HeatMap mean = heat_map(sample_maps(), Kind::cross, -1);
  EXPECT_EQ(mean.title, "sample · cross attention, layer 1, mean of 2 heads");
  EXPECT_THAT(mean.rows, ElementsAre("狗", "</s>"));
  EXPECT_THAT(mean.columns, ElementsAre("the", "dog", "</s>"));
  const HeatMap decoder = heat_map(sample_maps(), Kind::decoder_self, 0, 0);
  EXPECT_EQ(decoder.title, "sample · decoder attention, layer 0, head 0");
  EXPECT_THAT(decoder.columns, ElementsAre("<s>", "狗"));
  EXPECT_EQ(decoder.at(1, 0), 0.75f);
}

TEST(HeatMap, ScaleIsTheLargestUnlessGiven) {
  const HeatMap map = map_of({"a"}, {"x", "y"}, {0.25f, -1});
  EXPECT_EQ(colour_scale(map), 0.25);
  EXPECT_EQ(colour_scale(map, 2.0), 2.0);
  EXPECT_EQ(colour_scale(map_of({"a"}, {"x"}, {0})), 1.0);
  EXPECT_THROW(colour_scale(map, 0.0), Error);
  EXPECT_THROW(colour_scale(map, static_cast<double>(kNan)), Error);
}

}  // namespace
}  // namespace qkv
