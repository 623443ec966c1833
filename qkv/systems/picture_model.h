// A model of pictures as it lies in a directory: the network, how pixels become numbers and what
// the classes are called.
//   config.json        format, task "picture", labels, mean, deviation, model
//   model.safetensors  weights, [in, out], and the statistics of batch norm, names of
//   for_each_saved
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/media/picture_tables.h"
#include "qkv/models/picture_network.h"

namespace qkv {

struct PictureModel {
  PictureNetwork network;
  std::vector<double> mean, deviation;  // of each channel, of bytes / 255
  std::vector<std::string> labels;      // one a class

  /// The network's parameters under its own names, so that a PictureModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    PictureNetwork::each(m.network, visit);
  }
};

/// What a model is made from besides the pictures.
struct PictureDesign {
  PictureNetwork::Config network;  // classes and channels come from the pictures, and a side of 0
};
/// With random weights, for the classes of the set, standardised by its pixels. Throws Error for
/// fewer than two classes, no picture, and for a side of 0 where they are no squares of one size.
PictureModel make_picture_model(const PictureDesign& design, const PictureSet& train,
                                std::uint64_t seed);

/// A picture as the model sees it: its channels (grey is replicated, colours become JPEG's Y), and
/// its side by bicubic interpolation, whatever its own sides are.
Picture fitted(const PictureNetwork::Config& config, const Picture& picture);
/// All of them in place.
void fit(const PictureNetwork::Config& config, std::vector<Picture>& pictures);

/// What training does to a picture each time it sees it.
struct PictureNoise {
  std::int64_t shift = 2;  // at most so many pixels up or down, left or right; black comes in
  bool mirror = false;     // left and right, with probability one half

  template <class Self, class Visit>
  static void each(Self& n, Visit&& visit) {
    visit({"shift", "Pixels by which pictures are moved at most (2)", between(0, 4096)}, n.shift);
    visit({"mirror", "Half of the pictures are turned left to right"}, n.mirror);
  }
};
/// The chosen ones of fitted pictures as the network reads them: [B·side² channels]. With noise,
/// while a tape records, by draws from the tape's key.
Tensor pack(const PictureModel& model, const std::vector<Picture>& pictures,
            std::span<const std::int64_t> chosen, const PictureNoise* noise = nullptr);

/// Logits [n K] of fitted pictures; a picture gets the same numbers whatever stands beside it.
/// Throws NumericError for numbers that are none.
Tensor picture_logits(const PictureModel& model, const std::vector<Picture>& pictures,
                      std::int64_t batch = 100);

/// A label's place among the model's. Throws Error, with those that there are, for an unknown one.
std::int32_t class_of(const PictureModel& model, std::string_view label);
/// For each picture of a set its class in the model, likewise.
std::vector<std::int32_t> classes_of(const PictureModel& model, const PictureSet& set);

void save_picture_model(const PictureModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, that the parts fit each other, names and shapes of
/// all weights, finite numbers, variances that are not negative. Each error says the file and what
/// to do.
PictureModel load_picture_model(const std::filesystem::path& directory);

}  // namespace qkv
