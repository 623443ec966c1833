// A generator of pictures as it lies in a directory: the network and what its classes are called.
//   config.json        format, task "gan", labels, model
//   model.safetensors  weights and buffers, names of for_each_saved
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "qkv/models/sagan.h"

namespace qkv {

struct GanModel {
  SaganGenerator network;
  std::vector<std::string> labels;  // one a class; none: the pictures have no class

  /// The network's own names, so that a GanModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    SaganGenerator::each(m.network, visit);
  }
};

void save_gan_model(const GanModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, that labels and classes fit, names and shapes of all
/// weights and buffers, finite numbers. Each error says the file and what to do.
GanModel load_gan_model(const std::filesystem::path& directory);

}  // namespace qkv
