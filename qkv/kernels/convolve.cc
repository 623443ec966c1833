#include "qkv/kernels/convolve.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/gemm.h"

namespace qkv::kernels {
namespace {

std::int64_t places_of(const Convolve& a) {
  return a.grids.empty() ? 0 : a.grids.back().out + a.grids.back().places.count();
}

/// f(place, entry, pixel) for every entry of the window that lies on a pixel, place by place.
template <class F>
void over_entries(const Convolve& a, F&& f) {
  const PixelWindow& w = a.window;
  for (const ConvolvedGrid& g : a.grids) {
    for (std::int64_t place = 0; place < g.places.count(); ++place) {
      const std::int64_t top = place / g.places.cols * w.row_stride - w.row_pad;
      const std::int64_t left = place % g.places.cols * w.col_stride - w.col_pad;
      for (std::int64_t entry = 0; entry < w.count(); ++entry) {
        const std::int64_t r = top + entry / w.cols, c = left + entry % w.cols;
        if (r < 0 || c < 0 || r >= g.grid.rows || c >= g.grid.cols) continue;
        f(g.out + place, entry, g.in + r * g.grid.cols + c);
      }
    }
  }
}

}  // namespace

namespace definition {

template <class T>
void convolve(const Convolve& a, const T* x, const T* weight, const T* bias, T* y) {
  for (std::int64_t i = 0; i < places_of(a) * a.out; ++i) y[i] = bias ? bias[i % a.out] : T(0);
  over_entries(a, [&](std::int64_t place, std::int64_t entry, std::int64_t pixel) {
    for (std::int64_t o = 0; o < a.out; ++o) {
      const T* from = x + pixel * a.in + o / a.group_out() * a.group_in();
      for (std::int64_t i = 0; i < a.group_in(); ++i) {
        y[place * a.out + o] += from[i] * weight[(entry * a.group_in() + i) * a.out + o];
      }
    }
  });
}

template <class T>
void convolve_input(const Convolve& a, const T* dy, const T* transposed, T* dx) {
  over_entries(a, [&](std::int64_t place, std::int64_t entry, std::int64_t pixel) {
    for (std::int64_t o = 0; o < a.out; ++o) {
      T* to = dx + pixel * a.in + o / a.group_out() * a.group_in();
      for (std::int64_t i = 0; i < a.group_in(); ++i) {
        to[i] += dy[place * a.out + o] * transposed[o * a.fan_in() + entry * a.group_in() + i];
      }
    }
  });
}

template <class T>
void convolve_weight(const Convolve& a, const T* x, const T* dy, T* dweight) {
  over_entries(a, [&](std::int64_t place, std::int64_t entry, std::int64_t pixel) {
    for (std::int64_t o = 0; o < a.out; ++o) {
      const T* from = x + pixel * a.in + o / a.group_out() * a.group_in();
      for (std::int64_t i = 0; i < a.group_in(); ++i) {
        dweight[(entry * a.group_in() + i) * a.out + o] += from[i] * dy[place * a.out + o];
      }
    }
  });
}

template void convolve(const Convolve&, const float*, const float*, const float*, float*);
template void convolve(const Convolve&, const double*, const double*, const double*, double*);
template void convolve_input(const Convolve&, const float*, const float*, float*);
template void convolve_input(const Convolve&, const double*, const double*, double*);
template void convolve_weight(const Convolve&, const float*, const float*, float*);
template void convolve_weight(const Convolve&, const double*, const double*, double*);

}  // namespace definition

namespace {

constexpr std::int64_t kScratch = std::int64_t{1} << 18;  // numbers of a tile, 1 MiB a thread
constexpr std::int64_t kRows = 64;                        // a piece of gathering

/// Places that are gathered at once.
std::int64_t tile_of(const Convolve& a) {
  return std::max<std::int64_t>(16, kScratch / std::max<std::int64_t>(a.fan_in(), 1));
}

float* scratch_of(std::int64_t rows, const Convolve& a) {
  thread_local std::vector<float> scratch;
  const auto size = static_cast<std::size_t>(rows * a.fan_in());
  if (scratch.size() < size) scratch.resize(size);
  return scratch.data();
}

/// The row of a window over place (r, c): f(entry, pixel, n) for its n entries that lie on pixels
/// side by side.
template <class F>
void over_runs(const PixelWindow& w, const ConvolvedGrid& g, std::int64_t place, F&& f) {
  const std::int64_t top = place / g.places.cols * w.row_stride - w.row_pad;
  const std::int64_t left = place % g.places.cols * w.col_stride - w.col_pad;
  const std::int64_t first = std::max<std::int64_t>(0, -left);
  const std::int64_t last = std::min(w.cols, g.grid.cols - left);
  if (first >= last) return;
  for (std::int64_t r = std::max<std::int64_t>(0, -top); r < std::min(w.rows, g.grid.rows - top);
       ++r) {
    f(r * w.cols + first, g.in + (top + r) * g.grid.cols + left + first, last - first);
  }
}

/// f(grid, its place, row) for the places [first, last) of the batch, row counted from `first`.
template <class F>
void over_places(const Convolve& a, std::int64_t first, std::int64_t last, F&& f) {
  auto g = std::partition_point(a.grids.begin(), a.grids.end(), [&](const ConvolvedGrid& grid) {
    return grid.out + grid.places.count() <= first;
  });
  for (std::int64_t at = first; at < last; ++g) {
    const std::int64_t end = std::min(last, g->out + g->places.count());
    for (; at < end; ++at) f(*g, at - g->out, at - first);
  }
}

/// Places [first, last) as rows [fan_in] of `to`, channels of one group.
void gather(const Convolve& a, const float* x, std::int64_t group, std::int64_t first,
            std::int64_t last, float* to) {
  const std::int64_t width = a.group_in(), fan = a.fan_in();
  const float* from = x + group * width;
  over_places(a, first, last, [&](const ConvolvedGrid& g, std::int64_t place, std::int64_t row) {
    float* out = to + row * fan;
    std::int64_t done = 0;  // entries
    over_runs(a.window, g, place, [&](std::int64_t entry, std::int64_t pixel, std::int64_t n) {
      std::fill_n(out + done * width, (entry - done) * width, 0.0f);
      if (a.groups == 1) {
        std::copy_n(from + pixel * a.in, n * width, out + entry * width);
      } else {
        for (std::int64_t i = 0; i < n; ++i) {
          std::copy_n(from + (pixel + i) * a.in, width, out + (entry + i) * width);
        }
      }
      done = entry + n;
    });
    std::fill(out + done * width, out + fan, 0.0f);
  });
}

/// The way back: rows of `from` added to the pixels, in the order of the places.
void scatter(const Convolve& a, const float* from, std::int64_t group, std::int64_t first,
             std::int64_t last, float* dx) {
  const std::int64_t width = a.group_in(), fan = a.fan_in();
  float* to = dx + group * width;
  over_places(a, first, last, [&](const ConvolvedGrid& g, std::int64_t place, std::int64_t row) {
    const float* in = from + row * fan;
    over_runs(a.window, g, place, [&](std::int64_t entry, std::int64_t pixel, std::int64_t n) {
      const std::int64_t run = a.groups == 1 ? n * width : width;
      for (std::int64_t i = 0; i < n * width; i += run) {
        float* out = to + (pixel + i / width) * a.in;
        for (std::int64_t c = 0; c < run; ++c) out[c] += in[entry * width + i + c];
      }
    });
  });
}

}  // namespace

void convolve(const Convolve& a, const float* x, const float* weight, const float* bias, float* y) {
  const std::int64_t n = a.group_out(), fan = a.fan_in();
  parallel_for(places_of(a), tile_of(a), [&](std::int64_t first, std::int64_t last) {
    float* rows = scratch_of(last - first, a);
    float* out = y + first * a.out;
    for (std::int64_t group = 0; group < a.groups; ++group) {
      gather(a, x, group, first, last, rows);
      gemm_nn(last - first, n, fan, rows, fan, weight + group * n, a.out, 0.0f, out + group * n,
              a.out);
    }
    if (!bias) return;
    for (std::int64_t row = first; row < last; ++row, out += a.out) {
      for (std::int64_t o = 0; o < a.out; ++o) out[o] += bias[o];
    }
  });
}

namespace {

/// With strides: pictures in parallel, since a picture's pixels hear of its own places alone, their
/// tiles in order.
void scatter_input(const Convolve& a, const float* dy, const float* transposed, float* dx) {
  const std::int64_t n = a.group_out(), fan = a.fan_in(), tile = tile_of(a);
  parallel_for(static_cast<std::int64_t>(a.grids.size()), 1, [&](std::int64_t b, std::int64_t) {
    const ConvolvedGrid& g = a.grids[static_cast<std::size_t>(b)];
    const std::int64_t end = g.out + g.places.count();
    for (std::int64_t first = g.out; first < end; first += tile) {
      const std::int64_t last = std::min(end, first + tile);
      float* rows = scratch_of(last - first, a);
      for (std::int64_t group = 0; group < a.groups; ++group) {
        gemm_nn(last - first, fan, n, dy + first * a.out + group * n, a.out,
                transposed + group * n * fan, fan, 0.0f, rows, fan);
        scatter(a, rows, group, first, last, dx);
      }
    }
  });
}

/// Whether the gradient of the pixels is a convolution of that of the places: pixel by pixel, each
/// place that saw it stands beside the next.
bool turns_around(const PixelWindow& w) {
  return w.row_stride == 1 && w.col_stride == 1 && w.row_pad < w.rows && w.col_pad < w.cols;
}

/// That convolution: from places to pixels.
struct Turned {
  std::vector<ConvolvedGrid> grids;
  Convolve form;

  explicit Turned(const Convolve& a) : form(a) {
    for (const ConvolvedGrid& g : a.grids) grids.push_back({g.places, g.grid, g.out, g.in});
    form.grids = grids;
    form.window.row_pad = a.window.rows - 1 - a.window.row_pad;
    form.window.col_pad = a.window.cols - 1 - a.window.col_pad;
    std::swap(form.in, form.out);
  }
  Turned(const Turned&) = delete;
  Turned& operator=(const Turned&) = delete;
};

/// transposed [out, entries, I] as [groups, entries from last to first, O, I].
std::vector<float> turned_weight(const Convolve& a, const float* transposed) {
  const std::int64_t entries = a.window.count(), in = a.group_in(), out = a.group_out();
  std::vector<float> to(static_cast<std::size_t>(a.out * a.fan_in()));
  for (std::int64_t o = 0; o < a.out; ++o) {
    for (std::int64_t e = 0; e < entries; ++e) {
      const std::int64_t row = (o / out * entries + entries - 1 - e) * out + o % out;
      std::copy_n(transposed + o * a.fan_in() + e * in, in, to.data() + row * in);
    }
  }
  return to;
}

}  // namespace

void convolve_input(const Convolve& a, const float* dy, const float* transposed, float* dx) {
  if (!turns_around(a.window)) return scatter_input(a, dy, transposed, dx);
  const Turned turned(a);
  const Convolve& t = turned.form;
  const std::vector<float> weight = turned_weight(a, transposed);
  const std::int64_t n = t.group_out(), fan = t.fan_in();
  parallel_for(places_of(t), tile_of(t), [&](std::int64_t first, std::int64_t last) {
    float* rows = scratch_of(last - first, t);
    for (std::int64_t group = 0; group < t.groups; ++group) {
      gather(t, dy, group, first, last, rows);
      gemm_nn(last - first, n, fan, rows, fan, weight.data() + group * fan * n, n, 1.0f,
              dx + first * t.out + group * n, t.out);
    }
  });
}

void convolve_weight(const Convolve& a, const float* x, const float* dy, float* dweight) {
  const std::int64_t n = a.group_out(), fan = a.fan_in(), tile = tile_of(a), all = places_of(a);
  for (std::int64_t first = 0; first < all; first += tile) {
    const std::int64_t last = std::min(all, first + tile);
    float* rows = scratch_of(last - first, a);
    for (std::int64_t group = 0; group < a.groups; ++group) {
      parallel_for(last - first, kRows, [&](std::int64_t begin, std::int64_t end) {
        gather(a, x, group, first + begin, first + end, rows + begin * fan);
      });
      gemm_tn(fan, n, last - first, rows, fan, dy + first * a.out + group * n, a.out, 1.0f,
              dweight + group * n, a.out);
    }
  }
}

}  // namespace qkv::kernels
