#include "qkv/data/pose_features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "qkv/base/error.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

const std::array<Skeleton, 5>& skeletons() {
  static const std::array<Skeleton, 5> all = {
      Skeleton{.name = "openpose25",
               .joints = 25,
               .values = 3,
               .kept = 15,
               .groups = {{0, {0, 15, 16, 17, 18}}, {11, {11, 22, 23, 24}}, {14, {14, 19, 20, 21}}},
               .centre = {1},
               .torso = {8},
               .dropped = {1, 8},
               .fill = false},
      // Between the shoulders, and between the hips; the third value says whether a joint is seen,
      // but hidden joints have places too.
      Skeleton{.name = "penn13", .joints = 13, .values = 3, .centre = {1, 2}, .torso = {7, 8}},
      // Neck and belly; places are in units of the person, so no torso is as long as 1.
      Skeleton{.name = "jhmdb15",
               .joints = 15,
               .values = 2,
               .centre = {0},
               .torso = {1},
               .least_torso = 0.01},
      // Neck and hip centre, metres.
      Skeleton{.name = "msr20",
               .joints = 20,
               .values = 3,
               .dims = 3,
               .centre = {2},
               .torso = {6},
               .least_torso = 0.01},
      Skeleton{.name = "plain", .least_torso = 1e-6}};
  return all;
}

using Place = std::array<double, 3>;

struct Frame {
  const float* joints;  // [J D]
  std::int64_t count, dims;

  Place mean(const std::vector<std::int64_t>& of) const {
    Place sum{};
    const std::int64_t n = of.empty() ? count : static_cast<std::int64_t>(of.size());
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t j = of.empty() ? i : of[at(i)];
      for (std::int64_t d = 0; d < dims; ++d) {
        sum[at(d)] += static_cast<double>(joints[j * dims + d]);
      }
    }
    for (double& s : sum) s /= static_cast<double>(n);
    return sum;
  }
  double squared_distance(const Place& from, std::int64_t j) const {
    double sum = 0;
    for (std::int64_t d = 0; d < dims; ++d) {
      const double way = static_cast<double>(joints[j * dims + d]) - from[at(d)];
      sum += way * way;
    }
    return sum;
  }
  double torso(const Skeleton& s) const {
    const Place centre = mean(s.centre);
    double sum = 0;
    if (s.torso.empty()) {
      for (std::int64_t j = 0; j < count; ++j) sum += squared_distance(centre, j);
      return std::sqrt(sum / static_cast<double>(count));
    }
    const Place end = mean(s.torso);
    for (std::size_t d = 0; d < 3; ++d) sum += (end[d] - centre[d]) * (end[d] - centre[d]);
    return std::sqrt(sum);
  }
};

/// The mean of a group, each coordinate where it is not 0.
void average(std::span<const float> frame, const Skeleton& s, float* out) {
  for (const auto& [into, members] : s.groups) {
    for (std::int64_t d = 0; d < s.dims; ++d) {
      double sum = 0;
      int found = 0;
      for (const std::int64_t j : members) {
        const float value = frame[at(j * s.values + d)];
        sum += static_cast<double>(value);
        found += value != 0.0F;
      }
      out[into * s.dims + d] = found > 0 ? static_cast<float>(sum / found) : 0.0F;
    }
  }
}

class Filling {
 public:
  explicit Filling(Poses& poses) : p_(poses) {}

  void run() {
    for (std::int64_t j = 0; j < p_.joints; ++j) {
      std::int64_t before = -1;
      for (std::int64_t t = 0; t < p_.frames; ++t) {
        if (!found(t, j)) continue;
        between(before, t, j);
        before = t;
      }
      if (before >= 0) between(before, -1, j);
      if (before < 0) never_.push_back(j);
    }
    for (std::int64_t t = 0; t < p_.frames && !never_.empty(); ++t) at_mean(t);
  }

 private:
  float* place(std::int64_t t, std::int64_t j) {
    return p_.places.data() + (t * p_.joints + j) * p_.dims;
  }
  bool found(std::int64_t t, std::int64_t j) {
    const float* x = place(t, j);
    return std::any_of(x, x + p_.dims, [](float value) { return value != 0.0F; });
  }
  /// Fills the frames between two that have the joint; −1: there is none on that side.
  void between(std::int64_t before, std::int64_t after, std::int64_t j) {
    const std::int64_t end = after < 0 ? p_.frames : after;
    for (std::int64_t t = before + 1; t < end; ++t) {
      const std::int64_t a = before < 0 ? after : before, b = after < 0 ? before : after;
      const double share = a == b ? 0.0 : static_cast<double>(t - a) / static_cast<double>(b - a);
      for (std::int64_t d = 0; d < p_.dims; ++d) {
        const double from = static_cast<double>(place(a, j)[d]),
                     to = static_cast<double>(place(b, j)[d]);
        place(t, j)[d] = static_cast<float>(from + share * (to - from));
      }
    }
  }
  void at_mean(std::int64_t t) {
    const auto others = static_cast<double>(p_.joints) - static_cast<double>(never_.size());
    for (std::int64_t d = 0; d < p_.dims && others > 0; ++d) {
      double sum = 0;  // those that no frame has add 0
      for (std::int64_t j = 0; j < p_.joints; ++j) sum += static_cast<double>(place(t, j)[d]);
      for (const std::int64_t j : never_) sums_.push_back({j, d, sum / others});
    }
    for (const auto& [j, d, value] : sums_) place(t, j)[d] = static_cast<float>(value);
    sums_.clear();
  }

  struct Missing {
    std::int64_t joint, dim;
    double value;
  };
  Poses& p_;
  std::vector<std::int64_t> never_;
  std::vector<Missing> sums_;
};

/// The joints at a moment between two frames.
void sample(const Poses& poses, double moment, float* out) {
  const std::int64_t width = poses.joints * poses.dims;
  const double inside = std::clamp(moment, 0.0, static_cast<double>(poses.frames - 1));
  const auto t = static_cast<std::int64_t>(inside);
  const double share = inside - static_cast<double>(t);
  const float* a = poses.places.data() + t * width;
  const float* b = share > 0 ? a + width : a;
  for (std::int64_t i = 0; i < width; ++i) {
    const auto from = static_cast<double>(a[i]), to = static_cast<double>(b[i]);
    out[i] = static_cast<float>(from + share * (to - from));
  }
}

}  // namespace

const Skeleton& skeleton_of(std::string_view name) {
  std::string list;
  for (const Skeleton& s : skeletons()) {
    if (s.name == name) return s;
    list += (list.empty() ? "" : ", ") + std::string(s.name);
  }
  fail("skeleton '{}' is not one of {}", name, list);
}

const Skeleton& skeleton_of(const Clip& clip) {
  for (const Skeleton& s : skeletons()) {
    if (s.joints == clip.joints && s.values == clip.values) return s;
  }
  if (clip.values != 2 && clip.values != 3) {
    fail("clip {}: {} joints of {} values; a plain skeleton has 2 or 3 coordinates a joint",
         clip.id, clip.joints, clip.values);
  }
  return skeleton_of("plain");
}

PoseOptions pose_options(const Clip& clip) {
  const Skeleton& s = skeleton_of(clip);
  PoseOptions options;
  options.skeleton = s.name;
  options.dims = s.joints > 0 ? s.dims : clip.values;
  options.joints =
      (s.kept > 0 ? s.kept : clip.joints) - static_cast<std::int64_t>(s.dropped.size());
  return options;
}

Poses poses_of(const Clip& clip, const PoseOptions& options) {
  const Skeleton& s = skeleton_of(options.skeleton);
  const std::int64_t kept = options.joints + static_cast<std::int64_t>(s.dropped.size());
  const std::int64_t joints = s.joints > 0 ? s.joints : kept;
  const std::int64_t values = s.values > 0 ? s.values : options.dims;
  if (clip.joints != joints || clip.values != values) {
    fail("clip {}: {} joints of {} values, the model reads {} of {} ({})", clip.id, clip.joints,
         clip.values, joints, values, s.name);
  }
  Poses poses{.frames = clip.frames, .joints = kept, .dims = options.dims};
  poses.places.resize(at(clip.frames * kept * poses.dims));
  for (std::int64_t t = 0; t < clip.frames; ++t) {
    float* out = poses.places.data() + t * kept * poses.dims;
    const std::span<const float> frame = clip.frame(t);
    for (std::int64_t j = 0; j < kept; ++j) {
      for (std::int64_t d = 0; d < poses.dims; ++d) {
        out[j * poses.dims + d] = frame[at(j * values + d)];
      }
    }
    average(frame, s, out);
  }
  if (s.fill) Filling(poses).run();
  double sum = 0;
  for (std::int64_t t = 0; t < clip.frames; ++t) {
    const Frame frame{poses.places.data() + t * kept * poses.dims, kept, poses.dims};
    sum += frame.torso(s);
  }
  const double mean = sum / static_cast<double>(clip.frames);
  poses.torso = mean > 0 ? std::max(mean, s.least_torso) : 1.0;
  return poses;
}

std::vector<ClipWindow> windows_of(std::int64_t clip_frames, const PoseOptions& options) {
  const double end = static_cast<double>(clip_frames - 1);
  if (options.cut == ClipCut::stretch) return {{0, end, options.frames}};
  if (clip_frames <= options.frames) return {{0, end, clip_frames}};
  std::vector<ClipWindow> windows;
  const std::int64_t last = clip_frames - options.frames;
  const auto add = [&](std::int64_t begin) {
    const auto first = static_cast<double>(begin);
    windows.push_back({first, first + static_cast<double>(options.frames - 1), options.frames});
  };
  for (std::int64_t begin = 0; begin < last; begin += options.stride) add(begin);
  add(last);
  return windows;
}

ClipWindow jittered(const ClipWindow& window, std::int64_t clip_frames, const PoseOptions& options,
                    double jitter, Philox& random) {
  ClipWindow w = window;
  if (options.cut == ClipCut::stretch) {
    const double lost = jitter * random.uniform() * (w.last - w.first);
    const double before = lost * random.uniform();
    w.first += before;
    w.last -= lost - before;
    return w;
  }
  const double way = jitter * static_cast<double>(options.stride) * random.uniform(-1, 1);
  const double most = static_cast<double>(clip_frames - 1) - w.last;
  const double moved = std::clamp(std::round(way), -w.first, most);
  w.first += moved;
  w.last += moved;
  return w;
}

void append_features(const Poses& poses, const ClipWindow& window, const PoseOptions& options,
                     std::vector<float>& features) {
  const Skeleton& s = skeleton_of(options.skeleton);
  const std::int64_t width = poses.joints * poses.dims;
  std::vector<float> x(at(window.frames * width));
  const double step =
      window.frames > 1 ? (window.last - window.first) / static_cast<double>(window.frames - 1) : 0;
  Place middle{};
  for (std::int64_t t = 0; t < window.frames; ++t) {
    sample(poses, window.first + step * static_cast<double>(t), x.data() + t * width);
    const Place centre = Frame{x.data() + t * width, poses.joints, poses.dims}.mean(s.centre);
    for (std::size_t d = 0; d < 3; ++d) middle[d] += centre[d] / static_cast<double>(window.frames);
  }
  for (std::int64_t t = 0; t < window.frames; ++t) {
    float* frame = x.data() + t * width;
    const Frame here{frame, poses.joints, poses.dims};
    const Place centre = options.centre == PoseUnit::frame ? here.mean(s.centre) : middle;
    const double unit =
        options.scale == PoseUnit::frame ? std::max(here.torso(s), s.least_torso) : poses.torso;
    for (std::int64_t i = 0; i < width; ++i) {
      frame[i] =
          static_cast<float>((static_cast<double>(frame[i]) - centre[at(i % poses.dims)]) / unit);
    }
    for (std::int64_t j = 0; j < poses.joints; ++j) {
      if (std::ranges::find(s.dropped, j) != s.dropped.end()) continue;
      const float* now = frame + j * poses.dims;
      features.insert(features.end(), now, now + poses.dims);
      for (std::int64_t d = 0; d < poses.dims; ++d) {
        features.push_back(t == 0 ? now[d] : now[d] - now[d - width]);
      }
    }
  }
}

void flip(std::span<float> features, std::int64_t dims) {
  for (std::size_t i = 0; i < features.size(); i += at(dims)) features[i] = -features[i];
}

void add_noise(std::span<float> features, double deviation, Philox& random) {
  for (float& x : features) x += static_cast<float>(deviation * random.normal());
}

}  // namespace qkv
