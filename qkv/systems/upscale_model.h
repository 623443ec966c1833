// A model that restores pictures as it lies in a directory: the network, and what it was made for.
//   config.json        format, task "upscale", job, level, variant, model
//   model.safetensors  weights, [in, out], names of for_each_parameter
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/models/swin_ir.h"

namespace qkv {

/// What is restored: what bicubic has shrunk, Gaussian noise, or what JPEG has lost.
enum class RestoreJob : std::uint8_t { upscale, denoise, jpeg };
constexpr std::array<std::string_view, 3> spelling(RestoreJob) {
  return {"upscale", "denoise", "jpeg"};
}

struct UpscaleModel {
  SwinIr network;
  RestoreJob job = RestoreJob::upscale;
  double level = 0;     // denoise: σ of the noise, of 255; jpeg: the quality; 0: not known
  std::string variant;  // "light"
  std::vector<std::string> notes = {};  // of import

  /// The network's parameters under its own names, so that an UpscaleModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    SwinIr::each(m.network, visit);
  }
};

/// The network of a variant: those of swin_ir_sizes() ("light" is "lightweight"), and "xs": C 32,
/// two groups of four layers with four heads, windows of 8, for training in minutes. Throws Error
/// with the list. Ours add to bicubic where they enlarge (Config::residual) and drop no layers.
SwinIr::Config upscale_sizes(std::string_view variant, RestoreJob job, std::int64_t scale,
                             std::int64_t channels);

void save_upscale_model(const UpscaleModel& model, const std::filesystem::path& directory);
/// One of ours, or published weights (import/swin_ir_files.h). Checks everything: format version,
/// fields, names and shapes of all weights, finite numbers. Each error says the file and what to
/// do.
UpscaleModel load_upscale_model(const std::filesystem::path& directory);

}  // namespace qkv
