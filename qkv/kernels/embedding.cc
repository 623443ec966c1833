#include "qkv/kernels/embedding.h"

#include <algorithm>
#include <vector>

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/embedding.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

void EmbedRow(std::int64_t cols, const float* table, float scale, const float* positions,
              const Dropout& drop, std::uint64_t index, float* out) {
  const F d;
  const VF times = hn::Set(d, scale);
  ForEachWithDropout(d, cols, drop, index, [&](std::int64_t c, auto at, VF factor) {
    VF v = hn::Mul(at.load(d, table + c), times);
    if (positions) v = hn::Add(v, at.load(d, positions + c));
    at.store(d, hn::Mul(v, factor), out + c);
  });
}

/// to[c] += scale · dropout(from[c])
void AddEmbedRow(std::int64_t cols, const float* from, float scale, const Dropout& drop,
                 std::uint64_t index, float* to) {
  const F d;
  const VF times = hn::Set(d, scale);
  ForEachWithDropout(d, cols, drop, index, [&](std::int64_t c, auto at, VF factor) {
    const VF g = hn::Mul(at.load(d, from + c), factor);
    at.store(d, hn::MulAdd(g, times, at.load(d, to + c)), to + c);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(EmbedRow);
HWY_EXPORT(AddEmbedRow);

namespace definition {

template <class T>
void embed(const EmbedForward<T>& a) {
  for (std::int64_t t = 0; t < a.rows; ++t) {
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const std::int64_t i = t * a.cols + c;
      T v = a.ids[t] < 0 ? T(0) : a.scale * a.table[a.ids[t] * a.cols + c];
      if (a.positions) v += a.positions[a.position[t] * a.cols + c];
      a.out[i] = v * static_cast<T>(dropout_factor(a.dropout, static_cast<std::uint64_t>(i)));
    }
  }
}

template <class T>
void embed_backward(const EmbedBackward<T>& a) {
  for (std::int64_t t = 0; t < a.rows; ++t) {
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const std::int64_t i = t * a.cols + c;
      const T g =
          a.dout[i] * static_cast<T>(dropout_factor(a.dropout, static_cast<std::uint64_t>(i)));
      if (a.dtable && a.ids[t] >= 0) a.dtable[a.ids[t] * a.cols + c] += a.scale * g;
      if (a.dpositions) a.dpositions[a.position[t] * a.cols + c] += g;
    }
  }
}

template void embed(const EmbedForward<float>&);
template void embed(const EmbedForward<double>&);
template void embed_backward(const EmbedBackward<float>&);
template void embed_backward(const EmbedBackward<double>&);

}  // namespace definition

void embed(const EmbedForward<float>& a) {
  const auto row = HWY_DYNAMIC_DISPATCH(EmbedRow);
  std::vector<float> zeros;
  if (std::any_of(a.ids, a.ids + a.rows, [](std::int32_t id) { return id < 0; })) {
    zeros.resize(static_cast<std::size_t>(a.cols));
  }
  parallel_for(a.rows, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      row(a.cols, a.ids[t] < 0 ? zeros.data() : a.table + a.ids[t] * a.cols, a.scale,
          a.positions ? a.positions + a.position[t] * a.cols : nullptr, a.dropout,
          static_cast<std::uint64_t>(t * a.cols), a.out + t * a.cols);
    }
  });
}

void embed_backward(const EmbedBackward<float>& a) {
  // A table row belongs to one of 16 shares by its number; each share goes through all of `ids` in
  // order and adds only its own rows. So the order of additions to a row is that of t, whoever
  // works.
  constexpr std::int64_t kShares = 16;
  const auto add_row = HWY_DYNAMIC_DISPATCH(AddEmbedRow);
  const auto scatter = [&](const std::int32_t* ids, float scale, float* to) {
    parallel_for(kShares, 1, [&](std::int64_t share, std::int64_t) {
      for (std::int64_t t = 0; t < a.rows; ++t) {
        if (ids[t] % kShares != share) continue;  // −1 is nobody's
        add_row(a.cols, a.dout + t * a.cols, scale, a.dropout,
                static_cast<std::uint64_t>(t * a.cols), to + ids[t] * a.cols);
      }
    });
  };
  if (a.dtable) scatter(a.ids, a.scale, a.dtable);
  if (a.dpositions) scatter(a.position, 1.0f, a.dpositions);
}

}  // namespace qkv::kernels
#endif
