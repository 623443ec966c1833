#include "qkv/models/rnn_language.h"

#include "models/helpers.h"

#include "qkv/base/error.h"

namespace qkv {
namespace {

using testing::check_module;
using testing::same_bits;

RnnLanguage::Config tiny() { return {.vocab_size = 9, .embedding = 0, .width = 6, .layers = 2}; }

std::vector<RnnLanguage::Config> kinds() {
  std::vector<RnnLanguage::Config> all(4, tiny());
  all[1].cell = Cell::gru;
  all[1].embedding = 4;  // tied through a projection
  all[2].tie_output = false;
  all[2].embedding = 5;
  all[3].cell = Cell::gru_reset_before;
  return all;
}

const std::vector<std::int32_t> kIds = {3, 1, 4, 1, 5, 2, 6}, kTargets = {1, 4, 1, 5, -1, 6, 8};

TEST(RnnLanguage, GradientsAreFiniteDifferences) {
  for (const RnnLanguage::Config& c : kinds()) {
    check_module<RnnLanguage>(RnnLanguage::make({1, DType::f64}, c), [](const RnnLanguage& m) {
      return m.loss(kIds, Segments({5, 2}), kTargets, {}).loss;
    });
  }
}

TEST(RnnLanguage, CountsItsParameters) {
  const auto count = [](const RnnLanguage::Config& c) {
    return parameter_count(RnnLanguage::make(1, c));
  };
  // A tenth of Zaremba et al. 2014, medium, tied and not: V E + 2 · (4 H (E + H) + 2 · 4 H) + V.
  EXPECT_EQ(count({.vocab_size = 1000, .width = 65}), 65'000 + 2 * 34'320 + 1000);
  EXPECT_EQ(count({.vocab_size = 1000, .width = 65, .tie_output = false}),
            65'000 + 2 * 34'320 + 66'000);
  EXPECT_EQ(count(kinds()[1]), 9 * 4 + (4 + 6) * 18 + 36 + (6 + 6) * 18 + 36 + 6 * 4 + 9);
}

TEST(RnnLanguage, GoesOnFromItsStateAndKeepsToItsSequence) {
  for (const RnnLanguage::Config& c : kinds()) {
    const RnnLanguage m = RnnLanguage::make(1, c);
    const std::span<const std::int32_t> ids(kIds);
    const Tensor whole = m(ids, Segments({7})).hidden;
    RecurrentStates states;
    for (std::size_t t = 0; t < 7; ++t) {
      const auto row = static_cast<std::int64_t>(t);
      RnnLanguage::Result y = m(ids.subspan(t, 1), Segments({1}), states);
      testing::expect_near(y.hidden, whole.rows(row, row + 1), 1e-6);
      states = std::move(y.last);
    }
    const Tensor two = m(ids, Segments({4, 3})).hidden;
    EXPECT_TRUE(same_bits(two.rows(0, 4), whole.rows(0, 4)));
    EXPECT_TRUE(same_bits(two.rows(4, 7), m(ids.subspan(4), Segments({3})).hidden));
  }
}

TEST(RnnLanguage, RefusesWhatMakesNoModel) {
  for (const auto& change :
       {+[](RnnLanguage::Config& c) { c.vocab_size = 0; },
        +[](RnnLanguage::Config& c) { c.width = 0; }, +[](RnnLanguage::Config& c) { c.layers = 0; },
        +[](RnnLanguage::Config& c) { c.embedding = -1; },
        +[](RnnLanguage::Config& c) { c.output_dropout = 1; }}) {
    RnnLanguage::Config c = tiny();
    change(c);
    EXPECT_THROW((void)RnnLanguage::make(1, c), Error);
  }
  EXPECT_THROW((void)RnnLanguage::make(1, tiny())(kIds, Segments({6})), ShapeError);
}

}  // namespace
}  // namespace qkv
