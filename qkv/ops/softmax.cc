#include "qkv/ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/loss.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

/// f(r) for each row, in parallel.
template <class F>
void over_rows(std::int64_t rows, F&& f) {
  parallel_for(rows, 64, [&](std::int64_t r, std::int64_t end) {
    for (; r < end; ++r) f(r);
  });
}

/// to = log softmax(from), a row.
template <class T>
void log_softmax_row(std::int64_t n, const T* from, T* to) {
  const T most = *std::max_element(from, from + n);
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(from[i] - most);
  const T lse = most + std::log(sum);
  for (std::int64_t i = 0; i < n; ++i) to[i] = from[i] - lse;
}

/// y = log softmax(x) or softmax(x), without a tape.
Tensor normalised(const char* call, const Tensor& x, bool logarithms) {
  const Dims d(call, {{"x", x.shape(), "N C"}});
  const std::int64_t n = d["C"];
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  if (n == 0) return y;
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    over_rows(d["N"], [&](std::int64_t r) {
      log_softmax_row(n, from + r * n, to + r * n);
      for (std::int64_t i = r * n; !logarithms && i < (r + 1) * n; ++i) to[i] = std::exp(to[i]);
    });
  });
  return y;
}

}  // namespace

Tensor softmax(const Tensor& x) {
  const Tensor kept = normalised("softmax", x, false);
  Tensor y = kept.reshaped(kept.shape());
  // y = e^x / Σ e^x:  dx = y · (dy − Σ y·dy)
  record(y, {&x}, [x, kept](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    const std::int64_t n = x.dim(1);
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      over_rows(x.dim(0), [&](std::int64_t r) {
        const T *p = kept.data<T>() + r * n, *g = dy.data<T>() + r * n;
        T sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += p[i] * g[i];
        for (std::int64_t i = 0; i < n; ++i) dx.data<T>()[r * n + i] = p[i] * (g[i] - sum);
      });
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor log_softmax(const Tensor& x) {
  const Tensor kept = normalised("log_softmax", x, true);
  Tensor y = kept.reshaped(kept.shape());
  // y = x − log Σ e^x:  dx = dy − e^y · Σ dy
  record(y, {&x}, [x, kept](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    const std::int64_t n = x.dim(1);
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      over_rows(x.dim(0), [&](std::int64_t r) {
        const T *log_p = kept.data<T>() + r * n, *g = dy.data<T>() + r * n;
        T sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += g[i];
        for (std::int64_t i = 0; i < n; ++i) {
          dx.data<T>()[r * n + i] = g[i] - std::exp(log_p[i]) * sum;
        }
      });
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor bell_columns(const Tensor& x, const Tensor& centre, double deviation) {
  const Dims d("bell_columns", {{"x", x.shape(), "N L"}, {"centre", centre.shape(), "N One"}});
  check_types("bell_columns", x, {&centre});
  if (d["One"] != 1 || !(deviation > 0)) {
    fail<ShapeError>("bell_columns: centre {} with x {}, deviation {}", to_string(centre.shape()),
                     to_string(x.shape()), deviation);
  }
  const std::int64_t wide = d["L"];
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  // f(r, j, t, g): t = (j − centre) / σ and g = exp(−t²/2) of element j of row r.
  const auto over = [centre, wide, deviation](auto zero, auto&& f) {
    using T = decltype(zero);
    const T inverse = static_cast<T>(1.0 / deviation);
    over_rows(centre.dim(0), [&](std::int64_t r) {
      for (std::int64_t j = 0; j < wide; ++j) {
        const T t = (static_cast<T>(j) - centre.data<T>()[r]) * inverse;
        f(r, r * wide + j, t, std::exp(T(-0.5) * t * t));
      }
    });
  };
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    over(zero,
         [&](std::int64_t, std::int64_t at, T, T g) { y.data<T>()[at] = x.data<T>()[at] * g; });
  });
  // y = x·g:  dx = g·dy,  dcentre = Σ_j x·g·t/σ·dy
  record(y, {&x, &centre}, [x, centre, over, deviation](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    Tensor dcentre = Tensor::zeros(centre.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      over(zero, [&](std::int64_t r, std::int64_t at, T t, T g) {
        const T gradient = g * dy.data<T>()[at];
        dx.data<T>()[at] = gradient;
        dcentre.data<T>()[r] += x.data<T>()[at] * gradient * t * static_cast<T>(1.0 / deviation);
      });
    });
    accumulate(x, std::move(dx));
    accumulate(centre, std::move(dcentre));
  });
  return y;
}

Tensor logarithm(const Tensor& x, double shift) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const T by = static_cast<T>(shift);
    for (std::int64_t i = 0; i < x.count(); ++i) y.data<T>()[i] = std::log(x.data<T>()[i] + by);
  });
  record(y, {&x}, [x, shift](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T by = static_cast<T>(shift);
      for (std::int64_t i = 0; i < x.count(); ++i) {
        dx.data<T>()[i] = dy.data<T>()[i] / (x.data<T>()[i] + by);
      }
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

CrossEntropyResult cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                                 const CrossEntropyOptions& options) {
  const Dims d("cross_entropy", {{"logits", logits.shape(), "T C"}});
  const std::int64_t rows = d["T"], classes = d["C"];
  if (static_cast<std::int64_t>(targets.size()) != rows) {
    fail<ShapeError>("cross_entropy: {} rows but {} targets", rows, targets.size());
  }
  for (const std::int32_t target : targets) {
    if (target != options.ignore && (target < 0 || target >= classes)) {
      fail<ShapeError>("cross_entropy: target {} outside {} classes", target, classes);
    }
  }
  const bool differentiate = recording() && needs_gradient(logits);
  CrossEntropyResult result;
  Tensor gradient = logits.clone();  // of the logits, after the kernel
  dispatch(logits, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> loss(targets.size()), nll(targets.size());
    std::vector<std::uint8_t> correct(targets.size());
    kernels::CrossEntropy<T> a{};
    a.rows = rows;
    a.vocabulary = classes;
    a.logits = gradient.data<T>();
    a.targets = targets.data();
    a.ignore = options.ignore;
    a.smoothing = options.smoothing;
    a.form = options.form;
    a.gradient_scale = differentiate ? options.scale : 0.0;
    a.loss = loss.data();
    a.nll = nll.data();
    a.correct = correct.data();
    kernels_for<T>().cross_entropy(a);
    for (std::size_t r = 0; r < targets.size(); ++r) {
      if (targets[r] == options.ignore) continue;
      result.loss_sum += static_cast<double>(loss[r]);
      result.nll_sum += static_cast<double>(nll[r]);
      result.correct += correct[r];
      ++result.tokens;
    }
  });
  result.loss = Tensor::full({}, options.scale * result.loss_sum, logits.dtype());
  record(result.loss, {&logits}, [logits, gradient](const Tensor& dloss) mutable {
    dispatch(gradient, [&](auto zero) {
      using T = decltype(zero);
      const T factor = *dloss.data<T>();
      if (factor == T(1)) return;
      kernels_for<T>().axpby(gradient.count(), T(0), gradient.data<T>(), factor,
                             gradient.data<T>());
    });
    accumulate(logits, std::move(gradient));
  });
  return result;
}

}  // namespace qkv
