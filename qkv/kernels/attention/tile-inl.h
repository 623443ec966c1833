// The building blocks of the attention tiles: packing, a register-blocked product whose left side
// is read as scalars, and 2^x. Compiled once per instruction set; included from dispatched sources
// only.
//
// Every element of a product is one chain of fused multiply-adds over k in order, whatever the
// blocking: results do not depend on where in a tile a row stands.
#if defined(QKV_KERNELS_ATTENTION_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_ATTENTION_TILE_INL_H_
#undef QKV_KERNELS_ATTENTION_TILE_INL_H_
#else
#define QKV_KERNELS_ATTENTION_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <utility>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "qkv/base/random.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using I = hn::ScalableTag<std::int32_t>;
using U = hn::ScalableTag<std::uint32_t>;
using VF = hn::Vec<F>;

/// Floats per vector.
HWY_INLINE std::int64_t Lanes() { return static_cast<std::int64_t>(hn::Lanes(F())); }

/// 2^x for x <= 127; exactly 0 from −127 down, exactly 1 at 0; NaN stays NaN. Degree 6, fitted with
/// p(0) = 1 on [−½, ½]: relative error 2.6e-9 before rounding.
HWY_INLINE VF Exp2(VF x) {
  const F d;
  const VF low = hn::Set(d, -127.0f);
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  x = hn::Max(low, x);  // gives its second argument when one is NaN
#else
  x = hn::IfThenElse(hn::Lt(x, low), low, x);  // Max may swallow a NaN
#endif
  // Adding 1.5·2²³ rounds to an integer; the extra 127 leaves the biased exponent in the low bits.
  const VF magic = hn::Set(d, 12582912.0f + 127.0f);
  const VF shifted = hn::Add(x, magic);
  const VF f = hn::Sub(x, hn::Sub(shifted, magic));
  VF p = hn::Set(d, 1.559467759019341e-4f);
  p = hn::MulAdd(p, f, hn::Set(d, 1.3406643905960619e-3f));
  p = hn::MulAdd(p, f, hn::Set(d, 9.617692974747866e-3f));
  p = hn::MulAdd(p, f, hn::Set(d, 5.5503105509928145e-2f));
  p = hn::MulAdd(p, f, hn::Set(d, 2.4022652782877177e-1f));
  p = hn::MulAdd(p, f, hn::Set(d, 6.931472149680414e-1f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  return hn::Mul(p, hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(U(), shifted))));
}

// ---- products ----

template <class Visit, int... I>
HWY_INLINE void RepeatEach(std::integer_sequence<int, I...>, Visit&& visit) {
  (visit(std::integral_constant<int, I>()), ...);
}
/// visit(0) .. visit(N − 1), each with a constant: arrays indexed by it live in registers.
template <int N, class Visit>
HWY_INLINE void Repeat(Visit&& visit) {
  RepeatEach(std::make_integer_sequence<int, N>(), visit);
}

/// c[m n] (+)= Σ_k A(m, k)·b[k n] for an M × (N vectors) block. A(m, k) = a[m·lda + k], or a[k·lda
/// + m] when kTransposed. Accumulators stay in registers; the M scalars come by broadcast loads.
template <bool kTransposed, int M, int N>
void Block(std::int64_t depth, const float* HWY_RESTRICT a, std::int64_t lda,
           const float* HWY_RESTRICT b, std::int64_t ldb, float* HWY_RESTRICT c, std::int64_t ldc,
           bool accumulate) {
  const F d;
  const std::int64_t lanes = Lanes();
  VF sum[M * N];
  if (accumulate) {
    Repeat<M * N>([&](auto i) HWY_ATTR { sum[i] = hn::Load(d, c + i / N * ldc + i % N * lanes); });
  } else {
    Repeat<M * N>([&](auto i) HWY_ATTR { sum[i] = hn::Zero(d); });
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    VF right[N];
    Repeat<N>([&](auto n) HWY_ATTR { right[n] = hn::LoadU(d, b + k * ldb + n * lanes); });
    Repeat<M>([&](auto m) HWY_ATTR {
      const VF left = hn::Set(d, kTransposed ? a[k * lda + m] : a[m * lda + k]);
      Repeat<N>([&](auto n)
                    HWY_ATTR { sum[m * N + n] = hn::MulAdd(left, right[n], sum[m * N + n]); });
    });
  }
  Repeat<M * N>([&](auto i) HWY_ATTR { hn::Store(sum[i], d, c + i / N * ldc + i % N * lanes); });
}

/// The same for one row, leaving out every k with A(m, k) = 0: the result when some b[k] that a
/// mask hides holds NaN or infinity, with unchanged bits otherwise.
template <bool kTransposed>
void GuardedRow(std::int64_t depth, const float* a, std::int64_t lda, const float* b,
                std::int64_t ldb, float* c, std::int64_t vectors, bool accumulate) {
  const F d;
  for (std::int64_t n = 0; n < vectors * Lanes(); n += Lanes()) {
    VF sum = accumulate ? hn::Load(d, c + n) : hn::Zero(d);
    for (std::int64_t k = 0; k < depth; ++k) {
      const float left = a[kTransposed ? k * lda : k];
      if (left != 0.0f) sum = hn::MulAdd(hn::Set(d, left), hn::LoadU(d, b + k * ldb + n), sum);
    }
    hn::Store(sum, d, c + n);
  }
}

using BlockFunction = void (*)(std::int64_t, const float*, std::int64_t, const float*, std::int64_t,
                               float*, std::int64_t, bool);

/// Rows of a block for N vectors: up to 24 accumulators of 32 registers, 12 of 16. With one FMA and
/// one or two loads a cycle any block with M·N >= 8 and N + M <= M·N keeps the FMA unit busy.
#if HWY_TARGET <= HWY_AVX3
inline constexpr int kBlockRows[5] = {0, 12, 12, 8, 6};
#else
inline constexpr int kBlockRows[5] = {0, 8, 5, 3, 2};
#endif

template <bool kTransposed, int N>
BlockFunction BlockFor(std::int64_t rows) {
  switch (rows) {
    case 1:
      return &Block<kTransposed, 1, N>;
    case 2:
      return &Block<kTransposed, 2, N>;
    case 3:
      return &Block<kTransposed, std::min(3, kBlockRows[N]), N>;
    case 4:
      return &Block<kTransposed, std::min(4, kBlockRows[N]), N>;
    case 5:
      return &Block<kTransposed, std::min(5, kBlockRows[N]), N>;
    case 6:
      return &Block<kTransposed, std::min(6, kBlockRows[N]), N>;
    case 7:
      return &Block<kTransposed, std::min(7, kBlockRows[N]), N>;
    case 8:
      return &Block<kTransposed, std::min(8, kBlockRows[N]), N>;
    case 9:
      return &Block<kTransposed, std::min(9, kBlockRows[N]), N>;
    case 10:
      return &Block<kTransposed, std::min(10, kBlockRows[N]), N>;
    case 11:
      return &Block<kTransposed, std::min(11, kBlockRows[N]), N>;
    default:
      return &Block<kTransposed, std::min(12, kBlockRows[N]), N>;
  }
}

/// c[rows, vectors] (+)= A · b over depth; rows of b and c are whole vectors, those of c aligned.
template <bool kTransposed>
void Product(bool guarded, std::int64_t rows, std::int64_t vectors, std::int64_t depth,
             const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
             std::int64_t ldc, bool accumulate) {
  const std::int64_t a_row = kTransposed ? 1 : lda;
  if (HWY_UNLIKELY(guarded)) {
    for (std::int64_t m = 0; m < rows; ++m) {
      GuardedRow<kTransposed>(depth, a + m * a_row, lda, b, ldb, c + m * ldc, vectors, accumulate);
    }
    return;
  }
  const std::int64_t wide = (vectors + 3) / 4;  // column blocks, of nearly equal width
  for (std::int64_t w = 0, n = 0; w < wide; ++w) {
    const std::int64_t width = (vectors - n + wide - w - 1) / (wide - w);
    const std::int64_t most = kBlockRows[width], blocks = (rows + most - 1) / most;
    for (std::int64_t i = 0, m = 0; i < blocks; ++i) {
      const std::int64_t height = (rows - m + blocks - i - 1) / (blocks - i);
      const BlockFunction f = width == 1   ? BlockFor<kTransposed, 1>(height)
                              : width == 2 ? BlockFor<kTransposed, 2>(height)
                              : width == 3 ? BlockFor<kTransposed, 3>(height)
                                           : BlockFor<kTransposed, 4>(height);
      f(depth, a + m * a_row, lda, b + n * Lanes(), ldb, c + m * ldc + n * Lanes(), ldc,
        accumulate);
      m += height;
    }
    n += width;
  }
}

// ---- packing ----

/// to[r, padded] = from[r·stride .. + dim], zeros behind.
HWY_INLINE void PackRows(std::int64_t rows, std::int64_t dim, const float* from,
                         std::int64_t stride, float* to, std::int64_t padded) {
  const F d;
  const std::int64_t whole = dim / Lanes() * Lanes();
  for (std::int64_t r = 0; r < rows; ++r, from += stride, to += padded) {
    for (std::int64_t i = 0; i < whole; i += Lanes()) {
      hn::Store(hn::LoadU(d, from + i), d, to + i);
    }
    for (std::int64_t i = whole; i < dim; ++i) to[i] = from[i];
    for (std::int64_t i = dim; i < padded; ++i) to[i] = 0.0f;
  }
}

#if HWY_TARGET != HWY_SCALAR
/// Four floats each of rows 0, 4, 8, ... (as many as a vector holds) below `from`, in the blocks of
/// a vector; rows from `left` on give zeros.
HWY_INLINE VF EveryFourthRow(const float* from, std::int64_t stride, std::int64_t left) {
  const F d;
  VF x = hn::Zero(d);
  if (left > 0) x = hn::LoadDup128(d, from);
  for (std::int64_t block = 1; block < Lanes() / 4; ++block) {
    const auto here = hn::RebindMask(d, hn::Eq(hn::ShiftRight<2>(hn::Iota(I(), 0)),
                                               hn::Set(I(), static_cast<std::int32_t>(block))));
    const VF next = left > 4 * block ? hn::LoadDup128(d, from + 4 * block * stride) : hn::Zero(d);
    x = hn::IfThenElse(here, next, x);
  }
  return x;
}

/// Columns 0 .. 3 of as many rows as a vector has lanes, by 4×4 blocks; rows from `left` on are
/// zeros.
HWY_INLINE void FourColumns(const float* from, std::int64_t stride, std::int64_t left,
                            VF (&column)[4]) {
  const F d;
  const VF r0 = EveryFourthRow(from, stride, left);
  const VF r1 = EveryFourthRow(from + stride, stride, left - 1);
  const VF r2 = EveryFourthRow(from + 2 * stride, stride, left - 2);
  const VF r3 = EveryFourthRow(from + 3 * stride, stride, left - 3);
  const VF even = hn::InterleaveLower(d, r0, r2), odd = hn::InterleaveLower(d, r1, r3);
  const VF even2 = hn::InterleaveUpper(d, r0, r2), odd2 = hn::InterleaveUpper(d, r1, r3);
  column[0] = hn::InterleaveLower(d, even, odd);
  column[1] = hn::InterleaveUpper(d, even, odd);
  column[2] = hn::InterleaveLower(d, even2, odd2);
  column[3] = hn::InterleaveUpper(d, even2, odd2);
}
#endif

/// to[c, width] = factor · from[r·stride + c]ᵀ; columns rows .. width are zeros. As many rows as a
/// vector has lanes at a time, by 4×4 blocks.
HWY_INLINE void PackTransposed(std::int64_t rows, std::int64_t dim, const float* from,
                               std::int64_t stride, float factor, float* to, std::int64_t width) {
  std::int64_t blocks = 0;  // columns of `from` done by blocks
#if HWY_TARGET != HWY_SCALAR
  blocks = dim / 4 * 4;
  const F d;
  const VF scale = hn::Set(d, factor);
  for (std::int64_t r = 0; r < width; r += Lanes()) {
    const float* row = from + r * stride;
    const std::int64_t left = rows - r;
    for (std::int64_t c = 0; c < blocks; c += 4) {
      VF column[4];
      FourColumns(row + c, stride, left, column);
      float* out = to + c * width + r;
      for (int i = 0; i < 4; ++i) hn::Store(hn::Mul(scale, column[i]), d, out + i * width);
    }
  }
#endif
  for (std::int64_t c = blocks; c < dim; ++c) {
    for (std::int64_t r = 0; r < width; ++r) {
      to[c * width + r] = r < rows ? factor * from[r * stride + c] : 0.0f;
    }
  }
}

/// to = factor · from for `dim` floats at an unaligned address; true while all are finite.
HWY_INLINE bool Unpack(std::int64_t dim, const float* from, float factor, float* to) {
  const F d;
  const VF scale = hn::Set(d, factor);
  VF zero = hn::Zero(d);  // stays 0 until a NaN or infinity passes
  const std::int64_t whole = dim / Lanes() * Lanes();
  for (std::int64_t i = 0; i < whole; i += Lanes()) {
    const VF x = hn::Mul(scale, hn::Load(d, from + i));
    zero = hn::MulAdd(x, hn::Zero(d), zero);
    hn::StoreU(x, d, to + i);
  }
  float rest = 0.0f;
  for (std::int64_t i = whole; i < dim; ++i) {
    to[i] = factor * from[i];
    rest += 0.0f * to[i];
  }
  return hn::AllTrue(d, hn::Eq(zero, hn::Zero(d))) && rest == 0.0f;
}

/// Draws of keys 2j and 2j + 1 (low and high 16 bits) for one row per lane: dropout_draw with the
/// keys of attend_dropout.
HWY_INLINE hn::Vec<U> Draws(std::int64_t pair, hn::Vec<U> key0, hn::Vec<U> key1) {
  const U u;
  const auto c1 = hn::Set(u, 0x7feb352dU), c2 = hn::Set(u, 0x846ca68bU);
  auto x = hn::Xor(hn::Set(u, static_cast<std::uint32_t>(pair)), key0);
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<16>(x)), c1);
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), c2);
  x = hn::Add(hn::Xor(x, hn::ShiftRight<16>(x)), key1);
  x = hn::Mul(x, c1);
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), c2);
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
