#include "qkv/ops/sequence.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

void check(const char* call, const Tensor& x, const Segments& segments) {
  const Dims d(call, {{"x", x.shape(), "T C"}});
  if (d["T"] != segments.total()) {
    fail<ShapeError>("{}: {} rows but segments of {}", call, d["T"], segments.total());
  }
}

/// f(row, first, last) for each row that exists: its window is the whole rows [first, last).
template <class F>
void over_windows(const Segments& segments, std::int64_t before, std::int64_t after, F&& f) {
  parallel_for(segments.count(), 8, [&](std::int64_t b, std::int64_t end) {
    for (; b < end; ++b) {
      for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
        f(t, std::max(segments.begin(b), t - before), std::min(segments.end(b), t + after + 1));
      }
    }
  });
}

}  // namespace

Tensor windows(const Tensor& x, const Segments& segments, std::int64_t before, std::int64_t after) {
  check("windows", x, segments);
  if (before < 0 || after < 0) fail<ShapeError>("windows: {} before, {} after", before, after);
  if (before == 0 && after == 0) return x;
  const std::int64_t width = x.dim(1), wide = (before + 1 + after) * width;
  Tensor y = Tensor::empty({x.dim(0), wide}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    over_windows(segments, before, after,
                 [=](std::int64_t t, std::int64_t first, std::int64_t last) {
                   T* row = to + t * wide;
                   T* begin = row + (first - (t - before)) * width;
                   std::fill(row, begin, T(0));
                   T* end = std::copy(from + first * width, from + last * width, begin);
                   std::fill(end, row + wide, T(0));
                 });
  });
  record(y, {&x}, [x, segments, before, after, width, wide](const Tensor& dy) {
    Tensor dx = Tensor::zeros(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T* from = dy.data<T>();
      T* to = dx.data<T>();
      over_windows(segments, before, after,
                   [=](std::int64_t t, std::int64_t first, std::int64_t last) {
                     const T* begin = from + t * wide + (first - (t - before)) * width;
                     const std::int64_t n = (last - first) * width;
                     for (std::int64_t i = 0; i < n; ++i) to[first * width + i] += begin[i];
                   });
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor segment_mean(const Tensor& x, const Segments& segments) {
  check("segment_mean", x, segments);
  const std::int64_t width = x.dim(1);
  Tensor y = Tensor::zeros({segments.count(), width}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(segments.count(), 8, [&](std::int64_t b, std::int64_t end) {
      for (; b < end; ++b) {
        T* row = to + b * width;
        for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
          for (std::int64_t c = 0; c < width; ++c) row[c] += from[t * width + c];
        }
        const T share = T(1) / static_cast<T>(std::max<std::int64_t>(segments.length(b), 1));
        for (std::int64_t c = 0; c < width; ++c) row[c] *= share;
      }
    });
  });
  record(y, {&x}, [x, segments, width](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T* from = dy.data<T>();
      T* to = dx.data<T>();
      parallel_for(segments.count(), 8, [&](std::int64_t b, std::int64_t end) {
        for (; b < end; ++b) {
          const T share = T(1) / static_cast<T>(std::max<std::int64_t>(segments.length(b), 1));
          for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
            for (std::int64_t c = 0; c < width; ++c) {
              to[t * width + c] = share * from[b * width + c];
            }
          }
        }
      });
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor segment_max(const Tensor& x, const Segments& segments) {
  check("segment_max", x, segments);
  const std::int64_t width = x.dim(1);
  Tensor y = Tensor::zeros({segments.count(), width}, x.dtype());
  // The rows that gave the numbers.
  const auto rows = std::make_shared<std::vector<std::int64_t>>(
      static_cast<std::size_t>(segments.count() * width));
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    std::int64_t* row = rows->data();
    parallel_for(segments.count(), 8, [&](std::int64_t b, std::int64_t end) {
      for (; b < end; ++b) {
        for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
          const bool first = t == segments.begin(b);
          for (std::int64_t c = 0; c < width; ++c) {
            const T v = from[t * width + c];
            // A NaN, which is not less than anything, stays.
            if (!first && !(to[b * width + c] < v) && !std::isnan(v)) continue;
            to[b * width + c] = v;
            row[b * width + c] = t;
          }
        }
      }
    });
  });
  record(y, {&x}, [x, segments, rows, width](const Tensor& dy) {
    Tensor dx = Tensor::zeros(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t b = 0; b < segments.count(); ++b) {
        if (segments.length(b) == 0) continue;
        for (std::int64_t c = 0; c < width; ++c) {
          const std::int64_t i = b * width + c;
          dx.data<T>()[(*rows)[static_cast<std::size_t>(i)] * width + c] += dy.data<T>()[i];
        }
      }
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor rows_of_length_one(const Tensor& x) {
  Tensor out = Tensor::empty(x.shape());
  const std::int64_t width = x.dim(-1);
  for (std::int64_t begin = 0; begin < x.count(); begin += width) {
    double squares = 0;
    for (std::int64_t c = begin; c < begin + width; ++c) {
      squares += static_cast<double>(x.data()[c]) * static_cast<double>(x.data()[c]);
    }
    const float scale = squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 1.0F;
    for (std::int64_t c = begin; c < begin + width; ++c) out.data()[c] = x.data()[c] * scale;
  }
  return out;
}

}  // namespace qkv
