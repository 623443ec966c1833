// What models of actions say of clips: windows packed, probabilities averaged.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/data/clips.h"
#include "qkv/data/pose_features.h"
#include "qkv/eval/classification.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/action_recogniser.h"

namespace qkv {

/// What training does to a window each time it sees it.
struct ClipNoise {
  double flip = 0.5;        // probability of a mirror
  double deviation = 0.03;  // of normal noise on each feature
  double jitter = 0.2;      // see jittered()
};

/// Clips as a model reads them.
struct ActionSet {
  struct Window {
    std::int64_t clip = 0;
    ClipWindow part;
  };
  std::vector<Poses> poses;          // one a clip
  std::vector<std::int32_t> labels;  // one a clip; −1: the model does not know it
  std::vector<Window> windows;       // in order of the clips
};
ActionSet encode_clips(const ActionModel& model, std::span<const Clip> clips);
/// Windows packed; with noise, while a tape records, by draws from the tape's key.
ActionBatch pack(const ActionModel& model, const ActionSet& set,
                 std::span<const std::int64_t> windows, const ClipNoise* noise = nullptr);

/// For each clip the probabilities of the model's classes: the mean over its windows. A clip gets
/// the same numbers whatever stands beside it.
std::vector<std::vector<double>> predict_clips(const ActionModel& model, const ActionSet& set,
                                               std::int64_t batch = 64);
/// The mean over several models, which must know the same labels; at least one.
std::vector<std::vector<double>> predict_clips(std::span<const ActionModel* const> models,
                                               std::span<const Clip> clips);
/// The first of the largest.
std::size_t likeliest(std::span<const double> probabilities);

/// Right and wrong, class by class.
ClassReport score_clips(const ActionModel& model, std::span<const Clip> clips,
                        std::span<const std::vector<double>> probabilities);
ClassReport score_clips(std::span<const Clip> clips, std::span<const RecognisedAction> found);

}  // namespace qkv
