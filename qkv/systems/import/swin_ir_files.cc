#include "qkv/systems/import/swin_ir_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/media/folders.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAveraged = "params_ema.", kPlain = "params.";
constexpr const char* kFirst = "conv_first.weight";
constexpr const char* kQkv = "layers.0.residual_group.blocks.0.attn.qkv.weight";

std::string prefix_of(const SafetensorsFile& file) {
  for (const std::string_view prefix : {kAveraged, kPlain, std::string_view{}}) {
    if (file.contains(std::string(prefix) + kFirst)) return std::string(prefix);
  }
  return {};
}

bool is_buffer(std::string_view name) {
  return name.ends_with(".relative_position_index") || name.ends_with(".attn_mask");
}

bool holds_swin_ir(const SafetensorsFile& file) {
  return file.contains(prefix_of(file) + kFirst) && file.contains(prefix_of(file) + kQkv);
}

/// Sizes by the shapes of tensors.
class Shapes {
 public:
  Shapes(const SafetensorsFile& file, std::string path)
      : file_(file), path_(std::move(path)), prefix_(prefix_of(file)) {}

  bool has(const std::string& name) const { return file_.contains(prefix_ + name); }
  std::int64_t of(const std::string& name, int rank, int axis) const {
    if (!has(name)) wrong(fmt::format("has no tensor '{}'", name));
    const Shape& shape = file_.shape(prefix_ + name);
    if (shape.rank() != rank) {
      wrong(fmt::format("tensor '{}' is {}, not of {} axes", name, to_string(shape), rank));
    }
    return shape[axis];
  }
  [[noreturn]] void wrong(const std::string& what) const { throw DataError(path_, 0, what); }
  /// The whole root of a number.
  std::int64_t root(std::int64_t n, const char* what) const {
    const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
    if (side < 1 || side * side != n) wrong(fmt::format("{} {} is no square", what, n));
    return side;
  }

 private:
  const SafetensorsFile& file_;
  std::string path_, prefix_;
};

void groups_of(const Shapes& shapes, SwinIr::Config& c) {
  const std::string table = ".attn.relative_position_bias_table";
  c.depths.clear();
  c.heads.clear();
  for (std::int64_t g = 0;; ++g) {
    const auto table_of = [&](std::int64_t block) {
      return fmt::format("layers.{}.residual_group.blocks.{}{}", g, block, table);
    };
    if (!shapes.has(table_of(0))) break;
    std::int64_t depth = 1;
    while (shapes.has(table_of(depth))) ++depth;
    c.depths.push_back(depth);
    c.heads.push_back(shapes.of(table_of(0), 2, 1));
  }
  const std::string block = "layers.0.residual_group.blocks.0";
  const std::int64_t side = shapes.root(shapes.of(block + table, 2, 0), "a bias table of");
  c.window = (side + 1) / 2;
  c.mlp_ratio = static_cast<double>(shapes.of(block + ".mlp.fc1.weight", 2, 0)) /
                static_cast<double>(c.width);
  c.joint = shapes.has("layers.0.conv.0.weight") ? SwinIrJoint::three_conv : SwinIrJoint::one_conv;
}

void end_of(const Shapes& shapes, SwinIr::Config& c) {
  c.scale = 1;
  if (shapes.has("conv_up1.weight")) {
    c.end = SwinIrEnd::nearest_conv;
    c.scale = shapes.has("conv_up2.weight") ? 4 : 2;
  } else if (shapes.has("conv_before_upsample.0.weight")) {
    c.end = SwinIrEnd::pixel_shuffle;
    for (int i = 0; shapes.has(fmt::format("upsample.{}.weight", 2 * i)); ++i) {
      const std::string name = fmt::format("upsample.{}.weight", 2 * i);
      c.scale *=
          shapes.root(shapes.of(name, 4, 0) / std::max<std::int64_t>(1, shapes.of(name, 4, 1)),
                      "an enlargement by");
    }
  } else if (shapes.has("upsample.0.weight")) {
    c.end = SwinIrEnd::pixel_shuffle_direct;
    c.scale = shapes.root(shapes.of("upsample.0.weight", 4, 0) / c.channels, "an enlargement by");
  } else {
    c.end = SwinIrEnd::none;
  }
}

SwinIr::Config config_of(const Shapes& shapes) {
  SwinIr::Config c;
  c.width = shapes.of(kFirst, 4, 0);
  c.channels = shapes.of(kFirst, 4, 1);
  if (c.width < 1 || (c.channels != 1 && c.channels != 3)) {
    shapes.wrong(fmt::format("'{}' is for pictures of {} channels", kFirst, c.channels));
  }
  groups_of(shapes, c);
  end_of(shapes, c);
  if (c.end == SwinIrEnd::none && c.window == 7) c.range = 255;
  try {
    c.check();
  } catch (const Error& e) {
    shapes.wrong(e.what());
  }
  return c;
}

/// What the authors call a network of these sizes; "own" otherwise.
std::string variant_of(const SwinIr::Config& c) {
  const auto same = [&](const SwinIr::Config& o) {
    return c.channels == o.channels && c.width == o.width && c.depths == o.depths &&
           c.heads == o.heads && c.window == o.window && c.end == o.end && c.joint == o.joint &&
           c.mlp_ratio == o.mlp_ratio;
  };
  for (const char* name : {"classical", "lightweight", "real-m", "real-l", "denoise-colour",
                           "denoise-grey", "jpeg-colour", "jpeg-grey"}) {
    try {
      if (same(swin_ir_sizes(name, c.scale))) return name;
    } catch (const Error&) {  // of another scale
    }
  }
  return "own";
}

fs::path weights_at(const fs::path& path) {
  std::error_code code;
  return fs::is_directory(path, code) ? path / kWeightsFile : path;
}

[[noreturn]] void refuse_pickle(const fs::path& file) {
  fail<FileError>(
      "{}: is a pickle: to load it is to run whatever program is in it. Where you trust it, "
      "convert it with torch 2.6 or newer: python3 -c \"import torch; from safetensors.torch "
      "import save_file; s = torch.load('{}', map_location='cpu', weights_only=True); s = "
      "s.get('params_ema', s.get('params', s)); save_file({{k: v.clone().contiguous() for k, v "
      "in s.items()}}, 'model.safetensors')\"",
      file.string(), file.filename().string());
}

}  // namespace

bool is_swin_ir_file(const fs::path& path) {
  std::error_code code;
  if (fs::is_regular_file(path, code)) {
    if (path.extension() == ".pth" || path.extension() == ".pt") refuse_pickle(path);
    return path.extension() == ".safetensors";
  }
  if (!fs::is_directory(path, code) || fs::exists(path / kConfigFile, code)) return false;
  if (fs::is_regular_file(path / kWeightsFile, code)) {
    return holds_swin_ir(SafetensorsFile(path / kWeightsFile));
  }
  for (const fs::path& file : files_in(path, std::array<std::string_view, 1>{".pth"})) {
    refuse_pickle(file);
  }
  return false;
}

UpscaleModel read_swin_ir_file(const fs::path& path) {
  const fs::path at = weights_at(path);
  const SafetensorsFile file(at);
  if (!holds_swin_ir(file)) {
    throw DataError(
        at.string(), 0,
        fmt::format("holds no SwinIR ('{}' and '{}'); give a model directory", kFirst, kQkv));
  }
  file.verify();
  file.check_finite();
  const std::string prefix = prefix_of(file);
  UpscaleModel model;
  std::int64_t numbers = 0;
  StateDict all;
  bool both = false;
  for (const std::string& name : file.names()) {
    const bool plain = name.starts_with(kPlain);
    both = both || (prefix == kAveraged && plain);
    if (!name.starts_with(prefix) && !plain) {
      throw DataError(at.string(), 0,
                      fmt::format("tensor '{}' stands beside '{}', not in it", name, prefix));
    }
    if (is_buffer(name)) continue;
    all.emplace_back(name, file.float_tensor(name));
    numbers += all.back().second.count();
  }
  const StateDict state = weights_of_swin_ir(all);
  const SwinIr::Config sizes = config_of(Shapes(file, at.string()));
  try {
    model.network = SwinIr::make(
        Initialiser::within(numbers, 3 * static_cast<std::int64_t>(state.size())), sizes);
    write_state(state_entries(model.network), state);
  } catch (const Error& e) {
    throw DataError(at.string(), 0, e.what());
  }
  if (sizes.end == SwinIrEnd::none) {
    model.job = sizes.range == 255 ? RestoreJob::jpeg : RestoreJob::denoise;
  }
  model.variant = variant_of(sizes);
  if (both) {
    model.notes.push_back(
        fmt::format("{}: holds params and params_ema; the latter are taken", at.string()));
  }
  if (sizes.range == 255) {
    model.notes.push_back(fmt::format(
        "{}: windows of 7 and no upsampler: taken as a network for JPEG, of numbers up to 255",
        at.string()));
  }
  return model;
}

}  // namespace qkv
