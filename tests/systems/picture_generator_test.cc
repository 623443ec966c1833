#include "qkv/systems/picture_generator.h"

#include <filesystem>
#include <string>
#include <vector>

#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/nn/buffers.h"
#include "qkv/systems/gan_model.h"
#include "qkv/systems/open.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

GanModel toy(std::vector<std::string> labels = {"cat", "dog"}, std::int64_t attention = 8) {
  SaganConfig c;
  c.size = 16;
  c.channels = 3;
  c.width = 8;
  c.noise = 5;
  c.classes = labels.empty() ? 1 : static_cast<std::int64_t>(labels.size());
  c.attention = attention;
  GanModel model{.network = SaganGenerator::make(1, c), .labels = std::move(labels)};
  // As after training: statistics of their own, and attention that counts.
  for_each_buffer(model.network, [](std::string_view, Tensor& b) {
    change_each(b, [](std::int64_t i, double x) { return x + 0.01 * static_cast<double>(i % 7); });
  });
  if (attention > 0) change_each(model.network.attention[0].gamma, [](auto, double) { return .5; });
  return model;
}

TEST(PictureGenerator, APictureFollowsFromItsSeedAndNumberAlone) {
  const PictureGenerator g(toy());
  const auto many = g.generate({.count = 70, .label = {}, .seed = 3});
  ASSERT_EQ(many.size(), 70u);
  EXPECT_EQ(g.generate({.count = 1, .label = {}, .seed = 3})[0].picture, many[0].picture);
  const auto again =
      PictureGenerator(toy(), {.threads = 2}).generate({.count = 70, .label = {}, .seed = 3});
  bool cats = false, dogs = false;
  for (std::size_t n = 0; n < many.size(); ++n) {
    EXPECT_EQ(many[n].picture, again[n].picture);
    EXPECT_EQ(many[n].label, again[n].label);
    cats = cats || many[n].label == "cat";
    dogs = dogs || many[n].label == "dog";
  }
  EXPECT_TRUE(cats && dogs) << "without a class each picture draws its own";
  EXPECT_NE(g.generate({.count = 1, .label = {}, .seed = 4})[0].picture, many[0].picture);
  EXPECT_TRUE(g.generate({.count = 0}).empty());
  for (const MadePicture& made : g.generate({.count = 5, .label = "dog"})) {
    EXPECT_EQ(made.label, "dog");
  }
}

TEST(PictureGenerator, IsSavedWithItsBuffersAndFoundByOpen) {
  const Temporary folder;
  const PictureGenerator g(toy());
  g.save(folder / "m");
  const System opened = open(folder / "m");
  ASSERT_TRUE(std::holds_alternative<PictureGenerator>(opened));
  EXPECT_EQ(std::get<PictureGenerator>(opened).generate({.count = 3})[2].picture,
            g.generate({.count = 3})[2].picture);
  EXPECT_EQ(verb_of(opened), "generate --pictures");
  const Info info = info_of(opened);
  EXPECT_EQ(info.task, "gan");
  EXPECT_EQ(info.parameters, parameter_count(toy().network));
  const PictureGenerator plain(toy({}, 0));
  plain.save(folder / "plain");
  EXPECT_TRUE(PictureGenerator::load(folder / "plain").labels().empty());
}

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(PictureGenerator, SaysWhatIsWrong) {
  const PictureGenerator g(toy()), plain(toy({}, 0));
  const auto said = [](const PictureGenerator& from, PictureRequest request) {
    return message_of([&] { (void)from.generate(request); });
  };
  EXPECT_NE(said(g, {.count = 1, .label = "cow"}).find("cat, dog"), std::string::npos);
  EXPECT_NE(said(plain, {.count = 1, .label = "cat"}).find("no classes"), std::string::npos);
  EXPECT_NE(said(g, {.count = -1}), "");
  EXPECT_NE(message_of([&] { (void)plain.place_attention({}); }).find("attends to nothing"),
            std::string::npos);
  EXPECT_NE(message_of([&] { (void)g.place_attention({}, -1); }), "");
  const Temporary folder;
  g.save(folder / "m");
  std::string config = read_file(folder / "m" / "config.json");
  const auto at = config.find("\"cat\"");
  ASSERT_NE(at, std::string::npos);
  config.replace(at, 5, "\"dog\"");
  write_file(folder / "m" / "config.json", config);
  EXPECT_NE(message_of([&] { (void)PictureGenerator::load(folder / "m"); }), "");
}

TEST(PictureGenerator, ShowsWhatEachPlaceAttendsTo) {
  const PictureGenerator g(toy());
  const PictureRequest request{.count = 1, .label = "dog", .seed = 2};
  const PlaceAttention a = g.place_attention(request, 4);
  EXPECT_EQ(a.rows, 8);
  EXPECT_EQ(a.seen_rows, 4);
  ASSERT_EQ(a.weights.shape(), (Shape{64, 16}));
  for (std::int64_t r = 0; r < 64; ++r) {
    double sum = 0;
    for (std::int64_t c = 0; c < 16; ++c) sum += number(a.weights, 16 * r + c);
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  EXPECT_EQ(a.made.picture, g.generate({.count = 5, .label = "dog", .seed = 2})[4].picture);
  const AttentionMaps maps = g.attention(request, 4);
  EXPECT_NO_THROW(check(maps));
  EXPECT_EQ(maps.target.size(), 64u);
  EXPECT_EQ(maps.source.back(), "3,3");
}

}  // namespace
}  // namespace qkv
