// Generators of pictures as a user holds them: a class and a seed in, pictures out.
//
// After load() nothing is written: any number of threads may ask one of them at once. Picture n of
// a seed is the same however many are asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "qkv/media/picture_file.h"
#include "qkv/systems/system.h"
#include "qkv/tensor/tensor.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct GanModel;  // gan_model.h: what training makes

struct PictureRequest {
  std::int64_t count = 1;
  std::optional<std::string> label = {};  // of all pictures; default: each draws its own
  std::uint64_t seed = 1;
};

struct MadePicture {
  Picture picture;
  std::string label;  // empty where the model has no classes
};

/// What the places of one feature map attend to while a picture is made.
struct PlaceAttention {
  MadePicture made;
  std::int64_t rows = 0, cols = 0;            // of the map that asks
  std::int64_t seen_rows = 0, seen_cols = 0;  // of the map that is seen: half where it is pooled
  Tensor weights;                             // [rows·cols seen_rows·seen_cols]
};

class PictureGenerator {
 public:
  /// Throws FileError or DataError when the directory holds no generator of pictures, or is
  /// damaged.
  static PictureGenerator load(const std::filesystem::path& directory,
                               const LoadOptions& options = {});
  explicit PictureGenerator(GanModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  /// One a class; none where the pictures have no class.
  const std::vector<std::string>& labels() const;
  /// Throws Error for an unknown label, or one for a model without classes.
  std::vector<MadePicture> generate(const PictureRequest& request) const;
  /// Of picture `number` of the request (its count does not matter). Throws Error for a model that
  /// does not attend.
  PlaceAttention place_attention(const PictureRequest& request, std::int64_t number = 0) const;
  /// The same as maps with names for the places: "row,column".
  AttentionMaps attention(const PictureRequest& request, std::int64_t number = 0) const;
  Info info() const;
  const GanModel& model() const { return *model_; }

 private:
  std::shared_ptr<const GanModel> model_;
  LoadOptions options_;
};

/// Noise [count width] of the pictures from `first` on, each drawn from (seed, its number).
Tensor picture_noise(std::uint64_t seed, std::int64_t first, std::int64_t count,
                     std::int64_t width);
/// Rows [B·S·S channels] in (−1, 1) as B pictures, v -> (v + 1)·127.5 rounded.
std::vector<Picture> pictures_from(const Tensor& rows, std::int64_t size);

}  // namespace qkv
