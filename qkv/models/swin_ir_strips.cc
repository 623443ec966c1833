#include "qkv/models/swin_ir_strips.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/models/swin_ir_parts.h"
#include "qkv/ops/columns.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/pixels.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

constexpr std::int64_t kPixels = 16'384;  // of a strip: enough to pay for the products

/// Rows of one width that wait, first in first out.
class Rows {
 public:
  explicit Rows(std::int64_t cols) : cols_(cols) {}

  std::int64_t count() const { return count_; }
  void add(const Tensor& x) {
    if (!x.defined() || x.dim(0) == 0) return;
    parts_.push_back(x);
    count_ += x.dim(0) / cols_;
  }
  Tensor take(std::int64_t rows) {
    std::vector<Tensor> taken;
    count_ -= rows;
    while (rows > 0) {
      Tensor& part = parts_.front();
      const std::int64_t here = std::min(rows, part.dim(0) / cols_);
      taken.push_back(slice_rows(part, 0, here * cols_));
      part = slice_rows(part, here * cols_, part.dim(0));
      if (part.dim(0) == 0) parts_.pop_front();
      rows -= here;
    }
    return stack_rows(taken);
  }

 private:
  std::int64_t cols_, count_ = 0;
  std::deque<Tensor> parts_;
};

/// A part of the network. push() gives the rows of its result that have become known, undefined
/// where there are none; with `last`, all that are left.
class Part {
 public:
  Part() = default;
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  virtual ~Part() = default;
  virtual Tensor push(const Tensor& x, bool last) = 0;
};
using Parts = std::vector<std::unique_ptr<Part>>;

Tensor push_all(const Parts& parts, Tensor x, bool last) {
  for (const auto& part : parts) x = part->push(x, last);
  return x;
}

/// What a pixel tells of itself alone.
template <class F>
class Pixels : public Part {
 public:
  explicit Pixels(F f) : f_(std::move(f)) {}
  Tensor push(const Tensor& x, bool) override { return x.defined() ? f_(x) : x; }

 private:
  F f_;
};

class Skip : public Part {
 public:
  Skip(std::int64_t cols, Parts branch) : cols_(cols), rows_(cols), branch_(std::move(branch)) {}
  Tensor push(const Tensor& x, bool last) override {
    rows_.add(x);
    const Tensor y = push_all(branch_, x, last);
    return y.defined() ? add(y, rows_.take(y.dim(0) / cols_)) : y;
  }

 private:
  std::int64_t cols_;
  Rows rows_;
  Parts branch_;
};

/// Zeros stand above the first row and below the last one, as beside each.
class Convolved : public Part {
 public:
  Convolved(const Convolution& m, std::int64_t cols) : m_(m), cols_(cols), rows_(cols) {}
  Tensor push(const Tensor& x, bool last) override {
    const std::int64_t pad = m_.config.pad, size = m_.config.size;
    if (!begun_) margin(pad);
    begun_ = true;
    rows_.add(x);
    if (last) margin(pad);
    const std::int64_t count = rows_.count();
    if (count < size) return {};
    const Tensor in = rows_.take(count);
    rows_.add(slice_rows(in, (count - size + 1) * cols_, count * cols_));
    PixelWindow window = m_.window();
    window.row_pad = 0;
    return convolve(in, Grids{{count, cols_}}, m_.weight, m_.bias, window);
  }

 private:
  void margin(std::int64_t rows) {
    if (rows > 0) rows_.add(Tensor::zeros({rows * cols_, m_.config.in}, m_.weight.dtype()));
  }
  const Convolution& m_;
  std::int64_t cols_;
  Rows rows_;
  bool begun_ = false;
};

/// How strips are cut into windows; most of the strips of a picture are cut alike.
class Cuts {
 public:
  Cuts(const Grid& picture, std::int64_t window) : picture_(picture), window_(window) {}

  /// The last border between pieces that is not below `row`.
  std::int64_t border(std::int64_t row, std::int64_t shift) const {
    if (row >= picture_.rows) return picture_.rows;
    return row < shift ? 0 : shift + (row - shift) / window_ * window_;
  }
  const Windows& of(std::int64_t first, std::int64_t last, std::int64_t shift) {
    const bool top = first == 0, bottom = last == picture_.rows;
    const std::tuple key(shift, last - first, top, bottom);
    auto found = known_.find(key);
    if (found == known_.end()) {
      found = known_.emplace(key, Windows::strip(picture_, window_, shift, first, last)).first;
    }
    return found->second;
  }
  std::int64_t window() const { return window_; }
  std::int64_t cols() const { return picture_.cols; }

 private:
  Grid picture_;
  std::int64_t window_;
  std::map<std::tuple<std::int64_t, std::int64_t, bool, bool>, Windows> known_;
};

class Swin : public Part {
 public:
  Swin(const SwinLayer& m, Cuts& cuts, std::int64_t shift)
      : m_(m), cuts_(cuts), shift_(shift), rows_(cuts.cols()) {}
  Tensor push(const Tensor& x, bool) override {
    rows_.add(x);
    const std::int64_t end = cuts_.border(done_ + rows_.count(), shift_);
    if (end == done_) return {};
    const Windows& windows = cuts_.of(done_, end, shift_);
    const Tensor in = permute_rows(rows_.take(end - done_), windows.order);
    done_ = end;
    return permute_rows(swin_layer(m_, in, windows), windows.reverse);
  }

 private:
  const SwinLayer& m_;
  Cuts& cuts_;
  std::int64_t shift_, done_ = 0;
  Rows rows_;
};

/// The whole network, from the first convolution on.
class Network {
 public:
  Network(const SwinIr& m, const Grid& padded)
      : m_(m), cols_(padded.cols), cuts_(padded, m.config.window) {
    if (m.config.end == SwinIrEnd::none) {
      Parts all;
      build(all);
      skip(parts_, std::move(all));
    } else {
      build(parts_);
    }
  }
  Tensor push(const Tensor& x, bool last) { return push_all(parts_, x, last); }

 private:
  void build(Parts& parts) {
    convolve(parts, m_.first);
    Parts body;
    pixels(body, [this](const Tensor& x) { return m_.patch_norm(x); });
    for (const SwinIrGroup& group : m_.groups) {
      Parts inside;
      for (std::size_t i = 0; i < group.blocks.size(); ++i) {
        const std::int64_t shift = i % 2 == 0 ? 0 : cuts_.window() / 2;
        inside.push_back(std::make_unique<Swin>(group.blocks[i], cuts_, shift));
      }
      convolutions(inside, group.joint);
      skip(body, std::move(inside));
    }
    pixels(body, [this](const Tensor& x) { return m_.norm(x); });
    convolutions(body, m_.after_body);
    skip(parts, std::move(body));
    end(parts);
  }

  void end(Parts& parts) {
    const SwinIr::Config& c = m_.config;
    if (c.end == SwinIrEnd::none) return convolve(parts, m_.last);
    if (c.end == SwinIrEnd::pixel_shuffle_direct) {
      convolve(parts, m_.upsample[0]);
      return shuffle(parts, c.scale);
    }
    convolve(parts, m_.before_upsample);
    relu(parts, kSwinIrTail);
    const bool nearest = c.end == SwinIrEnd::nearest_conv;
    const std::int64_t factor = c.scale == 3 ? 3 : 2;
    for (const Convolution& conv : m_.upsample) {
      if (nearest) {
        pixels(parts, [grid = cols_](const Tensor& x) {
          return upsample_nearest(x, Grids{{x.dim(0) / grid, grid}}, 2);
        });
        cols_ *= 2;
        convolve(parts, conv);
        relu(parts, kSwinIrBetween);
      } else {
        convolve(parts, conv);
        shuffle(parts, factor);
      }
    }
    if (nearest) {
      convolve(parts, m_.high);
      relu(parts, kSwinIrBetween);
    }
    convolve(parts, m_.last);
  }

  template <class F>
  void pixels(Parts& parts, F f) {
    parts.push_back(std::make_unique<Pixels<F>>(std::move(f)));
  }
  void relu(Parts& parts, double slope) {
    pixels(parts, [slope](const Tensor& x) { return leaky_relu(x, slope); });
  }
  void shuffle(Parts& parts, std::int64_t factor) {
    pixels(parts, [cols = cols_, factor](const Tensor& x) {
      return pixel_shuffle(x, Grids{{x.dim(0) / cols, cols}}, factor);
    });
    cols_ *= factor;
  }
  void convolve(Parts& parts, const Convolution& m) {
    parts.push_back(std::make_unique<Convolved>(m, cols_));
  }
  void convolutions(Parts& parts, const SwinIrConvolutions& m) {
    for (std::size_t i = 0; i < m.layers.size(); ++i) {
      if (i > 0) relu(parts, kSwinIrBetween);
      convolve(parts, m.layers[i]);
    }
  }
  void skip(Parts& parts, Parts branch) {
    parts.push_back(std::make_unique<Skip>(cols_, std::move(branch)));
  }

  const SwinIr& m_;
  std::int64_t cols_;  // where the parts that are built stand
  Cuts cuts_;
  Parts parts_;
};

/// Rows [first, last) of the filled-up picture.
Tensor padded_rows(const SwinIrStrips& strips, const SwinIrAxis& down, const SwinIrAxis& across,
                   std::int64_t first, std::int64_t last) {
  std::vector<Tensor> parts;
  const std::int64_t inside = std::min(last, down.n);
  if (first < inside) parts.push_back(strips.rows(first, inside - first));
  for (std::int64_t r = std::max(first, down.n); r < last; ++r) {
    parts.push_back(strips.rows(down.pixel(r), 1));
  }
  std::vector<std::int64_t> pixels;
  for (std::int64_t r = 0; r < last - first; ++r) {
    for (std::int64_t c = 0; c < across.padded; ++c) {
      pixels.push_back(r * across.n + across.pixel(c));
    }
  }
  return select_rows(stack_rows(parts), pixels);
}

/// Rows [first, last) of the picture enlarged.
Tensor enlarged_rows(const SwinIrStrips& strips, const Grid& picture, std::int64_t scale,
                     std::int64_t first, std::int64_t last) {
  constexpr std::int64_t kReach = 3;  // pixels that a place may look at, above and below
  const std::int64_t top = std::max<std::int64_t>(0, first / scale - kReach);
  const std::int64_t bottom = std::min(picture.rows, last / scale + 1 + kReach);
  const Grids part{{bottom - top, picture.cols}};
  const std::int64_t cols = picture.cols * scale;
  return slice_rows(enlarge_bicubic(strips.rows(top, bottom - top), part, scale),
                    (first - top * scale) * cols, (last - top * scale) * cols);
}

}  // namespace

void run_in_strips(const SwinIr& m, const Grid& picture, const SwinIrStrips& strips,
                   SwinIrPadding padding, std::int64_t at_once) {
  const NoRecording quiet;
  const SwinIr::Config& c = m.config;
  const SwinIrAxis down(picture.rows, c.window, padding), across(picture.cols, c.window, padding);
  const bool bicubic = c.residual == SwinIrResidual::bicubic;
  const double mean = bicubic ? 0.0 : 1.0;
  const std::int64_t most = at_once > 0 ? at_once : kPixels / across.padded;
  const std::int64_t step = std::max<std::int64_t>(1, (most + c.window - 1) / c.window) * c.window;
  const std::int64_t rows = picture.rows * c.scale, cols = picture.cols * c.scale;
  const std::int64_t wide = across.padded * c.scale;
  Network network(m, {down.padded, across.padded});
  std::int64_t done = 0;
  for (std::int64_t first = 0; first < down.padded; first += step) {
    const std::int64_t last = std::min(down.padded, first + step);
    const Tensor in =
        swin_ir_moved(padded_rows(strips, down, across, first, last), c.range, -c.range * mean);
    Tensor y = network.push(in, last == down.padded);
    if (!y.defined()) continue;
    const std::int64_t end = std::min(rows, done + y.dim(0) / wide);
    if (end == done) break;  // what is left is filling
    std::vector<std::int64_t> pixels;
    for (std::int64_t r = 0; r < end - done; ++r) {
      for (std::int64_t x = 0; x < cols; ++x) pixels.push_back(r * wide + x);
    }
    y = select_rows(swin_ir_moved(y, 1.0 / c.range, mean), pixels);
    if (bicubic) y = add(y, enlarged_rows(strips, picture, c.scale, done, end));
    strips.take(done, y);
    done = end;
  }
}

Tensor restore_pixels(const SwinIr& m, const Tensor& x, const Grid& picture, SwinIrPadding padding,
                      std::int64_t at_once) {
  std::vector<Tensor> parts;
  run_in_strips(m, picture,
                {.rows =
                     [&](std::int64_t first, std::int64_t count) {
                       return slice_rows(x, first * picture.cols, (first + count) * picture.cols);
                     },
                 .take = [&](std::int64_t, const Tensor& y) { parts.push_back(y); }},
                padding, at_once);
  return stack_rows(parts);
}

}  // namespace qkv
