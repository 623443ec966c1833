#include "qkv/models/picture_cnn.h"

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/sequence.h"

namespace qkv {

void PictureCnn::Config::check() const {
  constexpr std::int64_t kMostWide = 1 << 16;
  if (channels < 1) fail("cnn: channels is {}, must be positive", channels);
  if (classes < 1) fail("cnn: classes is {}, must be positive", classes);
  if (widths.empty()) fail("cnn: widths is empty, a network has at least one stage");
  if (widths.size() != strides.size()) {
    fail("cnn: {} widths and {} strides, there must be as many", widths.size(), strides.size());
  }
  for (const std::int64_t w : widths) {
    if (w < 1 || w > kMostWide) fail("cnn: a width of {} is not in 1 … {}", w, kMostWide);
  }
  for (const std::int64_t s : strides) {
    if (s < 1 || s > kMostWide) fail("cnn: a stride of {} is not in 1 … {}", s, kMostWide);
  }
}

PictureCnn PictureCnn::make(Initialiser init, const Config& c) {
  c.check();
  PictureCnn m;
  m.config = c;
  std::int64_t in = c.channels;
  for (std::size_t i = 0; i < c.widths.size(); ++i) {
    CnnStage stage;
    stage.convolution = Convolution::make(
        init,
        {.in = in, .out = c.widths[i], .size = 3, .stride = c.strides[i], .pad = 1, .bias = false});
    stage.norm = BatchNorm::make(init, {.width = c.widths[i]});
    m.stages.push_back(std::move(stage));
    in = c.widths[i];
  }
  m.head = Linear::make(init, in, c.classes);
  return m;
}

Tensor PictureCnn::operator()(const Tensor& x, const Grids& pictures) const {
  Tensor rows = x;
  Grids grids = pictures;
  for (const CnnStage& stage : stages) {
    rows = activate(stage.norm(stage.convolution(rows, grids)), Activation::relu);
    grids = stage.convolution.over(grids);
  }
  return head(segment_mean(rows, grids.segments()));
}

}  // namespace qkv
