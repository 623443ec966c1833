#include "qkv/kernels/loss.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/loss.cc"
#include "qkv/kernels/targets.h"
// foreach_target re-includes this file for every target, so it comes before the rest.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

template <class At = Whole>
HWY_INLINE VF Biased(F d, const float* z, const float* bias, std::int64_t i, At at = {}) {
  const VF v = at.load(d, z + i);
  return bias ? hn::Add(v, at.load(d, bias + i)) : v;
}

constexpr float kLowest = -std::numeric_limits<float>::infinity();

/// The largest z + bias.
float MaxOf(std::int64_t n, const float* z, const float* bias) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  VF m0 = hn::Set(d, kLowest), m1 = m0, m2 = m0, m3 = m0;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    m0 = hn::Max(m0, Biased(d, z, bias, i));
    m1 = hn::Max(m1, Biased(d, z, bias, i + lanes));
    m2 = hn::Max(m2, Biased(d, z, bias, i + 2 * lanes));
    m3 = hn::Max(m3, Biased(d, z, bias, i + 3 * lanes));
  }
  ForEachVector(d, n - i, [&](std::int64_t k, auto at) {
    m0 = hn::Max(m0, at.keep(d, Biased(d, z, bias, i + k, at), kLowest));
  });
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(m0, m1), hn::Max(m2, m3))));
}

/// e[i] = exp(z[i] + bias[i] − m), unless e is null; returns Σ e, and in *shifted Σ (z + bias − m).
/// Summed in blocks, so that the rounding of a long row does not add up.
float ExpSum(std::int64_t n, const float* z, const float* bias, float m, float* e, float* shifted) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t block = 32 * lanes;
  const VF vm = hn::Set(d, m);
  VF total = hn::Zero(d), total_x = hn::Zero(d);
  std::int64_t i = 0;
  while (i + 2 * lanes <= n) {
    const std::int64_t end = std::min(n, i + block);
    VF s0 = hn::Zero(d), s1 = hn::Zero(d), x0 = hn::Zero(d), x1 = hn::Zero(d);
    for (; i + 2 * lanes <= end; i += 2 * lanes) {
      const VF a = hn::Sub(Biased(d, z, bias, i), vm);
      const VF b = hn::Sub(Biased(d, z, bias, i + lanes), vm);
      const VF ea = ExpNonPositive(d, a), eb = ExpNonPositive(d, b);
      if (e) {
        hn::StoreU(ea, d, e + i);
        hn::StoreU(eb, d, e + i + lanes);
      }
      s0 = hn::Add(s0, ea);
      s1 = hn::Add(s1, eb);
      x0 = hn::Add(x0, a);
      x1 = hn::Add(x1, b);
    }
    total = hn::Add(total, hn::Add(s0, s1));
    total_x = hn::Add(total_x, hn::Add(x0, x1));
  }
  ForEachVector(d, n - i, [&](std::int64_t k, auto at) {
    const VF a = hn::Sub(Biased(d, z, bias, i + k, at), vm);
    const VF ea = ExpNonPositive(d, a);
    if (e) at.store(d, ea, e + i + k);
    total = hn::Add(total, at.keep(d, ea));
    total_x = hn::Add(total_x, at.keep(d, a));
  });
  *shifted = hn::GetLane(hn::SumOfLanes(d, total_x));
  return hn::GetLane(hn::SumOfLanes(d, total));
}

/// x = x·a − b
void ScaleShift(std::int64_t n, float a, float b, float* x) {
  const F d;
  const VF va = hn::Set(d, a), vb = hn::Set(d, b);
  ForEachVector(d, n, [&](std::int64_t i, auto at) {
    at.store(d, hn::MulSub(at.load(d, x + i), va, vb), x + i);
  });
}

/// The k largest so far, best first; of equals the one that came first stands first. Places not
/// filled hold id −1 and −∞.
class Best {
 public:
  Best(int k, std::int32_t* ids, float* values) : k_(k), ids_(ids), values_(values) {
    std::fill_n(ids, k, -1);
    std::fill_n(values, k, kLowest);
  }
  /// Only larger values can enter.
  float threshold() const { return values_[k_ - 1]; }
  void add(std::int64_t id, float value) {
    int place = k_ - 1;
    for (; place > 0 && values_[place - 1] < value; --place) {
      values_[place] = values_[place - 1];
      ids_[place] = ids_[place - 1];
    }
    values_[place] = value;
    ids_[place] = static_cast<std::int32_t>(id);
  }

 private:
  int k_;
  std::int32_t* ids_;
  float* values_;
};

/// Calls found(i, value) for the elements of [begin, end) above floor() in order; found may raise
/// it.
template <class Floor, class Found>
HWY_INLINE void ScanAbove(std::int64_t begin, std::int64_t end, const float* z, const float* bias,
                          Floor&& floor, Found&& found) {
  const F d;
  ForEachVector(d, end - begin, [&](std::int64_t k, auto at) {
    const std::int64_t i = begin + k;
    const VF v = at.keep(d, Biased(d, z, bias, i, at), kLowest);
    const auto above = hn::Gt(v, hn::Set(d, floor()));
    if (hn::AllFalse(d, above)) return;
    std::array<std::uint8_t, 8> bits{};  // a bit a lane, at most 64 lanes
    hn::StoreMaskBits(d, above, bits.data());
    HWY_ALIGN float lane[HWY_MAX_BYTES / sizeof(float)];
    hn::Store(v, d, lane);
    for (std::int64_t b = 0; b < 8; ++b) {
      for (unsigned rest = bits[static_cast<std::size_t>(b)]; rest != 0; rest &= rest - 1) {
        const std::int64_t j = 8 * b + std::countr_zero(rest);
        if (lane[j] > floor()) found(i + j, lane[j]);
      }
    }
  });
}

/// The k best that are not suppressed; returns the largest of all. `scratch` is for this call.
///
/// One pass takes maxima over groups (a lane of a block of 16 vectors is a group). With s
/// suppressed ids, the (k + s)-th largest of these maxima bounds the k-th best element from below,
/// so only the few blocks that reach it are looked at again.
float TopK(std::int64_t n, const float* z, const float* bias, int k, const std::int32_t* suppressed,
           int suppressed_count, std::int32_t* ids, float* values, std::vector<float>& scratch,
           std::vector<std::int32_t>& scratch_ids) {
  const F d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t block = 16 * lanes, blocks = (n + block - 1) / block;
  const int needed = k + suppressed_count;
  scratch.resize(static_cast<std::size_t>(blocks * lanes + needed));
  scratch_ids.resize(static_cast<std::size_t>(needed));
  float* maxima = scratch.data();
  VF largest = hn::Set(d, kLowest);
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t end = std::min(n, (b + 1) * block);
    std::int64_t i = b * block;
    VF m0 = hn::Set(d, kLowest), m1 = m0;
    for (; i + 2 * lanes <= end; i += 2 * lanes) {
      m0 = hn::Max(m0, Biased(d, z, bias, i));
      m1 = hn::Max(m1, Biased(d, z, bias, i + lanes));
    }
    ForEachVector(d, end - i, [&](std::int64_t j, auto at) {
      m0 = hn::Max(m0, at.keep(d, Biased(d, z, bias, i + j, at), kLowest));
    });
    m0 = hn::Max(m0, m1);
    hn::StoreU(m0, d, maxima + b * lanes);
    largest = hn::Max(largest, m0);
  }
  Best of_groups(needed, scratch_ids.data(), maxima + blocks * lanes);
  ScanAbove(
      0, blocks * lanes, maxima, nullptr, [&] { return of_groups.threshold(); },
      [&](std::int64_t i, float x) { of_groups.add(i, x); });
  const float bound = of_groups.threshold();
  const float below = std::nextafter(bound, kLowest);

  Best best(k, ids, values);
  for (std::int64_t b = 0; b < blocks; ++b) {
    const VF reached = hn::LoadU(d, maxima + b * lanes);
    if (hn::AllFalse(d, hn::Ge(reached, hn::Set(d, bound)))) continue;
    ScanAbove(
        b * block, std::min(n, (b + 1) * block), z, bias,
        [&] { return std::max(below, best.threshold()); },
        [&](std::int64_t i, float x) {
          if (std::find(suppressed, suppressed + suppressed_count, i) ==
              suppressed + suppressed_count) {
            best.add(i, x);
          }
        });
  }
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {

HWY_EXPORT(ExpSum);
HWY_EXPORT(ScaleShift);
HWY_EXPORT(TopK);
HWY_EXPORT(MaxOf);

namespace {

// Rows at once: about 40,000 logits, some 10 µs.
std::int64_t rows_a_piece(std::int64_t vocabulary) {
  return std::max<std::int64_t>(1, 40'000 / std::max<std::int64_t>(1, vocabulary));
}

/// The smoothed target: `on` for the right class, `off` for the others.
struct Target {
  double on, off;
};

Target target_of(double smoothing, Smoothing form, std::int64_t vocabulary) {
  const auto v = static_cast<double>(vocabulary);
  if (form == Smoothing::uniform)
    return {.on = 1.0 - smoothing + smoothing / v, .off = smoothing / v};
  return {.on = 1.0 - smoothing, .off = vocabulary > 1 ? smoothing / (v - 1.0) : 0.0};
}

/// Σ q_v·(−log p_v) = on·nll + off·((V − 1)·lse − (Σz − z_y)), with z and lse less the row's
/// maximum: sums of large logits would lose digits.
double smoothed_loss(const Target& q, std::int64_t vocabulary, double lse, double target,
                     double total) {
  return q.on * (lse - target) +
         q.off * (static_cast<double>(vocabulary - 1) * lse - (total - target));
}

template <class T>
void ignore_row(const CrossEntropy<T>& a, std::int64_t r) {
  a.loss[r] = a.nll[r] = 0;
  if (a.correct) a.correct[r] = 0;
  if (a.gradient_scale != 0) std::fill_n(a.logits + r * a.vocabulary, a.vocabulary, T(0));
}

}  // namespace

namespace definition {

template <class T>
void cross_entropy(const CrossEntropy<T>& a) {
  const Target q = target_of(a.smoothing, a.form, a.vocabulary);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    if (a.targets[r] == a.ignore) {
      ignore_row(a, r);
      continue;
    }
    T* row = a.logits + r * a.vocabulary;
    const auto z = [&](std::int64_t v) { return a.bias ? row[v] + a.bias[v] : row[v]; };
    T largest = -std::numeric_limits<T>::infinity(), total = 0, sum = 0;
    for (std::int64_t v = 0; v < a.vocabulary; ++v) largest = std::max(largest, z(v));
    for (std::int64_t v = 0; v < a.vocabulary; ++v) {
      total += z(v) - largest;
      sum += std::exp(z(v) - largest);
    }
    const T lse = std::log(sum), right = z(a.targets[r]) - largest;
    a.nll[r] = std::isfinite(total) ? lse - right : std::numeric_limits<T>::quiet_NaN();
    a.loss[r] =
        std::isfinite(total)
            ? static_cast<T>(smoothed_loss(q, a.vocabulary, static_cast<double>(lse),
                                           static_cast<double>(right), static_cast<double>(total)))
            : a.nll[r];
    if (a.correct) a.correct[r] = right >= 0 ? 1 : 0;
    if (a.gradient_scale == 0) continue;
    for (std::int64_t v = 0; v < a.vocabulary; ++v) {
      const T wanted = static_cast<T>(v == a.targets[r] ? q.on : q.off);
      row[v] = static_cast<T>(a.gradient_scale) * (std::exp(z(v) - largest) / sum - wanted);
    }
  }
}
template void cross_entropy(const CrossEntropy<float>&);
template void cross_entropy(const CrossEntropy<double>&);

}  // namespace definition

void cross_entropy(const CrossEntropy<float>& a) {
  const Target q = target_of(a.smoothing, a.form, a.vocabulary);
  const auto max_of = HWY_DYNAMIC_DISPATCH(MaxOf);
  const auto exp_sum = HWY_DYNAMIC_DISPATCH(ExpSum);
  const auto scale_shift = HWY_DYNAMIC_DISPATCH(ScaleShift);
  const bool differentiate = a.gradient_scale != 0;
  const auto scale = static_cast<float>(a.gradient_scale);
  // Three passes over a row that fits L2: maximum; exponentials, kept in place, and their sum; the
  // gradient from the exponentials. The second does nearly all of the work.
  parallel_for(a.rows, rows_a_piece(a.vocabulary), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const std::int32_t y = a.targets[r];
      if (y == a.ignore) {
        ignore_row(a, r);
        continue;
      }
      float* z = a.logits + r * a.vocabulary;
      const float largest = max_of(a.vocabulary, z, a.bias);
      const float right = (a.bias ? z[y] + a.bias[y] : z[y]) - largest;
      float total = 0;
      const float sum =
          exp_sum(a.vocabulary, z, a.bias, largest, differentiate ? z : nullptr, &total);
      const float lse = std::log(sum);
      // A logit that is not finite shows in the total, a −∞ that the exponential hides as well.
      const bool finite = std::isfinite(total);
      a.nll[r] = finite ? lse - right : std::numeric_limits<float>::quiet_NaN();
      a.loss[r] = finite ? static_cast<float>(smoothed_loss(
                               q, a.vocabulary, static_cast<double>(lse),
                               static_cast<double>(right), static_cast<double>(total)))
                         : a.nll[r];
      if (a.correct) a.correct[r] = right >= 0 ? 1 : 0;
      if (!differentiate) continue;
      const float at_target = scale * (z[y] / sum - static_cast<float>(q.on));
      scale_shift(a.vocabulary, scale / sum, scale * static_cast<float>(q.off), z);
      z[y] = at_target;
    }
  });
}

void log_softmax_top_k(std::int64_t rows, std::int64_t vocabulary, const float* logits,
                       const float* bias, int k, const std::int32_t* suppressed,
                       int suppressed_count, std::int32_t* ids, float* scores) {
  if (k <= 0) return;
  const auto top_k = HWY_DYNAMIC_DISPATCH(TopK);
  const auto exp_sum = HWY_DYNAMIC_DISPATCH(ExpSum);
  const auto piece = rows_a_piece(vocabulary);
  parallel_for(rows, piece, [&](std::int64_t first, std::int64_t last) {
    thread_local std::vector<float> scratch;
    thread_local std::vector<std::int32_t> scratch_ids;
    for (std::int64_t r = first; r < last; ++r) {
      const float* z = logits + r * vocabulary;
      float* score = scores + r * k;
      const float largest = top_k(vocabulary, z, bias, k, suppressed, suppressed_count, ids + r * k,
                                  score, scratch, scratch_ids);
      float total = 0;
      const float lse = std::log(exp_sum(vocabulary, z, bias, largest, nullptr, &total));
      // First less the maximum: lse + largest would round away digits of far logits.
      for (int i = 0; i < k; ++i) score[i] = (score[i] - largest) - lse;
    }
  });
}

void log_softmax_at(std::int64_t rows, std::int64_t vocabulary, const float* logits,
                    const float* bias, const std::int32_t* ids, float* scores) {
  const auto max_of = HWY_DYNAMIC_DISPATCH(MaxOf);
  const auto exp_sum = HWY_DYNAMIC_DISPATCH(ExpSum);
  parallel_for(rows, rows_a_piece(vocabulary), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const float* z = logits + r * vocabulary;
      const float largest = max_of(vocabulary, z, bias);
      float total = 0;
      const float lse = std::log(exp_sum(vocabulary, z, bias, largest, nullptr, &total));
      scores[r] = ((bias ? z[ids[r]] + bias[ids[r]] : z[ids[r]]) - largest) - lse;
    }
  });
}

}  // namespace qkv::kernels
#endif
