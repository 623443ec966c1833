// Pictures and what a model of a job is given in their place: for training one, and for scoring it.
//
//   upscale   cut to a multiple of the scale, shrunk by MATLAB's bicubic, bytes ("rgb protocol")
//   denoise   the picture itself; Gaussian noise is added to its pixels, neither rounded nor
//   clamped jpeg      written as JPEG and read again
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/eval/picture_scores.h"
#include "qkv/media/picture_folder.h"
#include "qkv/systems/upscale_model.h"

namespace qkv {

struct RestorePair {
  std::string name;
  Picture right, given;  // with as many channels as the model has
};
/// Throws Error, naming the picture, for one without a pixel after the cut, and for a level of 0
/// where the job needs one.
std::vector<RestorePair> restore_pairs(const UpscaleModel& model,
                                       std::span<const NamedPicture> pictures);
/// Adds the noise of a job that is denoising to pixels that it is given; of others none. A pure
/// function of the key.
void add_noise(const UpscaleModel& model, std::uint64_t key, Tensor& x);

/// Of all pairs: PSNR and SSIM of Y with the scale as border; without an upsampler of red, green
/// and blue, no border. Noise has the key of the picture's place.
struct RestoreScores {
  PictureReport psnr, ssim;
};
RestoreScores score_restored(const UpscaleModel& model, std::span<const RestorePair> pairs);
/// PSNR alone.
PictureReport psnr_restored(const UpscaleModel& model, std::span<const RestorePair> pairs);
/// The PSNR of what the model is given: enlarged by bicubic, or as it is.
PictureReport psnr_given(const UpscaleModel& model, std::span<const RestorePair> pairs);

}  // namespace qkv
