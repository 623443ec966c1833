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

/// Rows, undefined where there are none, and whether they are the last ones.
using Sink = std::function<void(const Tensor& x, bool last)>;

/// A part of the network. What push() makes known of its result goes on to `next` at once, so that
/// no strip grows; with `last`, all that is left does.
class Part {
 public:
  Part() = default;
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  virtual ~Part() = default;
  virtual void push(const Tensor& x, bool last) = 0;
  Sink next;
};
using Parts = std::vector<std::unique_ptr<Part>>;

void join(const Parts& parts, Sink end) {
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    parts[i]->next = [to = parts[i + 1].get()](const Tensor& x, bool last) { to->push(x, last); };
  }
  parts.back()->next = std::move(end);
}

/// What a pixel tells of itself alone.
template <class F>
class Pixels : public Part {
 public:
  explicit Pixels(F f) : f_(std::move(f)) {}
  void push(const Tensor& x, bool last) override { next(x.defined() ? f_(x) : x, last); }

 private:
  F f_;
};

class Skip : public Part {
 public:
  Skip(std::int64_t cols, Parts branch) : rows_(cols), branch_(std::move(branch)) {
    join(branch_, [this, cols](const Tensor& y, bool last) {
      next(y.defined() ? add(y, rows_.take(y.dim(0) / cols)) : y, last);
    });
  }
  void push(const Tensor& x, bool last) override {
    rows_.add(x);
    branch_.front()->push(x, last);
  }

 private:
  Rows rows_;
  Parts branch_;
};

/// Zeros stand above the first row and below the last one, as beside each.
class Convolved : public Part {
 public:
  Convolved(const Convolution& m, std::int64_t cols) : m_(m), cols_(cols), rows_(cols) {}
  void push(const Tensor& x, bool last) override {
    const std::int64_t pad = m_.config.pad, size = m_.config.size;
    if (!begun_) margin(pad);
    begun_ = true;
    rows_.add(x);
    if (last) margin(pad);
    const std::int64_t count = rows_.count();
    if (count < size) return next({}, last);
    const Tensor in = rows_.take(count);
    rows_.add(slice_rows(in, (count - size + 1) * cols_, count * cols_));
    PixelWindow window = m_.window();
    window.row_pad = 0;
    next(convolve(in, Grids{{count, cols_}}, m_.weight, m_.bias, window), last);
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
  /// `most` rows at once, whole windows.
  Swin(const SwinLayer& m, Cuts& cuts, std::int64_t shift, std::int64_t most)
      : m_(m), cuts_(cuts), shift_(shift), most_(most), rows_(cuts.cols()) {}
  void push(const Tensor& x, bool last) override {
    rows_.add(x);
    const std::int64_t known = cuts_.border(done_ + rows_.count(), shift_);
    if (known == done_) return next({}, last);
    while (done_ < known) {
      const std::int64_t end = std::min(known, cuts_.border(done_ + most_, shift_));
      const Windows& windows = cuts_.of(done_, end, shift_);
      const Tensor in = permute_rows(rows_.take(end - done_), windows.order);
      done_ = end;
      next(permute_rows(swin_layer(m_, in, windows), windows.reverse), last && done_ == known);
    }
  }

 private:
  const SwinLayer& m_;
  Cuts& cuts_;
  std::int64_t shift_, most_, done_ = 0;
  Rows rows_;
};

/// The whole network, from the first convolution on.
class Network {
 public:
  Network(const SwinIr& m, const Grid& padded, std::int64_t most, Sink end)
      : m_(m), most_(most), cols_(padded.cols), cuts_(padded, m.config.window) {
    if (m.config.end == SwinIrEnd::none) {
      Parts all;
      build(all);
      skip(parts_, std::move(all));
    } else {
      build(parts_);
    }
    join(parts_, std::move(end));
  }
  void push(const Tensor& x, bool last) { parts_.front()->push(x, last); }

 private:
  void build(Parts& parts) {
    convolve(parts, m_.first);
    Parts body;
    pixels(body, [this](const Tensor& x) { return m_.patch_norm(x); });
    for (const SwinIrGroup& group : m_.groups) {
      Parts inside;
      for (std::size_t i = 0; i < group.blocks.size(); ++i) {
        const std::int64_t shift = i % 2 == 0 ? 0 : cuts_.window() / 2;
        inside.push_back(std::make_unique<Swin>(group.blocks[i], cuts_, shift, most_));
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
  std::int64_t most_;  // rows of a strip
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

/// What leaves the network, on its way to the picture: without the filling, with what it adds to.
class Finish {
 public:
  Finish(const SwinIr::Config& config, const Grid& picture, std::int64_t wide,
         const SwinIrStrips& strips)
      : c_(config), picture_(picture), wide_(wide), strips_(strips) {}

  void operator()(const Tensor& x, bool) {
    if (!x.defined()) return;
    const Grid whole = picture_.times(c_.scale);
    const std::int64_t end = std::min(whole.rows, done_ + x.dim(0) / wide_);
    if (end == done_) return;  // filling
    std::vector<std::int64_t> pixels;
    for (std::int64_t r = 0; r < end - done_; ++r) {
      for (std::int64_t col = 0; col < whole.cols; ++col) pixels.push_back(r * wide_ + col);
    }
    const bool bicubic = c_.residual == SwinIrResidual::bicubic;
    Tensor y = select_rows(swin_ir_moved(x, 1.0 / c_.range, bicubic ? 0.0 : 1.0), pixels);
    if (bicubic) y = add(y, enlarged_rows(strips_, picture_, c_.scale, done_, end));
    strips_.take(done_, y);
    done_ = end;
  }

 private:
  const SwinIr::Config& c_;
  Grid picture_;
  std::int64_t wide_, done_ = 0;  // columns with the filling; rows
  const SwinIrStrips& strips_;
};

}  // namespace

void run_in_strips(const SwinIr& m, const Grid& picture, const SwinIrStrips& strips,
                   SwinIrPadding padding, std::int64_t at_once) {
  const NoRecording quiet;
  const SwinIr::Config& c = m.config;
  const SwinIrAxis down(picture.rows, c.window, padding), across(picture.cols, c.window, padding);
  const double mean = c.residual == SwinIrResidual::bicubic ? 0.0 : 1.0;
  const std::int64_t most = at_once > 0 ? at_once : kPixels / across.padded;
  const std::int64_t step = std::max<std::int64_t>(1, (most + c.window - 1) / c.window) * c.window;
  Network network(m, {down.padded, across.padded}, step,
                  Finish(c, picture, across.padded * c.scale, strips));
  for (std::int64_t first = 0; first < down.padded; first += step) {
    const std::int64_t last = std::min(down.padded, first + step);
    const Tensor in = padded_rows(strips, down, across, first, last);
    network.push(swin_ir_moved(in, c.range, -c.range * mean), last == down.padded);
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
