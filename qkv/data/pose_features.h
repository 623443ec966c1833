// What an action model reads of a skeleton: for every joint and frame its place and its velocity,
// measured from a centre in units of the torso.
//
// For 25 OpenPose joints this is the preparation of MPOSE2021 (Mazzia et al. 2022), its habits
// included: joints of head and feet are averaged where they were found, every frame is centred at
// the neck and divided by the way from neck to mid-hip (at least 1 pixel), neck and mid-hip are
// left out, v₀ = x₀, confidences are dropped, and a joint that was not found (0, 0) is treated like
// any other. 13 joints × (x, y, vx, vy) = 52 features.
//
// Elsewhere joints that were not found (all coordinates 0) are drawn between the frames before and
// after that have them; a joint that no frame has stands at the mean of the others.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/base/random.h"
#include "qkv/data/clips.h"

namespace qkv {

struct Skeleton {
  std::string_view name;
  std::int64_t joints = 0, values = 0;  // of a clip; 0: any number
  std::int64_t dims = 2;                // of the values, coordinates; the others are not read
  std::int64_t kept = 0;                // joints after averaging; 0: all
  /// Joints that are averaged into one of the kept ones, itself among them.
  std::vector<std::pair<std::int64_t, std::vector<std::int64_t>>> groups;
  std::vector<std::int64_t> centre;   // the mean of these; none: of all
  std::vector<std::int64_t> torso;    // from the centre to the mean of these; none: the root of the
                                      // mean squared distance of all joints from the centre
  std::vector<std::int64_t> dropped;  // of the kept ones, after scaling
  double least_torso = 1;             // shorter ones count as this, in the units of the clip
  bool fill = true;                   // whether joints that were not found are drawn
};

/// openpose25, penn13, jhmdb15, msr20, or plain: any number of joints with 2 or 3 coordinates.
/// Throws Error with this list.
const Skeleton& skeleton_of(std::string_view name);
/// By the shape of a clip; plain where no other fits. Throws Error where that does not fit either.
const Skeleton& skeleton_of(const Clip& clip);

/// How long clips become windows of a fixed number of frames.
enum class ClipCut : std::uint8_t {
  stretch,  ///< one window, its frames drawn evenly over the whole clip
  slide,    ///< windows of consecutive frames every `stride`, the last one at the end; a shorter
            ///< clip is one shorter window
};
constexpr std::array<std::string_view, 2> spelling(ClipCut) { return {"stretch", "slide"}; }
/// From where and in what unit joints are measured.
enum class PoseUnit : std::uint8_t {
  frame,  ///< of each frame: the person stands still
  clip,   ///< the mean over the window (centre) and the clip (torso): the person moves
};
constexpr std::array<std::string_view, 2> spelling(PoseUnit) { return {"frame", "clip"}; }

struct PoseOptions {
  std::string skeleton = "plain";
  std::int64_t dims = 2;    // coordinates a joint
  std::int64_t joints = 0;  // that features are made of
  std::int64_t frames = 30;
  ClipCut cut = ClipCut::stretch;
  std::int64_t stride = 15;  // slide
  PoseUnit centre = PoseUnit::frame;
  PoseUnit scale = PoseUnit::frame;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"skeleton"}, o.skeleton);
    visit({"dims"}, o.dims);
    visit({"joints"}, o.joints);
    visit({"frames", "Frames that the model reads (30)", between(1, 1 << 14)}, o.frames);
    visit({"cut",
           "stretch (frames drawn evenly over the whole clip; default) or slide (windows of "
           "consecutive frames)"},
          o.cut);
    visit({"stride", "slide: frames between windows (15)", between(1, 1 << 20)}, o.stride);
    visit({"centre",
           "Where joints are measured from: the centre of each frame (default) or of the "
           "clip"},
          o.centre);
    visit({"scale", "In whose torso's length: of each frame (default) or the clip"}, o.scale);
  }
  /// Places and velocities of a frame.
  std::int64_t features() const { return 2 * dims * joints; }
};
/// The options for clips of this shape; measuring is by frame, as published.
PoseOptions pose_options(const Clip& clip);

/// The joints of a clip, ready to be measured.
struct Poses {
  std::int64_t frames = 0, joints = 0, dims = 0;
  std::vector<float> places;  // [T J D]
  double torso = 1;           // the mean over the frames, 1 where there is none
};
/// Throws Error when the clip does not have the skeleton's shape.
Poses poses_of(const Clip& clip, const PoseOptions& options);

/// Part of a clip: `frames` moments from `first` to `last`, evenly.
struct ClipWindow {
  double first = 0, last = 0;
  std::int64_t frames = 0;
};
std::vector<ClipWindow> windows_of(std::int64_t clip_frames, const PoseOptions& options);
/// The window as training sees it once: stretched ones lose up to `jitter` of their length, divided
/// between the ends; sliding ones move by up to jitter·stride.
ClipWindow jittered(const ClipWindow& window, std::int64_t clip_frames, const PoseOptions& options,
                    double jitter, Philox& random);

/// The features of a window [frames F], appended: for each joint x, y(, z), vx, vy(, vz).
void append_features(const Poses& poses, const ClipWindow& window, const PoseOptions& options,
                     std::vector<float>& features);

/// x and vx of all joints change their sign: the clip in a mirror, joints keep their names.
void flip(std::span<float> features, std::int64_t dims);
void add_noise(std::span<float> features, double deviation, Philox& random);

}  // namespace qkv
