#include "qkv/systems/action_model.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/weights_file.h"

namespace qkv {

namespace {

Json poses_json(const PoseOptions& p) {
  return {{"skeleton", p.skeleton},
          {"dims", p.dims},
          {"joints", p.joints},
          {"frames", p.frames},
          {"cut", names_of<ClipCut>()[static_cast<std::size_t>(p.cut)]},
          {"stride", p.stride},
          {"centre", names_of<PoseUnit>()[static_cast<std::size_t>(p.centre)]},
          {"scale", names_of<PoseUnit>()[static_cast<std::size_t>(p.scale)]}};
}

PoseOptions read_poses(FieldReader reader, const std::string& path) {
  constexpr IntegerRange kSize{.least = 1, .most = kMostFrames};
  PoseOptions p;
  p.skeleton = reader.text("skeleton");
  p.dims = reader.integer("dims", {.least = 2, .most = 3});
  p.joints = reader.integer("joints", kSize);
  p.frames = reader.integer("frames", kSize);
  p.cut = static_cast<ClipCut>(reader.choice("cut", names_of<ClipCut>()));
  p.stride = reader.integer("stride", kSize);
  p.centre = static_cast<PoseUnit>(reader.choice("centre", names_of<PoseUnit>()));
  p.scale = static_cast<PoseUnit>(reader.choice("scale", names_of<PoseUnit>()));
  reader.finish();
  try {
    const Skeleton& s = skeleton_of(p.skeleton);
    const std::int64_t joints = s.kept > 0 ? s.kept : s.joints;
    if (joints > 0 &&
        (joints != p.joints + static_cast<std::int64_t>(s.dropped.size()) || p.dims != s.dims)) {
      fail("skeleton {} does not have {} joints of {} coordinates", p.skeleton, p.joints, p.dims);
    }
  } catch (const Error& e) {
    throw DataError(path, 0, e.what());
  }
  return p;
}

std::vector<std::string> read_labels(FieldReader& reader, const Json& config) {
  std::vector<std::string> labels;
  constexpr const char* kExpected = "a list of different names";
  if (!reader.has("labels") || !config["labels"].is_array()) reader.wrong("labels", kExpected);
  for (const Json& label : config["labels"]) {
    if (!label.is_string()) reader.wrong("labels", kExpected);
    labels.push_back(label.get<std::string>());
  }
  if (std::set<std::string>(labels.begin(), labels.end()).size() != labels.size()) {
    reader.wrong("labels", kExpected);
  }
  return labels;
}

}  // namespace

ActionModel make_action_model(const ActionDesign& d, std::span<const Clip> clips,
                              std::uint64_t seed) {
  std::map<std::int64_t, std::string> names;
  for (const Clip& clip : clips) names.emplace(clip.label, clip.name);
  if (names.size() < 2) fail("training needs clips of at least two labels, found {}", names.size());
  ActionModel model;
  for (const auto& [label, name] : names) model.labels.push_back(name);
  model.preset = d.preset;
  const PoseOptions shape = pose_options(clips.front());
  model.poses = d.poses;
  model.poses.skeleton = shape.skeleton;
  model.poses.dims = shape.dims;
  model.poses.joints = shape.joints;
  if (model.poses.frames > kMostFrames) {
    fail("windows of {} frames are longer than {}, the most that a model reads", model.poses.frames,
         kMostFrames);
  }
  ActionNetwork::Config c = d.network;
  c.architecture = ActionArchitecture::act;
  c.features = model.poses.features();
  c.frames = model.poses.frames;
  c.classes = static_cast<std::int64_t>(names.size());
  model.network = ActionNetwork::make(seed, of_equal_size(c, d.network.architecture));
  return model;
}

void save_action_model(const ActionModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  save_weights(named_parameters(model), writer.folder());
  writer.commit({{"task", "action"},
                 {"preset", model.preset},
                 {"labels", model.labels},
                 {"poses", poses_json(model.poses)},
                 {"model", config_json(model.network.config)}});
}

namespace {

ActionModel read_action_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string path = directory.config_path();
  FieldReader reader(config, path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "action") {
    throw DataError(path, 0, fmt::format("is no model of actions (task '{}')", task));
  }
  ActionModel model;
  model.preset = reader.text("preset", "");
  model.labels = read_labels(reader, config);
  model.poses = read_poses(reader.object("poses"), path);
  const auto sizes = config_from<ActionNetwork::Config>(reader.object("model"), path);
  reader.finish();
  if (static_cast<std::int64_t>(model.labels.size()) != sizes.classes ||
      model.poses.features() != sizes.features || model.poses.frames != sizes.frames) {
    throw DataError(path, 0,
                    fmt::format("{} labels and {} frames of {} features do not fit a model of {} "
                                "classes that reads {} frames of {}",
                                model.labels.size(), model.poses.frames, model.poses.features(),
                                sizes.classes, sizes.frames, sizes.features));
  }
  WeightsFile weights(directory);
  model.network = weights.network<ActionNetwork>(sizes);
  weights.take_all(model.network);
  weights.finish();
  return model;
}

}  // namespace

ActionModel load_action_model(const std::filesystem::path& directory) {
  return load_whole(directory, read_action_model);
}

}  // namespace qkv
