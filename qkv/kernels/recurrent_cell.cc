#include <algorithm>
#include <memory>
#include <utility>

#include "qkv/base/parallel.h"
#include "qkv/kernels/gemm.h"
#include "qkv/kernels/recurrent.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/recurrent_cell.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

// The gates hold h·W when the forward passes begin.

/// Where row i of a step stands in everything that its cell reads and writes.
struct CellRow {
  std::int64_t width;
  const float *x, *bias, *h, *c;
  float *gates, *inner, *next_h, *next_c;

  CellRow(const CellForward<float>& a, std::int64_t i) : width(a.width), bias(a.bias) {
    const std::int64_t wide = gates_of(a.cell) * width;
    x = a.x + (a.x_rows ? a.x_rows[i] : i) * wide;
    h = a.h ? a.h + i * width : nullptr;
    c = a.c ? a.c + i * width : nullptr;
    gates = a.gates + i * wide;
    inner = a.inner + i * width;
    next_h = a.next_h + i * width;
    next_c = a.next_c ? a.next_c + i * width : nullptr;
  }
  /// h·W + b of gate g.
  template <class At>
  HWY_INLINE VF product(F d, At at, std::int64_t g, std::int64_t k) const {
    const VF v = at.load(d, gates + g * width + k);
    return bias ? hn::Add(v, at.load(d, bias + g * width + k)) : v;
  }
  template <class At>
  HWY_INLINE VF input(F d, At at, std::int64_t g, std::int64_t k) const {
    return at.load(d, x + g * width + k);
  }
  template <class At>
  HWY_INLINE VF sum(F d, At at, std::int64_t g, std::int64_t k) const {
    return hn::Add(input(d, at, g, k), product(d, at, g, k));
  }
  template <class At>
  HWY_INLINE VF gate(F d, At at, std::int64_t g, std::int64_t k) const {
    return at.load(d, gates + g * width + k);
  }
  template <class At>
  HWY_INLINE void set_gate(F d, At at, std::int64_t g, std::int64_t k, VF v) const {
    at.store(d, v, gates + g * width + k);
  }
  template <class At>
  HWY_INLINE VF before(F d, At at, std::int64_t k) const {
    return h ? at.load(d, h + k) : hn::Zero(d);
  }
  template <class At>
  HWY_INLINE VF cell_before(F d, At at, std::int64_t k) const {
    return c ? at.load(d, c + k) : hn::Zero(d);
  }
};

void GruRows(const CellForward<float>& a, std::int64_t first, std::int64_t last) {
  const F d;
  for (std::int64_t i = first; i < last; ++i) {
    const CellRow row(a, i);
    ForEachVector(d, a.width, [&](std::int64_t k, auto at) {
      const VF r = Sigmoid(d, row.sum(d, at, 0, k));
      const VF z = Sigmoid(d, row.sum(d, at, 1, k));
      const VF inner = row.product(d, at, 2, k);
      const VF n = Tanh(d, hn::MulAdd(r, inner, row.input(d, at, 2, k)));
      row.set_gate(d, at, 0, k, r);
      row.set_gate(d, at, 1, k, z);
      row.set_gate(d, at, 2, k, n);
      at.store(d, inner, row.inner + k);
      at.store(d, hn::MulAdd(z, hn::Sub(row.before(d, at, k), n), n), row.next_h + k);
    });
  }
}

/// Of a gru_reset_before: both gates and r ⊙ h …
void GruGateRows(const CellForward<float>& a, std::int64_t first, std::int64_t last) {
  const F d;
  for (std::int64_t i = first; i < last; ++i) {
    const CellRow row(a, i);
    ForEachVector(d, a.width, [&](std::int64_t k, auto at) {
      const VF r = Sigmoid(d, row.sum(d, at, 0, k));
      row.set_gate(d, at, 0, k, r);
      row.set_gate(d, at, 1, k, Sigmoid(d, row.sum(d, at, 1, k)));
      at.store(d, hn::Mul(r, row.before(d, at, k)), row.inner + k);
    });
  }
}

/// … and, from its product, the rest.
void GruCandidateRows(const CellForward<float>& a, std::int64_t first, std::int64_t last) {
  const F d;
  for (std::int64_t i = first; i < last; ++i) {
    const CellRow row(a, i);
    ForEachVector(d, a.width, [&](std::int64_t k, auto at) {
      const VF n = Tanh(d, row.sum(d, at, 2, k)), z = row.gate(d, at, 1, k);
      row.set_gate(d, at, 2, k, n);
      at.store(d, hn::MulAdd(z, hn::Sub(row.before(d, at, k), n), n), row.next_h + k);
    });
  }
}

void LstmRows(const CellForward<float>& a, std::int64_t first, std::int64_t last) {
  const F d;
  for (std::int64_t i = first; i < last; ++i) {
    const CellRow row(a, i);
    ForEachVector(d, a.width, [&](std::int64_t k, auto at) {
      const VF in = Sigmoid(d, row.sum(d, at, 0, k));
      const VF forget = Sigmoid(d, row.sum(d, at, 1, k));
      const VF g = Tanh(d, row.sum(d, at, 2, k));
      const VF out = Sigmoid(d, row.sum(d, at, 3, k));
      const VF c = hn::MulAdd(forget, row.cell_before(d, at, k), hn::Mul(in, g));
      const VF inner = Tanh(d, c);
      row.set_gate(d, at, 0, k, in);
      row.set_gate(d, at, 1, k, forget);
      row.set_gate(d, at, 2, k, g);
      row.set_gate(d, at, 3, k, out);
      at.store(d, c, row.next_c + k);
      at.store(d, inner, row.inner + k);
      at.store(d, hn::Mul(out, inner), row.next_h + k);
    });
  }
}

HWY_INLINE VF OneMinusSquare(F d, VF x) { return hn::NegMulAdd(x, x, hn::Set(d, 1.0f)); }
/// σ' from σ.
HWY_INLINE VF TimesComplement(VF s) { return hn::NegMulAdd(s, s, s); }

/// Leaves in dh what does not go through h·W, in the gates what does.
void GruBackwardRows(const CellBackward<float>& a, std::int64_t first, std::int64_t last) {
  const F d;
  const std::int64_t w = a.forward.width;
  const bool before = a.forward.cell == Cell::gru_reset_before;
  for (std::int64_t i = first; i < last; ++i) {
    const CellRow row(a.forward, i);
    float* dh = a.dh + i * w;
    float* dx = a.dx + (a.forward.x_rows ? a.forward.x_rows[i] : i) * 3 * w;
    ForEachVector(d, w, [&](std::int64_t k, auto at) {
      const VF r = row.gate(d, at, 0, k), z = row.gate(d, at, 1, k), n = row.gate(d, at, 2, k);
      const VF g = at.load(d, dh + k);
      const VF gz = hn::Mul(g, z);
      const VF dn = hn::Mul(hn::Sub(g, gz), OneMinusSquare(d, n));
      const VF dz = hn::Mul(hn::Mul(g, hn::Sub(row.before(d, at, k), n)), TimesComplement(z));
      at.store(d, gz, dh + k);
      at.store(d, dz, dx + w + k);
      at.store(d, dn, dx + 2 * w + k);
      row.set_gate(d, at, 1, k, dz);
      if (before) {  // r is still needed
        row.set_gate(d, at, 2, k, dn);
      } else {
        const VF dr = hn::Mul(hn::Mul(dn, at.load(d, row.inner + k)), TimesComplement(r));
        at.store(d, dr, dx + k);
        row.set_gate(d, at, 0, k, dr);
        row.set_gate(d, at, 2, k, hn::Mul(dn, r));
      }
    });
  }
}

/// Of a gru_reset_before, with `dinner` the gradient of r ⊙ h.
void GruResetBackwardRows(const CellBackward<float>& a, const float* dinner, std::int64_t first,
                          std::int64_t last) {
  const F d;
  const std::int64_t w = a.forward.width;
  for (std::int64_t i = first; i < last; ++i) {
    const CellRow row(a.forward, i);
    float* dh = a.dh + i * w;
    float* dx = a.dx + (a.forward.x_rows ? a.forward.x_rows[i] : i) * 3 * w;
    ForEachVector(d, w, [&](std::int64_t k, auto at) {
      const VF r = row.gate(d, at, 0, k), g = at.load(d, dinner + i * w + k);
      const VF dr = hn::Mul(hn::Mul(g, row.before(d, at, k)), TimesComplement(r));
      at.store(d, hn::MulAdd(g, r, at.load(d, dh + k)), dh + k);
      at.store(d, dr, dx + k);
      row.set_gate(d, at, 0, k, dr);
    });
  }
}

void LstmBackwardRows(const CellBackward<float>& a, std::int64_t first, std::int64_t last) {
  const F d;
  const std::int64_t w = a.forward.width;
  for (std::int64_t i = first; i < last; ++i) {
    const CellRow row(a.forward, i);
    float *dh = a.dh + i * w, *dc = a.dc + i * w;
    float* dx = a.dx + (a.forward.x_rows ? a.forward.x_rows[i] : i) * 4 * w;
    ForEachVector(d, w, [&](std::int64_t k, auto at) {
      const VF in = row.gate(d, at, 0, k), forget = row.gate(d, at, 1, k);
      const VF g = row.gate(d, at, 2, k), out = row.gate(d, at, 3, k);
      const VF inner = at.load(d, row.inner + k), dnext = at.load(d, dh + k);
      const VF all = hn::MulAdd(hn::Mul(dnext, out), OneMinusSquare(d, inner), at.load(d, dc + k));
      const auto set = [&](std::int64_t gate, VF v) {
        row.set_gate(d, at, gate, k, v);
        at.store(d, v, dx + gate * w + k);
      };
      set(0, hn::Mul(hn::Mul(all, g), TimesComplement(in)));
      set(1, hn::Mul(hn::Mul(all, row.cell_before(d, at, k)), TimesComplement(forget)));
      set(2, hn::Mul(hn::Mul(all, in), OneMinusSquare(d, g)));
      set(3, hn::Mul(hn::Mul(dnext, inner), TimesComplement(out)));
      at.store(d, hn::Mul(all, forget), dc + k);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(GruRows);
HWY_EXPORT(GruGateRows);
HWY_EXPORT(GruCandidateRows);
HWY_EXPORT(LstmRows);
HWY_EXPORT(GruBackwardRows);
HWY_EXPORT(GruResetBackwardRows);
HWY_EXPORT(LstmBackwardRows);

namespace {

template <class Rows>
void over_rows(std::int64_t rows, std::int64_t width, Rows&& run) {
  // 4096 elements take about ten microseconds, enough to be worth another thread.
  parallel_for(rows, std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(1, width)),
               std::forward<Rows>(run));
}

/// gates[:, from:to] = v·W[:, from:to], or zeros without v.
void product(const CellForward<float>& a, const float* v, std::int64_t from, std::int64_t to) {
  const std::int64_t wide = gates_of(a.cell) * a.width;
  if (v) {
    return gemm_nn(a.rows, to - from, a.width, v, a.width, a.weight + from, wide, 0.0f,
                   a.gates + from, wide);
  }
  for (std::int64_t i = 0; i < a.rows; ++i) std::fill_n(a.gates + i * wide + from, to - from, 0.0f);
}

/// y = gates[:, from:to]·Wᵀ[from:to, :] + beta·y
void product_back(const CellBackward<float>& a, std::int64_t from, std::int64_t to, float beta,
                  float* y) {
  const std::int64_t w = a.forward.width, wide = gates_of(a.forward.cell) * w;
  gemm_nn(a.forward.rows, w, to - from, a.forward.gates + from, wide, a.weight_t + from * w, w,
          beta, y, w);
}

}  // namespace

void cell_forward(const CellForward<float>& a) {
  const std::int64_t w = a.width;
  const auto run = [&](auto rows) {
    over_rows(a.rows, w, [&](std::int64_t first, std::int64_t last) { rows(a, first, last); });
  };
  if (a.cell != Cell::gru_reset_before) {
    product(a, a.h, 0, gates_of(a.cell) * w);
    return run(a.cell == Cell::lstm ? HWY_DYNAMIC_DISPATCH(LstmRows)
                                    : HWY_DYNAMIC_DISPATCH(GruRows));
  }
  product(a, a.h, 0, 2 * w);
  run(HWY_DYNAMIC_DISPATCH(GruGateRows));
  product(a, a.h ? a.inner : nullptr, 2 * w, 3 * w);
  run(HWY_DYNAMIC_DISPATCH(GruCandidateRows));
}

void cell_backward(const CellBackward<float>& a) {
  const std::int64_t rows = a.forward.rows, w = a.forward.width;
  const auto run = [&](auto&& f) { over_rows(rows, w, f); };
  if (a.forward.cell == Cell::lstm) {
    const auto f = HWY_DYNAMIC_DISPATCH(LstmBackwardRows);
    run([&](std::int64_t first, std::int64_t last) { f(a, first, last); });
    return product_back(a, 0, 4 * w, 0.0f, a.dh);
  }
  const auto f = HWY_DYNAMIC_DISPATCH(GruBackwardRows);
  run([&](std::int64_t first, std::int64_t last) { f(a, first, last); });
  if (a.forward.cell == Cell::gru) return product_back(a, 0, 3 * w, 1.0f, a.dh);
  const auto dinner = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(rows * w));
  product_back(a, 2 * w, 3 * w, 0.0f, dinner.get());
  const auto reset = HWY_DYNAMIC_DISPATCH(GruResetBackwardRows);
  run([&](std::int64_t first, std::int64_t last) { reset(a, dinner.get(), first, last); });
  product_back(a, 0, 2 * w, 1.0f, a.dh);
}

}  // namespace qkv::kernels
#endif
