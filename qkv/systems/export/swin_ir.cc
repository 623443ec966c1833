// A model of pictures under the names of SwinIR's released code.
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/systems/export/parts.h"
#include "qkv/systems/upscale_model.h"

namespace qkv {

Exported export_swin_ir(const UpscaleModel& model, const std::filesystem::path& folder) {
  const SwinIr::Config& c = model.network.config;
  if (c.residual != SwinIrResidual::none) {
    fail(
        "export: the model adds to the picture enlarged by bicubic interpolation (residual "
        "bicubic), which SwinIR's code does not; train with --residual none");
  }
  save_foreign_weights(read_state(state_entries(model.network)), folder);
  Exported done{
      .form = fmt::format("SwinIR, upscale {}, img_range {}, window_size {}, embed_dim {}, "
                          "upsampler '{}'",
                          c.scale, c.range, c.window, c.width,
                          c.end == SwinIrEnd::none ? "" : name_of(c.end)),
      .notes = {}};
  done.notes.push_back(
      "load_state_dict(…, strict=False): relative_position_index and attn_mask follow from the "
      "sizes and are not in the file");
  return done;
}

}  // namespace qkv
