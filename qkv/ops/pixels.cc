#include "qkv/ops/pixels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "qkv/base/dims.h"
#include "qkv/base/parallel.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

constexpr std::int64_t kRows = 256;  // a piece: long enough to pay for handing it out

void check(const char* call, const Tensor& x, const Grids& grids) {
  const Dims d(call, {{"x", x.shape(), "T C"}});
  if (d["T"] != grids.total()) {
    fail<ShapeError>("{}: {} rows but pictures of {} pixels", call, d["T"], grids.total());
  }
}

/// f(b) for each picture, some at a time.
template <class F>
void over_pictures(const Grids& grids, F&& f) {
  parallel_for(grids.count(), 1, [&](std::int64_t b, std::int64_t) { f(b); });
}

/// f(pixel, fine): the first pixel of the `factor`² that stand for it, and `wide`, what a line of
/// them is away.
template <class F>
void over_blocks(const Grids& grids, std::int64_t factor, F&& f) {
  over_pictures(grids, [&](std::int64_t b) {
    const std::int64_t cols = grids[b].cols, begin = grids.begin(b);
    for (std::int64_t p = 0; p < grids[b].count(); ++p) {
      f(begin + p, begin * factor * factor + p / cols * factor * cols * factor + p % cols * factor,
        cols * factor);
    }
  });
}

}  // namespace

Tensor pixel_shuffle(const Tensor& x, const Grids& grids, std::int64_t factor) {
  check("pixel_shuffle", x, grids);
  const std::int64_t block = factor * factor;
  if (factor < 1 || x.dim(1) % block != 0) {
    fail<ShapeError>("pixel_shuffle: {} channels for {} × {} pixels each", x.dim(1), factor,
                     factor);
  }
  const std::int64_t width = x.dim(1) / block;
  // Channels of a coarse pixel and of its fine ones, one by one.
  const auto each = [grids, factor, block, width](auto&& f) {
    over_blocks(grids, factor, [&](std::int64_t pixel, std::int64_t fine, std::int64_t wide) {
      for (std::int64_t i = 0; i < block; ++i) {
        const std::int64_t to = (fine + i / factor * wide + i % factor) * width;
        for (std::int64_t c = 0; c < width; ++c) f((pixel * width + c) * block + i, to + c);
      }
    });
  };
  Tensor y = Tensor::empty({x.dim(0) * block, width}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    each([=](std::int64_t coarse, std::int64_t fine) { to[fine] = from[coarse]; });
  });
  record(y, {&x}, [x, each](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T* from = dy.data<T>();
      T* to = dx.data<T>();
      each([=](std::int64_t coarse, std::int64_t fine) { to[coarse] = from[fine]; });
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor upsample_nearest(const Tensor& x, const Grids& grids, std::int64_t factor) {
  check("upsample_nearest", x, grids);
  if (factor < 1) fail<ShapeError>("upsample_nearest: {} times", factor);
  const std::int64_t block = factor * factor, width = x.dim(1);
  Tensor y = Tensor::empty({x.dim(0) * block, width}, x.dtype());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    over_blocks(grids, factor, [&](std::int64_t pixel, std::int64_t fine, std::int64_t wide) {
      for (std::int64_t i = 0; i < block; ++i) {
        std::copy_n(x.data<T>() + pixel * width, width,
                    y.data<T>() + (fine + i / factor * wide + i % factor) * width);
      }
    });
  });
  record(y, {&x}, [x, grids, factor, block, width](const Tensor& dy) {
    Tensor dx = Tensor::zeros(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      over_blocks(grids, factor, [&](std::int64_t pixel, std::int64_t fine, std::int64_t wide) {
        T* to = dx.data<T>() + pixel * width;
        for (std::int64_t i = 0; i < block; ++i) {
          const T* from = dy.data<T>() + (fine + i / factor * wide + i % factor) * width;
          for (std::int64_t c = 0; c < width; ++c) to[c] += from[c];
        }
      });
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

namespace {

/// f(place, pixel) for every pixel under every place, in order, pictures in parallel.
template <class F>
void over_windows(const Grids& grids, const Grids& places, const PixelWindow& w, F&& f) {
  over_pictures(grids, [&](std::int64_t b) {
    const Grid &grid = grids[b], &out = places[b];
    for (std::int64_t p = 0; p < out.count(); ++p) {
      const std::int64_t top = p / out.cols * w.row_stride - w.row_pad;
      const std::int64_t left = p % out.cols * w.col_stride - w.col_pad;
      const std::int64_t bottom = std::min(top + w.rows, grid.rows);
      const std::int64_t right = std::min(left + w.cols, grid.cols);
      for (std::int64_t r = std::max<std::int64_t>(top, 0); r < bottom; ++r) {
        for (std::int64_t c = std::max<std::int64_t>(left, 0); c < right; ++c) {
          f(places.begin(b) + p, grids.begin(b) + r * grid.cols + c);
        }
      }
    }
  });
}

}  // namespace

Tensor mean_pool(const Tensor& x, const Grids& grids, const PixelWindow& window) {
  check("mean_pool", x, grids);
  if (window.row_pad != 0 || window.col_pad != 0) {
    fail<ShapeError>("mean_pool: a window with a margin of {} and {}; it takes none",
                     window.row_pad, window.col_pad);
  }
  const Grids places = grids.over(window);
  const std::int64_t width = x.dim(1);
  Tensor y = Tensor::zeros({places.total(), width}, x.dtype());
  // Where `back`, the gradient of the places goes to the pixels.
  const auto run = [grids, places, window, width](auto* pixels, auto* out, bool back) {
    using T = std::remove_cvref_t<decltype(*out)>;
    const T share = T(1) / static_cast<T>(window.count());
    over_windows(grids, places, window, [&](std::int64_t place, std::int64_t pixel) {
      const std::int64_t from = (back ? place : pixel) * width, to = (back ? pixel : place) * width;
      for (std::int64_t c = 0; c < width; ++c) out[to + c] += share * pixels[from + c];
    });
  };
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    run(x.data<T>(), y.data<T>(), false);
  });
  record(y, {&x}, [x, run](const Tensor& dy) {
    Tensor dx = Tensor::zeros(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      run(dy.data<T>(), dx.data<T>(), true);
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor max_pool(const Tensor& x, const Grids& grids, const PixelWindow& window) {
  check("max_pool", x, grids);
  if (window.row_pad >= window.rows || window.col_pad >= window.cols) {
    fail<ShapeError>("max_pool: a margin of {} and {} around a window of {} × {}", window.row_pad,
                     window.col_pad, window.rows, window.cols);
  }
  const Grids places = grids.over(window);
  const std::int64_t width = x.dim(1);
  Tensor y = Tensor::zeros({places.total(), width}, x.dtype());
  // The pixels that gave the numbers; −1 before the first.
  const auto winners =
      std::make_shared<std::vector<std::int64_t>>(static_cast<std::size_t>(y.count()), -1);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    std::int64_t* winner = winners->data();
    over_windows(grids, places, window, [=](std::int64_t place, std::int64_t pixel) {
      for (std::int64_t c = 0; c < width; ++c) {
        const T v = from[pixel * width + c];
        const std::int64_t at = place * width + c;
        // A NaN, which is not less than anything, stays.
        if (winner[at] >= 0 && !(to[at] < v) && !std::isnan(v)) continue;
        to[at] = v;
        winner[at] = pixel;
      }
    });
  });
  record(y, {&x}, [x, places, winners, width](const Tensor& dy) {
    Tensor dx = Tensor::zeros(x.shape(), x.dtype());
    dispatch(x, [&](auto zero) {
      using T = decltype(zero);
      const T* from = dy.data<T>();
      T* to = dx.data<T>();
      over_pictures(places, [&](std::int64_t b) {
        for (std::int64_t at = places.begin(b) * width; at < places.segments().end(b) * width;
             ++at) {
          const std::int64_t pixel = (*winners)[static_cast<std::size_t>(at)];
          if (pixel >= 0) to[pixel * width + at % width] += from[at];
        }
      });
    });
    accumulate(x, std::move(dx));
  });
  return y;
}

namespace {

/// What an output place takes of an axis.
struct Taps {
  std::array<std::int64_t, 4> at{};
  std::array<double, 4> weight{};
};

double keys_kernel(double x) {
  x = std::abs(x);
  if (x <= 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x <= 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

/// Place i of an axis of n that is enlarged. The weights follow from i mod `factor` alone, so that
/// a part of a picture has the bits of the whole.
Taps taps_of(std::int64_t i, std::int64_t n, std::int64_t factor) {
  const double centre = (static_cast<double>(i % factor) + 0.5) / static_cast<double>(factor) - 0.5;
  const auto first = static_cast<std::int64_t>(std::floor(centre)) - 1;
  Taps taps;
  for (std::size_t k = 0; k < 4; ++k) {
    const std::int64_t j = first + static_cast<std::int64_t>(k);
    taps.weight[k] = keys_kernel(centre - static_cast<double>(j));
    const std::int64_t place = ((i / factor + j) % (2 * n) + 2 * n) % (2 * n);
    taps.at[k] = place < n ? place : 2 * n - 1 - place;
  }
  return taps;
}

/// f(coarse pixel, fine pixel, weight) for all that meet, in order, pictures in parallel.
template <class F>
void over_taps(const Grids& grids, std::int64_t factor, F&& f) {
  over_pictures(grids, [&](std::int64_t b) {
    const Grid grid = grids[b], fine = grid.times(factor);
    std::vector<Taps> across;
    for (std::int64_t c = 0; c < fine.cols; ++c) across.push_back(taps_of(c, grid.cols, factor));
    for (std::int64_t p = 0; p < fine.count(); ++p) {
      const Taps down = taps_of(p / fine.cols, grid.rows, factor);
      const Taps& along = across[static_cast<std::size_t>(p % fine.cols)];
      for (std::size_t k = 0; k < 16; ++k) {
        f(grids.begin(b) + down.at[k / 4] * grid.cols + along.at[k % 4],
          grids.begin(b) * factor * factor + p, down.weight[k / 4] * along.weight[k % 4]);
      }
    }
  });
}

}  // namespace

Tensor enlarge_bicubic(const Tensor& x, const Grids& grids, std::int64_t factor) {
  check("enlarge_bicubic", x, grids);
  if (factor < 1) fail<ShapeError>("enlarge_bicubic: {} times", factor);
  const std::int64_t width = x.dim(1);
  const auto run = [grids, factor, width](const Tensor& in, Tensor& out, bool back) {
    dispatch(in, [&](auto zero) {
      using T = decltype(zero);
      const T* numbers = in.data<T>();
      T* to = out.data<T>();
      over_taps(grids, factor, [=](std::int64_t coarse, std::int64_t fine, double weight) {
        const T* from = numbers + (back ? fine : coarse) * width;
        T* sum = to + (back ? coarse : fine) * width;
        for (std::int64_t c = 0; c < width; ++c) sum[c] += static_cast<T>(weight) * from[c];
      });
    });
  };
  Tensor y = Tensor::zeros({x.dim(0) * factor * factor, width}, x.dtype());
  run(x, y, false);
  record(y, {&x}, [x, run](const Tensor& dy) {
    Tensor dx = Tensor::zeros(x.shape(), x.dtype());
    run(dy, dx, true);
    accumulate(x, std::move(dx));
  });
  return y;
}

Tensor drop_pictures(const Tensor& x, std::span<const std::int32_t> of_rows, double probability) {
  const Dims d("drop_pictures", {{"x", x.shape(), "T C"}});
  if (static_cast<std::int64_t>(of_rows.size()) != d["T"]) {
    fail<ShapeError>("drop_pictures: pictures of {} rows for x {}", of_rows.size(),
                     to_string(x.shape()));
  }
  const Dropout drop = draw_dropout(probability);
  if (!drop.active()) return x;
  using Rows = std::vector<std::int32_t>;
  const auto rows = std::make_shared<const Rows>(of_rows.begin(), of_rows.end());
  const auto dropped = [rows, drop, width = x.dim(1)](const Tensor& from) {
    Tensor to = Tensor::empty(from.shape(), from.dtype());
    dispatch(from, [&](auto zero) {
      using T = decltype(zero);
      const T* in = from.data<T>();
      T* out = to.data<T>();
      parallel_for(from.dim(0), kRows, [&](std::int64_t t, std::int64_t end) {
        for (; t < end; ++t) {
          const auto picture = static_cast<std::uint64_t>((*rows)[static_cast<std::size_t>(t)]);
          const T by = static_cast<T>(dropout_factor(drop, picture));
          for (std::int64_t c = t * width; c < (t + 1) * width; ++c) out[c] = by * in[c];
        }
      });
    });
    return to;
  };
  Tensor y = dropped(x);
  record(y, {&x}, [x, dropped](const Tensor& dy) { accumulate(x, dropped(dy)); });
  return y;
}

Permutation::Permutation(std::vector<std::int64_t> from)
    : from_(std::make_shared<const std::vector<std::int64_t>>(std::move(from))) {
  std::vector<bool> there(from_->size(), false);
  for (const std::int64_t row : *from_) {
    if (row < 0 || row >= count() || there[static_cast<std::size_t>(row)]) {
      fail<ShapeError>("permutation: row {} of {} is outside or there twice", row, count());
    }
    there[static_cast<std::size_t>(row)] = true;
  }
}

Permutation Permutation::inverse() const {
  std::vector<std::int64_t> back(from_->size());
  for (std::int64_t i = 0; i < count(); ++i) back[static_cast<std::size_t>(from(i))] = i;
  return Permutation(std::move(back));
}

Permutation Permutation::after(const Permutation& first) const {
  if (count() != first.count()) {
    fail<ShapeError>("permutation: of {} rows after one of {}", count(), first.count());
  }
  std::vector<std::int64_t> both;
  both.reserve(from_->size());
  for (const std::int64_t row : *from_) both.push_back(first.from(row));
  return Permutation(std::move(both));
}

Tensor permute_rows(const Tensor& x, const Permutation& order) {
  const std::int64_t count = x.shape().rank() == 0 ? -1 : x.dim(0);
  if (count != order.count()) {
    fail<ShapeError>("permute_rows: an order of {} rows for x {}", order.count(),
                     to_string(x.shape()));
  }
  const std::int64_t width = count == 0 ? 0 : x.count() / count;
  // Row i of one is row from(i) of the other.
  const auto copy = [order, width](const Tensor& in, Tensor& out, bool back) {
    dispatch(in, [&](auto zero) {
      using T = decltype(zero);
      const T* from = in.data<T>();
      T* to = out.data<T>();
      parallel_for(order.count(), kRows, [&](std::int64_t i, std::int64_t end) {
        for (; i < end; ++i) {
          const std::int64_t other = order.from(i);
          std::copy_n(from + (back ? i : other) * width, width, to + (back ? other : i) * width);
        }
      });
    });
  };
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  copy(x, y, false);
  record(y, {&x}, [x, copy](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.dtype());
    copy(dy, dx, true);
    accumulate(x, std::move(dx));
  });
  return y;
}

}  // namespace qkv
