#include "qkv/kernels/attention/additive.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/additive.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/additive-inl.h"
#include "qkv/kernels/attention/l1-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// visit(first, count) for the tiles of n rows.
template <class Visit>
void EachTile(std::int64_t n, Visit&& visit) {
  for (std::int64_t i = 0; i < n; i += kPairTile) visit(i, std::min(kPairTile, n - i));
}

std::int64_t WidthOf(std::int64_t rows) { return (rows + Lanes() - 1) / Lanes() * Lanes(); }

/// The tile [key][width] of a block [Tq Tk] that begins at `from`, and back.
void TakeTile(std::int64_t keys, std::int64_t rows, const float* from, std::int64_t stride,
              std::int64_t width, float* tile) {
  for (std::int64_t k = 0; k < keys; ++k) {
    for (std::int64_t q = 0; q < rows; ++q) tile[k * width + q] = from[q * stride + k];
  }
}

void PutTile(std::int64_t keys, std::int64_t rows, const float* tile, std::int64_t width, float* to,
             std::int64_t stride) {
  for (std::int64_t q = 0; q < rows; ++q) {
    for (std::int64_t k = 0; k < keys; ++k) to[q * stride + k] = tile[k * width + q];
  }
}

/// `count` rows of `dim` of one side, starting at row `first`, as a tile's rows.
AdditiveRows RowsOf(const float* exp, const float* from, std::int64_t from_stride,
                    const float* extent, std::int64_t first, std::int64_t count,
                    std::int64_t stride) {
  return {{exp + first * stride, count, stride},
          from + first * from_stride,
          from_stride,
          extent + first};
}

/// Query rows [first, first + rows) against all keys.
void AdditiveForward(const AdditiveBlock<float>& a, std::int64_t first, std::int64_t rows) {
  const std::int64_t stride = PairStride(a.hidden), width = WidthOf(rows);
  Scratch scratch(stride * (2 * kPairTile + 1) + kPairTile * (kPairTile + 2) + 64);
  float* queries = scratch.take(rows * stride);
  float* keys = scratch.take(kPairTile * stride);
  float* w = scratch.take(stride);
  float* extents = scratch.take(2 * kPairTile);
  float* scores = scratch.take(kPairTile * kPairTile);
  PackRows(1, a.hidden, a.w, 0, w, stride);
  const float* query = a.a + first * a.hidden;
  AdditivePrepare(rows, a.hidden, query, a.hidden, queries, stride, extents);
  EachTile(a.keys, [&](std::int64_t k, std::int64_t count) {
    const float* key = a.b + k * a.hidden;
    AdditivePrepare(count, a.hidden, key, a.hidden, keys, stride, extents + kPairTile);
    const AdditiveTile tile{a.hidden,
                            RowsOf(keys, key, a.hidden, extents + kPairTile, 0, count, stride),
                            RowsOf(queries, query, a.hidden, extents, 0, rows, stride), w};
    AdditiveScores(tile, width, scores);
    PutTile(count, rows, scores, width, a.scores + first * a.keys + k, a.keys);
  });
}

/// The gradients of units [first, first + units): those of others need nothing of them.
void AdditiveBackward(const AdditiveBlockBackward<float>& a, std::int64_t first,
                      std::int64_t units) {
  const std::int64_t stride = PairStride(units), both = a.queries + a.keys;
  Scratch scratch(stride * (2 * both + 2) + both + kPairTile * kPairTile + 128);
  float* queries = scratch.take(a.queries * stride);
  float* keys = scratch.take(a.keys * stride);
  float* w = scratch.take(stride);
  float* dqueries = scratch.take(a.queries * stride);
  float* dkeys = scratch.take(a.keys * stride);
  float* dw = scratch.take(stride);
  float* query_extents = scratch.take(a.queries);
  float* key_extents = scratch.take(a.keys);
  float* dscores = scratch.take(kPairTile * kPairTile);
  std::fill_n(dqueries, a.queries * stride, 0.0f);
  std::fill_n(dkeys, a.keys * stride, 0.0f);
  std::fill_n(dw, stride, 0.0f);
  PackRows(1, units, a.w + first, 0, w, stride);
  const float *query = a.a + first, *key = a.b + first;
  AdditivePrepare(a.queries, units, query, a.hidden, queries, stride, query_extents);
  AdditivePrepare(a.keys, units, key, a.hidden, keys, stride, key_extents);
  EachTile(a.queries, [&](std::int64_t q, std::int64_t rows) {
    const std::int64_t width = WidthOf(rows);
    EachTile(a.keys, [&](std::int64_t k, std::int64_t count) {
      TakeTile(count, rows, a.dscores + q * a.keys + k, a.keys, width, dscores);
      const AdditiveTile tile{units, RowsOf(keys, key, a.hidden, key_extents, k, count, stride),
                              RowsOf(queries, query, a.hidden, query_extents, q, rows, stride), w};
      AdditiveGradients(tile, width, dscores,
                        {dqueries + q * stride, stride, dkeys + k * stride, stride}, dw);
    });
  });
  for (std::int64_t q = 0; q < a.queries; ++q) {
    std::copy_n(dqueries + q * stride, units, a.da + q * a.hidden + first);
  }
  for (std::int64_t k = 0; k < a.keys; ++k) {
    std::copy_n(dkeys + k * stride, units, a.db + k * a.hidden + first);
  }
  std::copy_n(dw, units, a.dw + first);
}

void L1Forward(const L1Block<float>& a, std::int64_t first, std::int64_t rows) {
  const std::int64_t stride = PairStride(a.dim), width = WidthOf(rows);
  Scratch scratch(2 * kPairTile * stride + kPairTile * kPairTile + 64);
  float* queries = scratch.take(rows * stride);
  float* keys = scratch.take(kPairTile * stride);
  float* scores = scratch.take(kPairTile * kPairTile);
  PackRows(rows, a.dim, a.q + first * a.dim, a.dim, queries, stride);
  EachTile(a.keys, [&](std::int64_t k, std::int64_t count) {
    PackRows(count, a.dim, a.k + k * a.dim, a.dim, keys, stride);
    const L1Tile tile{
        a.dim, {keys, count, stride}, {queries, rows, stride}, static_cast<float>(-a.scale)};
    L1Scores(tile, width, scores);
    PutTile(count, rows, scores, width, a.scores + first * a.keys + k, a.keys);
  });
}

/// Features [first, first + dim).
void L1Backward(const L1BlockBackward<float>& a, std::int64_t first, std::int64_t dim) {
  const std::int64_t stride = PairStride(dim), both = a.queries + a.keys;
  Scratch scratch(2 * both * stride + kPairTile * kPairTile + 64);
  float* queries = scratch.take(a.queries * stride);
  float* keys = scratch.take(a.keys * stride);
  float* dqueries = scratch.take(a.queries * stride);
  float* dkeys = scratch.take(a.keys * stride);
  float* dscores = scratch.take(kPairTile * kPairTile);
  std::fill_n(dqueries, a.queries * stride, 0.0f);
  std::fill_n(dkeys, a.keys * stride, 0.0f);
  PackRows(a.queries, dim, a.q + first, a.dim, queries, stride);
  PackRows(a.keys, dim, a.k + first, a.dim, keys, stride);
  EachTile(a.queries, [&](std::int64_t q, std::int64_t rows) {
    const std::int64_t width = WidthOf(rows);
    EachTile(a.keys, [&](std::int64_t k, std::int64_t count) {
      TakeTile(count, rows, a.dscores + q * a.keys + k, a.keys, width, dscores);
      const L1Tile tile{dim,
                        {keys + k * stride, count, stride},
                        {queries + q * stride, rows, stride},
                        static_cast<float>(-a.scale)};
      L1Gradients(tile, width, dscores,
                  {dqueries + q * stride, stride, dkeys + k * stride, stride});
    });
  });
  for (std::int64_t q = 0; q < a.queries; ++q) {
    std::copy_n(dqueries + q * stride, dim, a.dq + q * a.dim + first);
  }
  for (std::int64_t k = 0; k < a.keys; ++k) {
    std::copy_n(dkeys + k * stride, dim, a.dk + k * a.dim + first);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(AdditiveForward);
HWY_EXPORT(AdditiveBackward);
HWY_EXPORT(L1Forward);
HWY_EXPORT(L1Backward);

namespace definition {

template <class T>
void additive_scores(const AdditiveBlock<T>& a) {
  for (std::int64_t i = 0; i < a.queries; ++i) {
    for (std::int64_t j = 0; j < a.keys; ++j) {
      T sum = 0;
      for (std::int64_t c = 0; c < a.hidden; ++c) {
        sum += a.w[c] * std::tanh(a.a[i * a.hidden + c] + a.b[j * a.hidden + c]);
      }
      a.scores[i * a.keys + j] = sum;
    }
  }
}

template <class T>
void additive_scores_backward(const AdditiveBlockBackward<T>& a) {
  std::fill_n(a.da, a.queries * a.hidden, T{0});
  std::fill_n(a.db, a.keys * a.hidden, T{0});
  std::fill_n(a.dw, a.hidden, T{0});
  for (std::int64_t i = 0; i < a.queries; ++i) {
    for (std::int64_t j = 0; j < a.keys; ++j) {
      const T ds = a.dscores[i * a.keys + j];
      if (ds == T{0}) continue;
      for (std::int64_t c = 0; c < a.hidden; ++c) {
        const T t = std::tanh(a.a[i * a.hidden + c] + a.b[j * a.hidden + c]);
        const T slope = ds * a.w[c] * (1 - t * t);
        a.da[i * a.hidden + c] += slope;
        a.db[j * a.hidden + c] += slope;
        a.dw[c] += ds * t;
      }
    }
  }
}

template <class T>
void l1_scores(const L1Block<T>& a) {
  for (std::int64_t i = 0; i < a.queries; ++i) {
    for (std::int64_t j = 0; j < a.keys; ++j) {
      T sum = 0;
      for (std::int64_t c = 0; c < a.dim; ++c) {
        sum += std::abs(a.q[i * a.dim + c] - a.k[j * a.dim + c]);
      }
      a.scores[i * a.keys + j] = static_cast<T>(-a.scale) * sum;
    }
  }
}

template <class T>
void l1_scores_backward(const L1BlockBackward<T>& a) {
  std::fill_n(a.dq, a.queries * a.dim, T{0});
  std::fill_n(a.dk, a.keys * a.dim, T{0});
  for (std::int64_t i = 0; i < a.queries; ++i) {
    for (std::int64_t j = 0; j < a.keys; ++j) {
      const T ds = static_cast<T>(-a.scale) * a.dscores[i * a.keys + j];
      if (ds == T{0}) continue;
      for (std::int64_t c = 0; c < a.dim; ++c) {
        const T apart = a.q[i * a.dim + c] - a.k[j * a.dim + c];
        const T step = apart == T{0} ? T{0} : std::copysign(T{1}, apart) * ds;
        a.dq[i * a.dim + c] += step;
        a.dk[j * a.dim + c] -= step;
      }
    }
  }
}

template void additive_scores(const AdditiveBlock<float>&);
template void additive_scores(const AdditiveBlock<double>&);
template void additive_scores_backward(const AdditiveBlockBackward<float>&);
template void additive_scores_backward(const AdditiveBlockBackward<double>&);
template void l1_scores(const L1Block<float>&);
template void l1_scores(const L1Block<double>&);
template void l1_scores_backward(const L1BlockBackward<float>&);
template void l1_scores_backward(const L1BlockBackward<double>&);

}  // namespace definition

namespace {
// Tiles of query rows forward, of units backward: no sum ever crosses from one task to another.
constexpr std::int64_t kRows = 64, kUnits = 64;
}  // namespace

void additive_scores(const AdditiveBlock<float>& a) {
  const auto run = HWY_DYNAMIC_DISPATCH(AdditiveForward);
  parallel_for(a.queries, kRows,
               [&](std::int64_t begin, std::int64_t end) { run(a, begin, end - begin); });
}

void additive_scores_backward(const AdditiveBlockBackward<float>& a) {
  const auto run = HWY_DYNAMIC_DISPATCH(AdditiveBackward);
  parallel_for(a.hidden, kUnits,
               [&](std::int64_t begin, std::int64_t end) { run(a, begin, end - begin); });
}

void l1_scores(const L1Block<float>& a) {
  const auto run = HWY_DYNAMIC_DISPATCH(L1Forward);
  parallel_for(a.queries, kRows,
               [&](std::int64_t begin, std::int64_t end) { run(a, begin, end - begin); });
}

void l1_scores_backward(const L1BlockBackward<float>& a) {
  const auto run = HWY_DYNAMIC_DISPATCH(L1Backward);
  parallel_for(a.dim, kUnits,
               [&](std::int64_t begin, std::int64_t end) { run(a, begin, end - begin); });
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
