#include "qkv/tensor/tensor.h"

#include <cmath>

#include <gtest/gtest.h>

#include "qkv/tensor/segments.h"

namespace qkv {
namespace {

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor a = Tensor::of<float>(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor b = a, c = a.clone();
  b.data()[0] = 9;
  EXPECT_EQ(a.data()[0], 9);
  EXPECT_EQ(c.data()[0], 1);
  EXPECT_EQ(a.rows(1, 3).data()[0], 3);
  EXPECT_EQ(a.reshaped({2, 3}).dim(1), 3);
  EXPECT_THROW((void)a.reshaped({5}), ShapeError);
  EXPECT_THROW((void)a.rows(2, 4), ShapeError);
}

TEST(Tensor, TypesAreChecked) {
  const Tensor a = Tensor::full({2}, 0.5);
  EXPECT_THROW((void)a.data<double>(), ShapeError);
  EXPECT_EQ(a.to(DType::f64).data<double>()[1], 0.5);
  EXPECT_THROW((void)Tensor().data(), ShapeError);
}

TEST(Tensor, PoisonFillsFreshMemory) {
  const bool before = set_poison(true);
  const Tensor a = Tensor::empty({3});
  set_poison(before);
  for (float x : a.values()) EXPECT_TRUE(std::isnan(x));
}

TEST(Pool, ReusesBlocks) {
  { const Tensor warm = Tensor::empty({1000, 100}); }
  const auto before = pool_statistics().system_allocations;
  for (int i = 0; i < 10; ++i) {
    const Tensor again = Tensor::empty({1000, 100});
  }
  EXPECT_EQ(pool_statistics().system_allocations, before);
}

TEST(Segments, OffsetsFromLengths) {
  const Segments s({3, 0, 2});
  EXPECT_EQ(s.count(), 3);
  EXPECT_EQ(s.total(), 5);
  EXPECT_EQ(s.begin(2), 3);
  EXPECT_EQ(s.length(1), 0);
  EXPECT_EQ(s.longest(), 3);
  EXPECT_EQ(Segments().count(), 0);
  EXPECT_THROW(Segments({-1}), ShapeError);
}

}  // namespace
}  // namespace qkv
