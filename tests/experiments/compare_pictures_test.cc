// Pictures compared: what is made up, equal parameters, where curves cross.
#include "experiments/compare_pictures.h"

#include <algorithm>
#include <cmath>

#include "experiments/comparison_runs.h"
#include "experiments/picture_puzzles.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

TEST(PicturePuzzles, AreFunctionsOfSeedAndPlace) {
  for (const PicturePuzzle puzzle : {PicturePuzzle::texture, PicturePuzzle::relation}) {
    const PictureSet some = make_picture_puzzle(puzzle, 8, 5),
                     more = make_picture_puzzle(puzzle, 40, 5);
    for (std::size_t i = 0; i < some.pictures.size(); ++i) {
      EXPECT_EQ(some.pictures[i], more.pictures[i]);
      EXPECT_EQ(some.labels[i], more.labels[i]);
    }
    EXPECT_FALSE(some.pictures[0] == make_picture_puzzle(puzzle, 1, 6).pictures[0]);
    for (std::size_t c = 0; c < more.classes.size(); ++c) {
      EXPECT_EQ(std::ranges::count(more.labels, static_cast<int>(c)),
                40 / static_cast<int>(more.classes.size()));
    }
  }
}

/// The best match of the pixels around (top, left) with those around another place, in bright ones.
std::vector<bool> shape_at(const Picture& p, int top, int left) {
  std::vector<bool> shape;
  for (int i = 0; i < 16; ++i) shape.push_back(p.at(0, top + i / 4, left + i % 4) > 140);
  return shape;
}

TEST(PicturePuzzles, ARelationIsOneOfTheTwoShapes) {
  const PictureSet set = make_picture_puzzle(PicturePuzzle::relation, 60, 1);
  for (std::size_t i = 0; i < set.pictures.size(); ++i) {
    const Picture& p = set.pictures[i];
    std::vector<std::vector<bool>> found;
    for (const int half : {0, 8}) {  // the frame that holds all of the bright pixels
      int top = 16, left = 16;
      for (int y = 0; y < 16; ++y) {
        for (int x = half; x < half + 8; ++x) {
          if (p.at(0, y, x) <= 140) continue;
          top = std::min(top, y);
          left = std::min(left, x);
        }
      }
      ASSERT_LE(top, 12);
      ASSERT_LE(left, half + 4);
      found.push_back(shape_at(p, top, left));
    }
    EXPECT_EQ(found[0] == found[1], set.labels[i] == 0) << i;
  }
}

TEST(PictureParameters, AreAsManyAsAskedFor) {
  for (const PictureKind kind :
       {PictureKind::vit, PictureKind::mixer, PictureKind::cnn, PictureKind::quadratic}) {
    PictureNetwork::Config c = picture_recipe(kind).network;
    c.side = 16;
    for (const std::int64_t budget : {20'000, 150'000}) {
      const auto count = parameter_count(
          PictureNetwork::make(Initialiser::blank(), with_picture_parameters(c, budget)));
      EXPECT_NEAR(static_cast<double>(count), static_cast<double>(budget),
                  0.02 * static_cast<double>(budget))
          << name_of(kind);
    }
    EXPECT_THROW(with_picture_parameters(c, 10), Error);
  }
}

ComparisonRun run_of(const char* name, std::int64_t size, std::uint64_t seed, double score) {
  ComparisonRun r{.encoder = name, .size = size, .seed = seed};
  r.score = score;
  return r;
}

TEST(Crossing, LiesBetweenTheSizesWhereTheOrderChanges) {
  // Seed 1: +10 at 100, −10 at 10,000: in the middle of the logarithms. Seed 2 never crosses.
  const std::vector<ComparisonRun> runs = {
      run_of("cnn", 100, 1, 60),    run_of("vit", 100, 1, 50),   run_of("cnn", 10'000, 1, 80),
      run_of("vit", 10'000, 1, 90), run_of("cnn", 100, 2, 60),   run_of("vit", 100, 2, 50),
      run_of("cnn", 10'000, 2, 80), run_of("vit", 10'000, 2, 70)};
  const Crossing c = crossing_of(runs, "vit", "cnn");
  EXPECT_EQ(c.ahead, "cnn");
  EXPECT_EQ(c.behind, "vit");
  EXPECT_EQ(c.seeds, 2);
  ASSERT_EQ(c.at.size(), 1U);
  EXPECT_NEAR(c.mean, 1000, 1e-6);
  EXPECT_EQ(c.factor, 1);
  EXPECT_EQ(to_string(c, "pictures"),
            "cnn ahead of vit up to 1000 pictures (÷× 1.00; 1 of 2 seeds cross)");
  const auto first = std::span(runs).first(2);
  EXPECT_EQ(to_string(crossing_of(first, "cnn", "vit"), "pictures"),
            "cnn stays ahead of vit at every size (1 seeds)");
}

}  // namespace
}  // namespace qkv
