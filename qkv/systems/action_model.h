// A model of actions as it lies in a directory: the network, how clips become its features, and
// what the classes are called.
//   config.json        format, task "action", labels, poses, model
//   model.safetensors  weights, [in, out], names of for_each_parameter
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "qkv/data/pose_features.h"
#include "qkv/models/action.h"

namespace qkv {

/// Frames of a window: nine minutes of a film. No weight bounds them in conv and lstm, whose time
/// they are.
constexpr std::int64_t kMostFrames = 1 << 14;

struct ActionModel {
  ActionNetwork network;
  PoseOptions poses;
  std::vector<std::string> labels;  // one a class
  std::string preset;               // for people: what the sizes were called

  /// The network's parameters under its own names, so that an ActionModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    ActionNetwork::each(m.network, visit);
  }
};

/// What a model of actions is made from besides the clips.
struct ActionDesign {
  std::string preset;
  /// The sizes of an act; another architecture gets a width that makes it as large
  /// (of_equal_size()). Features, frames and classes come from the clips.
  ActionNetwork::Config network;
  PoseOptions poses;  // how clips are read; the skeleton comes from the clips
};
/// The design's sizes for these clips and classes named as there, with random weights. Throws Error
/// when there is but one label.
ActionModel make_action_model(const ActionDesign& design, std::span<const Clip> clips,
                              std::uint64_t seed);

/// Written file by file, each atomically, the configuration last.
void save_action_model(const ActionModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, that the parts fit each other, names and shapes of
/// all weights, finite numbers. Each error says the file and what to do.
ActionModel load_action_model(const std::filesystem::path& directory);

}  // namespace qkv
