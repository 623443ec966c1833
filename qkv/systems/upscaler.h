// Models that restore pictures as a user holds them: a picture in, an enlarged (or cleaned) one
// out.
//
// After load() nothing is written: any number of threads may ask one of them at once. A picture
// gets the same bytes whatever is asked beside it, with any number of threads. Memory grows with
// its width alone (models/swin_ir_strips.h), besides the two pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qkv/base/progress.h"
#include "qkv/media/picture.h"
#include "qkv/systems/system.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

struct UpscaleModel;  // upscale_model.h: what training makes

/// What a pixel attends to in a layer: the pixels of its window, those of the filling at the bottom
/// and at the right included.
struct PixelAttention {
  std::string path;                 // of the layer, "layers.0.blocks.1.attn"
  std::int64_t top = 0, left = 0;   // of the window's pixels, in the picture
  std::int64_t rows = 0, cols = 0;  // shifted windows at a border are smaller
  Tensor weights;                   // [H rows·cols], each head's sum is 1
};

class Upscaler {
 public:
  /// Our own directory, or published weights: a file of safetensors or a directory with one alone.
  /// Throws FileError or DataError when there is no model of pictures, or a damaged one.
  static Upscaler load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit Upscaler(UpscaleModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  /// How many times as many pixels at a side come out; 1: only cleaned.
  std::int64_t scale() const;
  /// Throws Error where upscale() would: a coloured picture for a grey model, or a result that is
  /// larger than pictures may be (kLongestSide, kMostPixels).
  void check(const Picture& picture) const;
  /// A grey picture comes out grey, also of a model of colours. `progress` counts rows of the
  /// result.
  Picture upscale(const Picture& picture, const ProgressSink& progress = {}) const;
  std::vector<Picture> upscale(std::span<const Picture> pictures) const;
  /// x [rows·cols channels] in [0, 1] -> [rows·cols·scale² channels], not clamped, not rounded.
  Tensor restore(const Tensor& x, std::int64_t rows, std::int64_t cols) const;

  /// Pixel (row, col) of the picture in every layer, from the first to the last. Throws Error where
  /// it lies outside, and for a picture of more than a million pixels, which is computed whole
  /// here.
  std::vector<PixelAttention> attention(const Picture& picture, std::int64_t row,
                                        std::int64_t col) const;

  Info info() const;
  const UpscaleModel& model() const { return *model_; }

 private:
  std::shared_ptr<const UpscaleModel> model_;
  LoadOptions options_;
};

/// Pixels as the network reads them, [rows·cols channels] in [0, 1]; rows [first, first + count).
Tensor pixels_of(const Picture& picture, std::int64_t first, std::int64_t count);
/// Clamped and rounded half up; `y` has the pixels from row `first` of `picture` on.
void put_pixels(const Tensor& y, std::int64_t first, Picture& picture);

}  // namespace qkv
