// What the tests of kernels share: guarded buffers at odd addresses, every instruction set, several
// thread counts.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "qkv/base/parallel.h"
#include "qkv/base/random.h"

namespace qkv::kernels {

/// Sizes around the vector widths (1, 8, 16 lanes), their doubles and a few larger ones.
inline const std::vector<std::int64_t> kSizes = {1, 3, 7, 15, 16, 17, 31, 33, 64, 127, 1000};

/// n elements that begin at an address not aligned to a vector, with NaN before and after: a read
/// outside poisons the result, a write outside is found by `intact()`.
template <class T>
class Guarded {
 public:
  static constexpr std::int64_t kGuard = 40;

  explicit Guarded(std::int64_t n, T value = T(0), std::int64_t offset = 1)
      : size_(n),
        offset_(kGuard + offset),
        memory_(static_cast<std::size_t>(n + 2 * kGuard + offset), poison()) {
    for (std::int64_t i = 0; i < n; ++i) (*this)[i] = value;
  }
  template <class Other>
  explicit Guarded(const std::vector<Other>& values, std::int64_t offset = 1)
      : Guarded(static_cast<std::int64_t>(values.size()), T(0), offset) {
    for (std::int64_t i = 0; i < size_; ++i) {
      (*this)[i] = static_cast<T>(values[static_cast<std::size_t>(i)]);
    }
  }

  T* data() { return memory_.data() + offset_; }
  const T* data() const { return memory_.data() + offset_; }
  T& operator[](std::int64_t i) { return memory_[static_cast<std::size_t>(offset_ + i)]; }
  T operator[](std::int64_t i) const { return memory_[static_cast<std::size_t>(offset_ + i)]; }
  std::int64_t size() const { return size_; }
  std::vector<T> values() const { return {data(), data() + size_}; }
  bool intact() const {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      const auto k = static_cast<std::int64_t>(i);
      if ((k < offset_ || k >= offset_ + size_) && !std::isnan(memory_[i])) return false;
    }
    return true;
  }

 private:
  static T poison() { return std::numeric_limits<T>::quiet_NaN(); }
  std::int64_t size_, offset_;
  std::vector<T> memory_;
};

inline std::vector<double> normals(std::int64_t n, std::uint64_t key, double scale = 1.0) {
  Philox random(key_of(key, n));
  std::vector<double> x(static_cast<std::size_t>(n));
  // Through float, so that the float and the double computation start from the same numbers.
  for (double& v : x) v = static_cast<double>(static_cast<float>(scale * random.normal()));
  return x;
}

/// f() on every instruction set this machine has and the kernels are compiled for.
template <class F>
void on_every_target(F&& f) {
  constexpr std::int64_t kBaseline = HWY_SCALAR | HWY_EMU128;  // whichever the compiler has
  struct Restore {
    ~Restore() {
      hwy::SetSupportedTargetsForTest(0);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
  } restore;
  for (const std::int64_t target : {std::int64_t{HWY_AVX3}, std::int64_t{HWY_AVX2}, kBaseline}) {
    hwy::SetSupportedTargetsForTest(0);
    if (target != kBaseline && (hwy::SupportedTargets() & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    SCOPED_TRACE(target == kBaseline ? "baseline" : hwy::TargetName(target));
    f();
  }
}

/// f() with `count` threads; the previous number comes back even when f throws.
template <class F>
auto with_threads(int count, F&& f) {
  struct Restore {
    int before = threads();
    ~Restore() { set_threads(before); }
  } restore;
  set_threads(count);
  return f();
}

template <class T>
::testing::AssertionResult same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " ≠ " << b.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      return ::testing::AssertionFailure() << "at " << i << ": " << a[i] << " ≠ " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

/// run() gives its results as one vector; they must not depend on the number of threads.
template <class Run>
std::vector<float> for_any_threads(Run&& run) {
  const std::vector<float> one = with_threads(1, run);
  EXPECT_TRUE(same_bits(one, with_threads(2, run)));
  return one;
}

/// |a − b| ≤ tolerance·(1 + |b|) everywhere; NaN agrees with NaN, infinities with themselves.
template <class A, class B>
::testing::AssertionResult close(const A& a, const B& b, double tolerance) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " ≠ " << b.size();
  for (std::size_t i = 0; i < b.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    if (!(std::abs(x - y) <= tolerance * (1 + std::abs(y)))) {
      return ::testing::AssertionFailure() << "at " << i << ": " << x << ", want " << y;
    }
  }
  return ::testing::AssertionSuccess();
}

/// `analytic` is the gradient of f at x: central differences in double.
inline void check_gradient(const std::function<double(const std::vector<double>&)>& f,
                           std::vector<double> x, const std::vector<double>& analytic,
                           const std::string& what) {
  ASSERT_EQ(x.size(), analytic.size()) << what;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i], h = 1e-5 * (1 + std::abs(at));
    x[i] = at + h;
    const double above = f(x);
    x[i] = at - h;
    const double below = f(x);
    x[i] = at;
    const double numeric = (above - below) / (2 * h);
    EXPECT_NEAR(analytic[i], numeric, 1e-7 + 1e-6 * std::abs(numeric)) << what << " element " << i;
  }
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace qkv::kernels
