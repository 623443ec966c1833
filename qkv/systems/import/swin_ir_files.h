// SwinIR's published weights (Liang et al. 2021), as safetensors: a file, or a directory with
// model.safetensors and no config.json. The network's sizes follow from the tensors: the published
// files say them nowhere else.
//
// Names of the released code, plain or below "params." or "params_ema." (taken where both are
// there); "relative_position_index" and "attn_mask" are buffers that follow from the sizes, and are
// left out. The published .pth files are pickles, which are refused with the way out.
//
// What no tensor tells: the numbers that a pixel has inside. As published it is 255 for JPEG, which
// alone has windows of 7, and 1 for all others.
#pragma once

#include <filesystem>

#include "qkv/systems/upscale_model.h"

namespace qkv {

/// Whether the path is a file of safetensors or a directory with such weights alone. Throws
/// FileError with the way out for a .pth.
bool is_swin_ir_file(const std::filesystem::path& path);
/// Throws DataError for tensors that make no SwinIR, are missing or left over, or have other
/// shapes.
UpscaleModel read_swin_ir_file(const std::filesystem::path& path);

}  // namespace qkv
