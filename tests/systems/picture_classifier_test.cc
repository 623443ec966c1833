#include "qkv/systems/picture_classifier.h"

#include <algorithm>
#include <cmath>

#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/io/json.h"
#include "qkv/systems/picture_model.h"

namespace qkv {
namespace {

PictureClassifier classifier(PictureKind kind) {
  return PictureClassifier(tiny::picture_model(kind));
}

std::vector<std::vector<double>> probabilities(const std::vector<ClassifiedPicture>& answers) {
  std::vector<std::vector<double>> all;
  for (const ClassifiedPicture& a : answers) all.push_back(a.probabilities);
  return all;
}

TEST(PictureClassifier, AnswersForEveryPicture) {
  const PictureSet set = tiny::pictures();
  for (const PictureKind kind : tiny::kPictureKinds) {
    const PictureClassifier model = classifier(kind);
    EXPECT_EQ(model.labels(), set.classes);
    const auto answers = model.classify(set.pictures);
    ASSERT_EQ(answers.size(), set.pictures.size());
    for (const ClassifiedPicture& a : answers) {
      double sum = 0;
      for (const double p : a.probabilities) sum += p;
      EXPECT_NEAR(sum, 1, 1e-12);
      const auto best = a.likeliest(2);
      EXPECT_EQ(model.labels()[best[0]], a.label);
      EXPECT_EQ(a.probabilities[best[0]], a.probability);
      EXPECT_GE(a.probabilities[best[0]], a.probabilities[best[1]]);
    }
    EXPECT_EQ(model.score(set).total(), static_cast<std::int64_t>(set.pictures.size()));
    EXPECT_TRUE(model.classify(std::span<const Picture>()).empty());
  }
}

TEST(PictureClassifier, APictureGetsTheSameBitsWhateverStandsBesideIt) {
  const PictureSet set = tiny::pictures();
  for (const PictureKind kind : tiny::kPictureKinds) {
    const PictureClassifier model = classifier(kind);
    const auto all = model.classify(set.pictures);
    for (std::size_t i = 0; i < set.pictures.size(); ++i) {
      EXPECT_EQ(model.classify(set.pictures[i]).probabilities, all[i].probabilities);
    }
    for (const int threads : {1, 3}) {
      const ThreadScope scope(threads);
      EXPECT_EQ(probabilities(model.classify(set.pictures)), probabilities(all));
    }
  }
}

TEST(PictureClassifier, ADirectoryGivesTheSameBits) {
  for (const PictureKind kind : tiny::kPictureKinds) {
    const Temporary folder;
    const PictureClassifier model = classifier(kind);
    model.save(folder / "m");
    const PictureClassifier back = PictureClassifier::load(folder / "m");
    EXPECT_EQ(probabilities(back.classify(tiny::pictures().pictures)),
              probabilities(model.classify(tiny::pictures().pictures)))
        << name_of(kind);
    EXPECT_EQ(back.model().mean, model.model().mean);
    EXPECT_EQ(back.info().parameters, model.info().parameters);
  }
}

TEST(PictureClassifier, PicturesOfAnySizeAndColourAreMadeToFit) {
  const PictureClassifier model = classifier(PictureKind::vit);
  const Picture grey = tiny::pictures().pictures.front();
  EXPECT_EQ(model.classify(rgb_of(grey)).probabilities, model.classify(grey).probabilities);
  // Twice as large in both directions by whole pixels of one grey: the same picture.
  const Picture flat = [] {
    Picture p(1, 6, 6);
    std::ranges::fill(p.bytes, std::uint8_t{77});
    return p;
  }();
  Picture wide(1, 5, 31);
  std::ranges::fill(wide.bytes, std::uint8_t{77});
  EXPECT_EQ(model.classify(wide).probabilities, model.classify(flat).probabilities);
}

TEST(PictureClassifier, ShowsWhatThePatchesAttendTo) {
  for (const PictureKind kind : {PictureKind::vit, PictureKind::quadratic}) {
    const PictureAttention seen = classifier(kind).attention(tiny::pictures().pictures.front());
    check(seen.maps);
    EXPECT_EQ(seen.patches, (Grid{3, 3}));
    EXPECT_EQ(seen.tokens, kind == PictureKind::vit ? 1 : 0);
    EXPECT_EQ(layers_of(seen.maps, AttentionMap::Kind::encoder_self), (std::vector<int>{0, 1}));
    EXPECT_EQ(heads_of(seen.maps, AttentionMap::Kind::encoder_self, 0), (std::vector<int>{0, 1}));
    const AttentionMap map = select(seen.maps, AttentionMap::Kind::encoder_self, 0, 0);
    double sum = 0;
    for (std::int64_t c = 0; c < map.weights.dim(1); ++c) {
      sum += static_cast<double>(map.weights.values()[static_cast<std::size_t>(c)]);
    }
    if (kind == PictureKind::vit) {
      EXPECT_NEAR(sum, 1, 1e-6);
    } else {  // the ring around the picture gets some of it
      EXPECT_GT(sum, 0.05);
      EXPECT_LT(sum, 1);
    }
  }
  EXPECT_THROW(classifier(PictureKind::cnn).attention(tiny::pictures().pictures.front()), Error);
  EXPECT_THROW(classifier(PictureKind::mixer).attention(tiny::pictures().pictures.front()), Error);
}

TEST(PictureClassifier, RefusesAClassThatItDoesNotKnow) {
  PictureSet set = tiny::pictures();
  set.classes[0] = "unheard of";
  try {
    (void)classifier(PictureKind::vit).score(set);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'unheard of' is none of the model's: dark, light"),
              std::string::npos)
        << e.what();
  }
  EXPECT_THROW(classifier(PictureKind::vit).score(PictureSet()), Error);
}

TEST(PictureClassifier, RefusesADirectoryThatDoesNotFit) {
  const Temporary folder;
  const auto complain = [&](const std::function<void(Json&)>& change) -> std::string {
    classifier(PictureKind::vit).save(folder / "m");
    Json config = read_json(folder / "m" / "config.json");
    config.erase("manifest");
    config["format"] = 1;  // which had none
    change(config);
    write_file(folder / "m" / "config.json", config.dump());
    try {
      (void)PictureClassifier::load(folder / "m");
    } catch (const DataError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(complain([](Json&) {}), "");
  EXPECT_NE(complain([](Json& c) { c["labels"] = {"a", "a"}; }).find("labels"), std::string::npos);
  EXPECT_NE(complain([](Json& c) {
              c["labels"] = {"a", "b", "c"};
            }).find("3 labels"),
            std::string::npos);
  EXPECT_NE(complain([](Json& c) { c["mean"] = {0.5, 0.5}; }).find("mean"), std::string::npos);
  EXPECT_NE(complain([](Json& c) { c["deviation"] = {0.0}; }).find("deviation"), std::string::npos);
  EXPECT_NE(complain([](Json& c) { c["model"]["side"] = 7; }).find("patches"), std::string::npos);
  EXPECT_NE(complain([](Json& c) { c["model"]["kind"] = "cnn"; }), "");
  EXPECT_NE(complain([](Json& c) { c["model"]["ring"] = 1; }).find("ring"), std::string::npos);
}

}  // namespace
}  // namespace qkv
