#include "qkv/systems/upscale_model.h"

#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/import/swin_ir_files.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

UpscaleModel read_upscale_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string path = directory.config_path();
  FieldReader reader(config, path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "upscale") {
    throw DataError(path, 0, fmt::format("is no model of pictures to restore (task '{}')", task));
  }
  UpscaleModel model;
  model.job = static_cast<RestoreJob>(reader.choice("job", names_of<RestoreJob>()));
  model.level = reader.number("level");
  model.variant = reader.text("variant");
  const auto sizes = config_from<SwinIr::Config>(reader.object("model"), path);
  reader.finish();
  WeightsFile weights(directory);
  model.network = weights.network<SwinIr>(sizes);
  weights.take_all(model.network);
  weights.finish();
  return model;
}

}  // namespace

SwinIr::Config upscale_sizes(std::string_view variant, RestoreJob job, std::int64_t scale,
                             std::int64_t channels) {
  SwinIr::Config c;
  if (variant == "xs") {
    c.width = 32;
    c.depths = {4, 4};
    c.heads = {4, 4};
    c.end = SwinIrEnd::pixel_shuffle_direct;
  } else {
    try {
      c = swin_ir_sizes(variant == "light" ? "lightweight" : variant,
                        job == RestoreJob::upscale ? scale : 1);
    } catch (const Error& e) {
      if (variant == "light") throw;
      fail("{}; or xs, light", e.what());
    }
  }
  c.scale = scale;
  c.channels = channels;
  c.drop_path = 0;
  if (job != RestoreJob::upscale) {
    c.end = SwinIrEnd::none;
  } else if (c.end == SwinIrEnd::none) {
    fail("variant '{}' enlarges nothing; it is for --job denoise or jpeg", variant);
  } else {
    c.residual = SwinIrResidual::bicubic;
  }
  c.check();
  return c;
}

void save_upscale_model(const UpscaleModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  save_weights(named_parameters(model), writer.folder());
  writer.commit({{"task", "upscale"},
                 {"job", name_of(model.job)},
                 {"level", model.level},
                 {"variant", model.variant},
                 {"model", config_json(model.network.config)}});
}

UpscaleModel load_upscale_model(const std::filesystem::path& directory) {
  if (is_swin_ir_file(directory)) return read_swin_ir_file(directory);
  return load_whole(directory, read_upscale_model);
}

}  // namespace qkv
