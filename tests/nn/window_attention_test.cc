#include "qkv/nn/window_attention.h"

#include <cmath>
#include <vector>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/check.h"
#include "qkv/base/error.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;
using Lengths = std::vector<std::int64_t>;

TEST(Windows, PiecesOfAnAxis) {
  EXPECT_EQ(window_pieces(8, 4, 2), (Lengths{2, 4, 2}));
  EXPECT_EQ(window_pieces(8, 4, 0), (Lengths{4, 4}));
  EXPECT_EQ(window_pieces(4, 4, 2), (Lengths{2, 2}));
  EXPECT_EQ(window_pieces(14, 7, 3), (Lengths{3, 7, 4}));
  EXPECT_THROW(window_pieces(9, 4, 2), ShapeError);
  EXPECT_THROW(window_pieces(8, 4, 4), ShapeError);
}

TEST(Windows, PairsOfThePublishedSizes) {
  struct Case {
    Grid grid;
    std::int64_t window, shift, pairs;
  };
  for (const Case& c :
       {Case{{8, 8}, 4, 2, 576}, Case{{12, 8}, 4, 2, 960}, Case{{16, 24}, 8, 4, 15360},
        Case{{64, 64}, 8, 4, 230400}, Case{{56, 56}, 7, 3, 135424}, Case{{8, 8}, 4, 0, 1024}}) {
    EXPECT_EQ(Windows::of(Grids{c.grid}, c.window, c.shift).pairs(), c.pairs);
  }
}

TEST(Windows, OrderAndBackIsNothing) {
  const Grids grids{{8, 12}, {4, 4}, {0, 8}, {12, 8}};
  for (const std::int64_t shift : {0, 1, 2}) {
    const Windows w = Windows::of(grids, 4, shift);
    for (std::int64_t row = 0; row < grids.total(); ++row) {
      EXPECT_EQ(w.reverse.from(w.order.from(row)), row);
    }
  }
}

WindowAttention layer(DType type, std::int64_t window, std::int64_t heads) {
  Initialiser init(1, type);
  WindowAttention m =
      WindowAttention::make(init, {.width = 4 * heads, .heads = heads, .window = window});
  m.table = parameter(random_tensor(m.table.shape(), 5, type));
  return m;
}

/// Row by row in and out.
Tensor attended(const WindowAttention& m, const Tensor& x, const Grids& grids, std::int64_t shift) {
  const Windows w = Windows::of(grids, m.config.window, shift);
  return permute_rows(m(permute_rows(x, w.order), w), w.reverse);
}

/// As published: roll, cut into windows, −100 between regions, roll back. One picture, in double.
Tensor rolled_and_masked(const WindowAttention& m, const Tensor& x, const Grid& grid,
                         std::int64_t shift) {
  const std::int64_t w = m.config.window, heads = m.config.heads, dim = m.heads.config.head_dim;
  const Tensor q = m.heads.queries(x), k = m.heads.keys(x), v = m.heads.values(x);
  const auto region = [&](std::int64_t place, std::int64_t n) {
    return shift == 0 ? 0 : place < n - w ? 0 : place < n - shift ? 1 : 2;
  };
  Tensor out = Tensor::zeros(q.shape(), DType::f64);
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const std::int64_t r = i / grid.cols, c = i % grid.cols;  // of the rolled picture
    const auto there = [&](std::int64_t rr, std::int64_t cc) {
      return (rr + shift) % grid.rows * grid.cols + (cc + shift) % grid.cols;
    };
    for (std::int64_t h = 0; h < heads; ++h) {
      std::vector<double> weights;
      double sum = 0;
      for (std::int64_t j = 0; j < w * w; ++j) {
        const std::int64_t kr = r / w * w + j / w, kc = c / w * w + j % w;
        double score = 0;
        for (std::int64_t d = 0; d < dim; ++d) {
          score += number(q, (there(r, c) * heads + h) * dim + d) *
                   number(k, (there(kr, kc) * heads + h) * dim + d);
        }
        const std::int64_t way = (r - kr + w - 1) * (2 * w - 1) + c - kc + w - 1;
        score = score / std::sqrt(static_cast<double>(dim)) + number(m.table, way * heads + h);
        const bool apart = region(r, grid.rows) != region(kr, grid.rows) ||
                           region(c, grid.cols) != region(kc, grid.cols);
        weights.push_back(std::exp(apart ? score - 100 : score));
        sum += weights.back();
      }
      for (std::int64_t j = 0; j < w * w; ++j) {
        const std::int64_t key = there(r / w * w + j / w, c / w * w + j % w);
        for (std::int64_t d = 0; d < dim; ++d) {
          out.data<double>()[(there(r, c) * heads + h) * dim + d] +=
              weights[static_cast<std::size_t>(j)] / sum * number(v, (key * heads + h) * dim + d);
        }
      }
    }
  }
  return m.heads.joined(out);
}

TEST(WindowAttention, IsTheRolledAndMaskedOne) {
  for (const auto& [grid, window, shift] :
       {std::tuple{Grid{8, 12}, 4, 2}, std::tuple{Grid{8, 12}, 4, 0}, std::tuple{Grid{4, 8}, 4, 2},
        std::tuple{Grid{14, 7}, 7, 3}, std::tuple{Grid{6, 6}, 2, 1}}) {
    const WindowAttention m = layer(DType::f64, window, 2);
    const Tensor x = random_tensor({grid.count(), 8}, 1, DType::f64);
    const Tensor want = rolled_and_masked(m, x, grid, shift);
    EXPECT_LT(distance(attended(m, x, Grids{grid}, shift), want), 1e-12)
        << grid.rows << " × " << grid.cols << " by " << window << ", " << shift;
  }
}

TEST(WindowAttention, TheRelativeIndexOfSwin) {
  WindowAttention m = layer(DType::f64, 2, 1);
  m.table = generated({9, 1}, DType::f64, [](std::int64_t i) { return static_cast<double>(i); });
  const double wanted[] = {4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4};
  const Tensor bias = m.bias(2, 2);
  for (std::int64_t i = 0; i < 16; ++i) EXPECT_EQ(number(bias, i), wanted[i]);
}

TEST(WindowAttention, WholeWindowsMayMove) {
  const WindowAttention m = layer(DType::f64, 4, 2);
  const Grid grid{8, 12};
  const Tensor x = random_tensor({grid.count(), 8}, 1, DType::f64);
  std::vector<std::int64_t> rolled;
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    rolled.push_back((i / 12 + 4) % 8 * 12 + (i % 12 + 8) % 12);
  }
  const Permutation roll(rolled);
  EXPECT_LT(distance(attended(m, permute_rows(x, roll), Grids{grid}, 0),
                     permute_rows(attended(m, x, Grids{grid}, 0), roll)),
            1e-13);
}

TEST(WindowAttention, NeighboursChangeNoBit) {
  const WindowAttention m = layer(DType::f32, 4, 2);
  const Grids grids{{8, 12}, {4, 4}, {12, 8}};
  const Tensor x = random_tensor({grids.total(), 8}, 1);
  for (const std::int64_t shift : {0, 1, 2}) {
    const Tensor y = attended(m, x, grids, shift);
    for (std::int64_t b = 0; b < 3; ++b) {
      const std::int64_t begin = grids.begin(b), end = grids.segments().end(b);
      EXPECT_EQ(
          distance(attended(m, x.rows(begin, end), Grids{grids[b]}, shift), y.rows(begin, end)), 0);
    }
  }
}

TEST(WindowAttention, Gradients) {
  const Grids grids{{4, 4}, {4, 8}};
  const Windows w = Windows::of(grids, 4, 1);
  const Tensor inputs[] = {random_tensor({48, 8}, 1, DType::f64),
                           random_tensor({49, 2}, 2, DType::f64)};
  const auto check = check_gradients(
      [&](std::span<const Tensor> x) {
        WindowAttention m = layer(DType::f64, 4, 2);
        m.table = x[1];
        return m(permute_rows(x[0], w.order), w);
      },
      inputs);
  EXPECT_LT(check.worst, 1e-7) << check.where;
}

TEST(WindowAttention, WhatDoesNotFitIsRefused) {
  const WindowAttention m = layer(DType::f32, 4, 2);
  const Windows w = Windows::of(Grids{{4, 4}}, 4, 0);
  EXPECT_THROW((void)m(Tensor::zeros({15, 8}), w), ShapeError);
  EXPECT_THROW((void)m(Tensor::zeros({16, 8}), Windows::of(Grids{{4, 4}}, 2, 0)), ShapeError);
  EXPECT_THROW((void)Windows::of(Grids{{4, 5}}, 4, 0), ShapeError);
}

}  // namespace
}  // namespace qkv
