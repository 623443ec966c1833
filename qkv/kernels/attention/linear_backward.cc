// Linear attention backward. With dn = dout / z and dz = −(dout·out) / z, G = [dn dz], V = [v 1]:
//   dφ(q)_i = Σ_{j seen by i} (G_i·V_j) φ(k)_j   by the sums Σ V φ(k)ᵀ, from the beginning on
//   dφ(k)_j = Σ_{i sees j} (G_i·V_j) φ(q)_i      by the sums Σ G φ(q)ᵀ, from the end back
//   dv_j    = Σ_{i sees j} (φ(q)_i·φ(k)_j) dn_i  by the same
// Nothing of the forward pass but out and 1/z is needed: the sums are formed again on the way.
#include <algorithm>
#include <vector>

#include "qkv/kernels/attention/linear.h"
#include "qkv/kernels/attention/linear_schedule.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/linear_backward.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/linear-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

/// G of the chunk's rows: gradients[row][Dv + 1], and transposed [Dv + 1][width] when wanted. A row
/// that gave zeros has zeros.
void PackGradients(const LinearAttendBackward<float>& a, const LinearChunk& c, std::int64_t head,
                   const LinearWidths& w, float* gradients, float* transposed) {
  const F d;
  const std::int64_t value_dim = a.in.value_dim;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const std::int64_t row = (c.row + r) * a.in.heads + head;
    float* to = gradients + r * w.e;
    std::fill_n(to, w.e, 0.0f);
    if (a.inverse[row] == 0.0f) continue;
    const VF inverse = hn::Set(d, a.inverse[row]);
    VF sum = hn::Zero(d);
    ForEachVector(d, value_dim, [&](std::int64_t i, auto at) {
      const VF dn = hn::Mul(at.load(d, a.dout + row * value_dim + i), inverse);
      sum = hn::MulAdd(dn, at.load(d, a.out + row * value_dim + i), sum);
      hn::Store(dn, d, to + i);
    });
    to[value_dim] = -hn::GetLane(hn::SumOfLanes(d, sum));
  }
  PackTransposed(c.rows, value_dim + 1, gradients, w.e, 1.0f, transposed, Width(c.rows));
}

/// sum (+)= Σ_row G φ(q)ᵀ: Dv + 1 rows of features.
HWY_INLINE void AddRows(const LinearInputs<float>& in, const LinearWidths& w, const LinearChunk& c,
                        const float* transposed, const float* queries, float* sum, bool begun) {
  Product<false>(false, in.value_dim + 1, w.d / Lanes(), c.rows, transposed, Width(c.rows), queries,
                 w.d, sum, w.d, begun);
}

/// The sum of a piece over the query heads of its key head.
void SumRowsPiece(const LinearAttendBackward<float>& a, const LinearPiece& piece, float* sum,
                  Scratch scratch) {
  const LinearInputs<float>& in = a.in;
  const LinearWidths w(in.dim, in.value_dim);
  float* queries = scratch.take(kLinearChunk * w.d);
  float* gradients = scratch.take(kLinearChunk * w.e);
  float* transposed = scratch.take(kLinearChunk * (in.value_dim + 1));
  const std::int64_t group = in.heads / in.kv_heads;
  bool begun = false;
  for (std::int64_t n = piece.last; n-- > piece.first;) {
    const LinearChunk c = piece.axis.chunk(n);
    for (std::int64_t h = piece.head * group; h < (piece.head + 1) * group; ++h) {
      PackFeatures(in.map, c.rows, in.dim, in.q + (c.row * in.heads + h) * in.dim,
                   in.heads * in.dim, queries, w.d);
      PackGradients(a, c, h, w, gradients, transposed);
      AddRows(in, w, c, transposed, queries, sum, begun);
      begun = true;
    }
  }
}

void SumKeysPiece(const LinearAttendBackward<float>& a, const LinearPiece& piece, float* sum,
                  Scratch scratch) {
  SumKeys(a.in, piece, sum, scratch);
}

/// G_i·V_j of a block, weights[key][row], zeros where i does not see j.
HWY_INLINE void WeightGradients(const LinearInputs<float>& in, const LinearWidths& w,
                                const LinearChunk& c, const Block32& b, const float* values,
                                const float* transposed, std::int64_t width, float* weights) {
  Product<false>(false, b.keys, b.vectors, in.value_dim + 1, values, w.e, transposed + b.r0, width,
                 weights + b.r0, width, false);
  HideLater(c, b, weights, width);
}

/// dq of a piece.
void QueriesPiece(const LinearAttendBackward<float>& a, const LinearPiece& piece,
                  const float* before, float* own, Scratch scratch) {
  const LinearInputs<float>& in = a.in;
  const LinearWidths w(in.dim, in.value_dim);
  float* keys = scratch.take(kLinearChunk * w.d);
  float* values = scratch.take(kLinearChunk * w.e);
  float* gradients = scratch.take(kLinearChunk * w.e);
  float* transposed = scratch.take(kLinearChunk * (in.value_dim + 1));
  float* weights = scratch.take(kLinearChunk * kLinearChunk);
  float* dq = scratch.take(kLinearChunk * w.d);
  float* total = scratch.take(w.sum);
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
      guarded = !AllFinite(c.keys * w.d, keys);
    }
    const std::int64_t width = Width(c.rows);
    for (std::int64_t h = piece.head * group; c.rows > 0 && h < (piece.head + 1) * group; ++h) {
      PackGradients(a, c, h, w, gradients, transposed);
      if (known) {
        Product<true>(false, c.rows, w.d / Lanes(), in.value_dim + 1, transposed, width, known, w.d,
                      dq, w.d, false);
      }
      const auto add = [&](std::int64_t r0, std::int64_t r1, std::int64_t count) {
        Product<true>(false, r1 - r0, w.d / Lanes(), count, weights + r0, width, keys, w.d,
                      dq + r0 * w.d, w.d, known != nullptr);
      };
      if (weighted) {
        EachBlock(c, [&](const Block32& b) {
          WeightGradients(in, w, c, b, values, transposed, width, weights);
          if (HWY_LIKELY(!guarded)) return add(b.r0, b.r1, b.keys);
          for (std::int64_t r = b.r0; r < b.r1; ++r) {
            add(r, r + 1, std::min(b.keys, r + c.offset + 1));
          }
        });
      }
      WithMap(in.map, [&]<LinearMap kMap>() {
        for (std::int64_t r = 0; r < c.rows; ++r) {
          const std::int64_t at = ((c.row + r) * in.heads + h) * in.dim;
          if (a.inverse[(c.row + r) * in.heads + h] == 0.0f) {
            std::fill_n(a.dq + at, in.dim, 0.0f);
          } else {
            ThroughMap<kMap>(in.dim, dq + r * w.d, in.q + at, a.dq + at);
          }
        }
      });
    }
    if (weighted && more) AddKeys(in, w, c.keys, keys, values, sum, begun);
  }
}

/// dk and dv of a piece; `after` and `own` are sums over query rows.
void KeysPiece(const LinearAttendBackward<float>& a, const LinearPiece& piece, const float* after,
               float* own, Scratch scratch) {
  const LinearInputs<float>& in = a.in;
  const LinearWidths w(in.dim, in.value_dim);
  const std::int64_t value_width = Scratch::padded(in.value_dim);
  float* keys = scratch.take(kLinearChunk * w.d);
  float* values = scratch.take(kLinearChunk * w.e);
  float* queries = scratch.take(kLinearChunk * w.d);                    // [row][D]
  float* queries_transposed = scratch.take(kLinearChunk * in.dim);      // [D][row]
  float* gradients = scratch.take(kLinearChunk * w.e);                  // [row][Dv + 1]
  float* transposed = scratch.take(kLinearChunk * (in.value_dim + 1));  // [Dv + 1][row]
  float* weights = scratch.take(kLinearChunk * kLinearChunk);           // [key][row]
  float* weight_gradients = scratch.take(kLinearChunk * kLinearChunk);  // [key][row]
  float* dk = scratch.take(kLinearChunk * w.d);
  float* dv = scratch.take(kLinearChunk * value_width);
  float* turned = scratch.take(in.dim * value_width);  // [D][Dv] of the known sum
  float* total = scratch.take(w.sum);
  float* sum = own ? own : scratch.take(w.sum);
  const std::int64_t group = in.heads / in.kv_heads;
  const bool weighted = piece.axis.weighted();
  bool begun = false;
  for (std::int64_t n = piece.last; n-- > piece.first;) {
    const LinearChunk c = piece.axis.chunk(n);
    const bool more = own || n > piece.first;
    const float* known = weighted ? Known(w, after, sum, begun, total) : after;
    PackKeys(in, c, piece.head, w, keys);
    PackValues(in, c, piece.head, w, values);
    if (known && c.keys > 0) {
      PackTransposed(in.value_dim, in.dim, known, w.d, 1.0f, turned, value_width);
      Product<false>(false, c.keys, w.d / Lanes(), in.value_dim + 1, values, w.e, known, w.d, dk,
                     w.d, false);
      Product<false>(false, c.keys, value_width / Lanes(), in.dim, keys, w.d, turned, value_width,
                     dv, value_width, false);
    } else {
      std::fill_n(dk, c.keys * w.d, 0.0f);
      std::fill_n(dv, c.keys * value_width, 0.0f);
    }
    const std::int64_t width = Width(c.rows);
    for (std::int64_t h = piece.head * group; weighted && h < (piece.head + 1) * group; ++h) {
      const float* q = in.q + (c.row * in.heads + h) * in.dim;
      PackFeatures(in.map, c.rows, in.dim, q, in.heads * in.dim, queries, w.d);
      PackTransposed(c.rows, in.dim, queries, w.d, 1.0f, queries_transposed, width);
      PackGradients(a, c, h, w, gradients, transposed);
      const bool guarded = !AllFinite(c.rows * w.d, queries) || !AllFinite(c.rows * w.e, gradients);
      const auto add = [&](std::int64_t key, std::int64_t count, std::int64_t r0, std::int64_t r1) {
        Product<false>(false, count, w.d / Lanes(), r1 - r0, weight_gradients + key * width + r0,
                       width, queries + r0 * w.d, w.d, dk + key * w.d, w.d, true);
        Product<false>(false, count, value_width / Lanes(), r1 - r0, weights + key * width + r0,
                       width, gradients + r0 * w.e, w.e, dv + key * value_width, value_width, true);
      };
      EachBlock(c, [&](const Block32& b) {
        WeightGradients(in, w, c, b, values, transposed, width, weight_gradients);
        Product<false>(false, b.keys, b.vectors, in.dim, keys, w.d, queries_transposed + b.r0,
                       width, weights + b.r0, width, false);
        HideLater(c, b, weights, width);
        if (HWY_LIKELY(!guarded)) return add(0, b.keys, b.r0, b.r1);
        for (std::int64_t k = 0; k < b.keys; ++k) add(k, 1, std::max(b.r0, k - c.offset), b.r1);
      });
      if (more) {
        AddRows(in, w, c, transposed, queries, sum, begun);
        begun = true;
      }
    }
    WithMap(in.map, [&]<LinearMap kMap>() {
      for (std::int64_t k = 0; k < c.keys; ++k) {
        const std::int64_t key = (c.key + k) * in.kv_heads + piece.head;
        ThroughMap<kMap>(in.dim, dk + k * w.d, in.k + key * in.dim, a.dk + key * in.dim);
        Unpack(in.value_dim, dv + k * value_width, 1.0f, a.dv + key * in.value_dim);
      }
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(SumRowsPiece);
HWY_EXPORT(SumKeysPiece);
HWY_EXPORT(QueriesPiece);
HWY_EXPORT(KeysPiece);

namespace {

/// Rows [first, last) of x [· heads width] become zeros.
void clear(std::int64_t first, std::int64_t last, std::int64_t heads, std::int64_t width,
           float* x) {
  std::fill(x + first * heads * width, x + last * heads * width, 0.0f);
}

}  // namespace

void linear_attend_backward(const LinearAttendBackward<float>& a) {
  const LinearInputs<float>& in = a.in;
  const std::vector<LinearSegment> segments = linear_seen(in);
  for (const LinearSegment& s : segments) {
    clear(s.q_begin, s.q_begin + LinearAxis(s, LinearShape(in)).empty_rows(), in.heads, in.dim,
          a.dq);
    clear(s.k_begin + s.seen, s.k_end, in.kv_heads, in.dim, a.dk);
    clear(s.k_begin + s.seen, s.k_end, in.kv_heads, in.value_dim, a.dv);
  }
  const LinearWidths w(in.dim, in.value_dim);
  const std::int64_t value_width = Scratch::padded(in.value_dim);
  const std::int64_t work = kLinearChunk * (3 * w.d + in.dim + 2 * w.e + in.value_dim + 1 +
                                            2 * kLinearChunk + value_width) +
                            in.dim * value_width + 2 * w.sum + 13 * 16;
  using Sum = void (*)(const LinearAttendBackward<float>&, const LinearPiece&, float*, Scratch);
  using Use = void (*)(const LinearAttendBackward<float>&, const LinearPiece&, const float*, float*,
                       Scratch);
  const auto sweep = [&](bool reverse, Sum sum, Use use) {
    linear_sweep(
        {segments, in.kv_heads, LinearShape(in), reverse, w.sum, work},
        [&](const LinearPiece& p, float* total, Scratch s) { sum(a, p, total, s); },
        [&](const LinearPiece& p, const float* others, float* own, Scratch s) {
          use(a, p, others, own, s);
        });
  };
  sweep(false, HWY_DYNAMIC_DISPATCH(SumKeysPiece), HWY_DYNAMIC_DISPATCH(QueriesPiece));
  sweep(true, HWY_DYNAMIC_DISPATCH(SumRowsPiece), HWY_DYNAMIC_DISPATCH(KeysPiece));
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
