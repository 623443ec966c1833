// Linear attention forward. Query rows stand in the lanes of a vector: numerators and denominators
// of 16 rows are Dv + 1 vectors, the products behind them read keys, values and sums as scalars,
// row by row as they lie, and the triangle is a mask over lanes.
#include "qkv/kernels/attention/linear.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/linear_schedule.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/linear.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/linear-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// out[Dv + 1][row] += Σ_k [v 1] weights[k][row] inside a chunk. With `guarded`, row by row
/// over the keys it sees, so that a later value that is not finite meets no row of 0 weight.
void AddTriangle(const LinearInputs<float>& in, const LinearWidths& w, const LinearChunk& c,
                 bool guarded, bool begun, const float* keys, const float* values,
                 const float* queries, std::int64_t width, float* weights, float* out, float* row) {
  EachBlock(c, [&](const Block32& b) {
    Product<false>(false, b.keys, b.vectors, in.dim, keys, w.d, queries + b.r0, width,
                   weights + b.r0, width, false);
    HideLater(c, b, weights, width);
    if (HWY_LIKELY(!guarded)) {
      Product<true>(false, in.value_dim + 1, b.vectors, b.keys, values, w.e, weights + b.r0, width,
                    out + b.r0, width, begun);
      return;
    }
    for (std::int64_t r = b.r0; r < b.r1; ++r) {
      for (std::int64_t e = 0; e <= in.value_dim; ++e) row[e] = begun ? out[e * width + r] : 0.0f;
      std::fill(row + in.value_dim + 1, row + w.e, 0.0f);
      Product<true>(false, 1, w.e / Lanes(), std::min(b.keys, r + c.offset + 1), weights + r, width,
                    values, w.e, row, w.e, true);
      for (std::int64_t e = 0; e <= in.value_dim; ++e) out[e * width + r] = row[e];
    }
  });
}

/// out[Dv + 1][row] -> rows of a.out, divided by their denominators.
void Finish(const LinearAttend<float>& a, const LinearChunk& c, std::int64_t head,
            std::int64_t width, const float* out, float* rows) {
  const F d;
  const LinearInputs<float>& in = a.in;
  const std::int64_t padded = Scratch::padded(in.value_dim);
  alignas(64) float inverse[kLinearChunk];
  const VF least = hn::Set(d, std::numeric_limits<float>::min());
  for (std::int64_t r = 0; r < width; r += Lanes()) {
    const VF z = hn::Add(hn::Load(d, out + in.value_dim * width + r),
                         hn::Set(d, static_cast<float>(in.eps)));
    const VF x = hn::Div(hn::Set(d, 1.0f), z);
    hn::Store(hn::IfThenZeroElse(hn::Lt(hn::Abs(z), least), x), d, inverse + r);
  }
  PackTransposed(in.value_dim, c.rows, out, width, 1.0f, rows, padded);
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const std::int64_t row = (c.row + r) * in.heads + head;
    a.inverse[row] = inverse[r];
    if (inverse[r] == 0.0f) {
      std::fill_n(a.out + row * in.value_dim, in.value_dim, 0.0f);
    } else {
      Unpack(in.value_dim, rows + r * padded, inverse[r], a.out + row * in.value_dim);
    }
  }
}

/// The outputs of a piece, and its own sum when that is wanted.
void ForwardPiece(const LinearAttend<float>& a, const LinearPiece& piece, const float* before,
                  float* own, Scratch scratch) {
  const LinearInputs<float>& in = a.in;
  const LinearWidths w(in.dim, in.value_dim);
  float* keys = scratch.take(kLinearChunk * w.d);
  float* values = scratch.take(kLinearChunk * w.e);
  float* queries = scratch.take(kLinearChunk * in.dim);          // [D][row]
  float* weights = scratch.take(kLinearChunk * kLinearChunk);    // [key][row]
  float* out = scratch.take(kLinearChunk * (in.value_dim + 1));  // [Dv + 1][row]
  float* rows = scratch.take(kLinearChunk * w.e);                // [row][Dv]
  float* total = scratch.take(w.sum);
  float* row = scratch.take(w.e);
  float* sum = own ? own : scratch.take(w.sum);
  const std::int64_t group = in.heads / in.kv_heads;
  const bool weighted = piece.axis.weighted();
  for (std::int64_t n = piece.first; n < piece.last; ++n) {
    const LinearChunk c = piece.axis.chunk(n);
    const bool begun = n > piece.first, more = own || n + 1 < piece.last;
    const float* known = before;
    bool guarded = false;
    if (weighted) {
      if (c.rows > 0) known = Known(w, before, sum, begun, total);
      PackKeys(in, c, piece.head, w, keys);
      PackValues(in, c, piece.head, w, values);
      guarded = !AllFinite(c.keys * w.e, values);
    }
    const std::int64_t width = Width(c.rows);
    for (std::int64_t h = piece.head * group; c.rows > 0 && h < (piece.head + 1) * group; ++h) {
      PackFeaturesTransposed(in.map, c.rows, in.dim, in.q + (c.row * in.heads + h) * in.dim,
                             in.heads * in.dim, queries, width);
      if (known) {
        Product<false>(false, in.value_dim + 1, width / Lanes(), in.dim, known, w.d, queries, width,
                       out, width, false);
      }
      if (weighted) {
        AddTriangle(in, w, c, guarded, known != nullptr, keys, values, queries, width, weights, out,
                    row);
      }
      Finish(a, c, h, width, out, rows);
    }
    if (weighted && more) AddKeys(in, w, c.keys, keys, values, sum, begun);
  }
}

void SumPiece(const LinearInputs<float>& in, const LinearPiece& piece, float* sum,
              Scratch scratch) {
  SumKeys(in, piece, sum, scratch);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(ForwardPiece);
HWY_EXPORT(SumPiece);

namespace {

/// Floats of scratch of a piece.
std::int64_t work(const LinearInputs<float>& in, const LinearWidths& w) {
  return kLinearChunk * (w.d + 2 * w.e + in.dim + kLinearChunk + in.value_dim + 1) + 2 * w.sum +
         w.e + 9 * 16;
}

}  // namespace

void linear_attend(const LinearAttend<float>& a) {
  const LinearInputs<float>& in = a.in;
  for (const LinearSegment& s : in.segments) {
    const std::int64_t rows = LinearAxis(s, LinearShape(in)).empty_rows() * in.heads;
    std::fill_n(a.out + s.q_begin * in.heads * in.value_dim, rows * in.value_dim, 0.0f);
    std::fill_n(a.inverse + s.q_begin * in.heads, rows, 0.0f);
  }
  const auto use = HWY_DYNAMIC_DISPATCH(ForwardPiece);
  const auto sum = HWY_DYNAMIC_DISPATCH(SumPiece);
  const LinearWidths w(in.dim, in.value_dim);
  linear_sweep(
      {linear_seen(in), in.kv_heads, LinearShape(in), false, w.sum, work(in, w)},
      [&](const LinearPiece& p, float* total, Scratch s) { sum(in, p, total, s); },
      [&](const LinearPiece& p, const float* before, float* own, Scratch s) {
        use(a, p, before, own, s);
      });
}

void linear_sums(const LinearSums<float>& a) {
  LinearInputs<float> in = a.in;
  in.causal = false;
  std::vector<LinearSegment> segments(in.segments.begin(), in.segments.end());
  for (LinearSegment& s : segments) s.q_end = s.q_begin;
  const auto states = static_cast<std::int64_t>(segments.size()) * in.kv_heads;
  std::fill_n(a.s, states * in.dim * in.value_dim, 0.0f);
  std::fill_n(a.z, states * in.dim, 0.0f);
  const auto sum = HWY_DYNAMIC_DISPATCH(SumPiece);
  const LinearWidths w(in.dim, in.value_dim);
  const auto unpack = [&](const LinearPiece& p, const float* total, float*, Scratch) {
    if (p.first > 0) return;  // every piece is shown the same total
    const std::int64_t n = p.segment * in.kv_heads + p.head;
    for (std::int64_t d = 0; d < in.dim; ++d) {
      float* s = a.s + (n * in.dim + d) * in.value_dim;
      for (std::int64_t e = 0; e < in.value_dim; ++e) s[e] = total[e * w.d + d];
      a.z[n * in.dim + d] = total[in.value_dim * w.d + d];
    }
  };
  linear_sweep(
      {segments, in.kv_heads, LinearShape(in), false, w.sum, work(in, w)},
      [&](const LinearPiece& p, float* total, Scratch s) { sum(in, p, total, s); }, unpack);
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
