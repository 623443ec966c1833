// qkv train action: clips of skeletons in, a model directory out.
#include "qkv/train/action.h"

#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include "app/train/training.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/train/run_directory.h"

namespace qkv::app {
namespace {

/// Short runs of the published form would climb beyond its 2.44e-3, which small batches do not
/// bear.
constexpr double kHighestRate = 1e-3;

struct TrainAction : RunSettings {
  std::string train, valid, test, train_only, valid_only, test_only, directory;
  double hold_out = 0.1;
  std::uint64_t split_seed = 1;
  std::string preset = "act-micro", architecture, cut, centre, scale;
  std::optional<std::int64_t> frames, stride, width, layers, heads, head, batch;
  std::optional<double> dropout, smoothing, flip, noise, jitter;
};

ActionPreset with_settings(const TrainAction& s) {
  ActionPreset p = action_preset(s.preset);
  set(s.width, p.model.width);
  set(s.layers, p.model.layers);
  set(s.heads, p.model.heads);
  set(s.head, p.model.head);
  set(s.dropout, p.model.dropout);
  set(s.batch, p.batch);
  set(s.smoothing, p.smoothing);
  set(s.flip, p.noise.flip);
  set(s.noise, p.noise.deviation);
  set(s.jitter, p.noise.jitter);
  set_run(s, p.train);
  if (p.batch < 1) fail("--batch must be positive");
  if (!(p.noise.jitter >= 0.0 && p.noise.jitter < 1.0)) fail("--jitter is not in [0, 1)");
  if (!(p.noise.deviation >= 0.0)) fail("--noise is negative");
  return p;
}

PoseOptions poses_with(const TrainAction& s, const Clip& clip) {
  PoseOptions o = pose_options(clip);
  set(s.frames, o.frames);
  set(s.stride, o.stride);
  set_choice("--cut", s.cut,
             {std::pair{"stretch", ClipCut::stretch}, std::pair{"slide", ClipCut::slide}}, o.cut);
  const auto units = {std::pair{"frame", PoseUnit::frame}, std::pair{"clip", PoseUnit::clip}};
  set_choice("--centre", s.centre, units, o.centre);
  set_choice("--scale", s.scale, units, o.scale);
  if (o.frames < 1 || o.stride < 1) fail("--frames and --stride must be positive");
  return o;
}

/// The published rates, unless the user asks for others.
void set_schedule(const TrainAction& s, std::int64_t windows, ActionPreset& p) {
  if (!s.schedule.empty()) return;
  const std::int64_t updates_an_epoch = (windows + p.batch - 1) / p.batch;
  TrainOptions& t = p.train;
  std::int64_t steps = t.steps > 0 ? t.steps : t.epochs * updates_an_epoch;
  if (steps == 0) steps = action_preset(p.name).train.epochs * updates_an_epoch;
  t.schedule = action_schedule(steps, p.model.width, s.rate.value_or(kHighestRate));
  if (s.warm_up) t.schedule.warm_up = *s.warm_up;
}

struct Data {
  std::vector<Clip> train, valid, test;
};

Data read_data(const TrainAction& s) {
  Data data;
  data.train = read_clips(s.train, s.train_only);
  if (!s.test.empty()) data.test = read_clips(s.test, s.test_only);
  data.valid = s.valid.empty() ? hold_out(data.train, s.hold_out, s.split_seed)
                               : read_clips(s.valid, s.valid_only);
  return data;
}

void train_action(const TrainAction& s, Program& program) {
  apply_threads(program);
  Console& console = program.console;
  const std::filesystem::path directory = s.directory;
  (void)begin_of(directory, s.resume, s.overwrite);
  if (!(s.hold_out > 0 && s.hold_out < 1)) fail("--hold-out must lie between 0 and 1");
  ActionArchitecture architecture = ActionArchitecture::act;
  set_choice(
      "--arch", s.architecture,
      {std::pair{"act", ActionArchitecture::act}, std::pair{"mlp", ActionArchitecture::mlp},
       std::pair{"conv", ActionArchitecture::conv}, std::pair{"lstm", ActionArchitecture::lstm}},
      architecture);
  ActionPreset preset = with_settings(s);
  const Data data = read_data(s);
  ActionModel model;
  if (s.resume) {
    model = load_action_model(directory / kStateFolder);
  } else {
    model = make_action_model(preset, architecture, poses_with(s, data.train.front()), data.train,
                              s.seed);
  }
  const ActionSet train = encode_clips(model, data.train);
  const ActionSet valid = encode_clips(model, data.valid);
  set_schedule(s, static_cast<std::int64_t>(train.windows.size()), preset);
  console.line(fmt::format("clips: {} to train on ({} windows), {} to validate on; skeleton {}",
                           data.train.size(), train.windows.size(), data.valid.size(),
                           model.poses.skeleton));
  console.line(fmt::format("model: {} parameters ({}, {}), {} frames of {} features, {} labels",
                           grouped(parameter_count(model)),
                           name_of(model.network.config.architecture), model.preset,
                           model.poses.frames, model.poses.features(), model.labels.size()));
  const ActionTraining training{.train = train,
                                .valid = valid,
                                .valid_clips = data.valid,
                                .batch = preset.batch,
                                .smoothing = preset.smoothing,
                                .noise = preset.noise,
                                .seed = s.seed};
  Optimiser optimiser(model, preset.train.optimiser);
  const TrainTask task = action_task(model, training, directory);
  run_training(task, optimiser, preset.train, directory, s.resume, {"accuracy", "accuracy"},
               console);
  if (data.test.empty()) return;
  const std::vector<ActionModel> best = {load_action_model(directory)};
  const ClassReport report = score_clips(
      best.front(), data.test, predict_clips(best.front(), encode_clips(best.front(), data.test)));
  print_output("{}", program.json ? report.json() + "\n" : report.text());
}

void add_data_options(CLI::App* c, TrainAction& s) {
  const char* data = "Data";
  const char* only = "Of this file the clips with a field: train, 2=train, s01|s03, train,std";
  c->add_option("--train", s.train, "Clips")->required()->group(data);
  c->add_option("--train-only", s.train_only, only)->group(data);
  c->add_option("--valid", s.valid, "Clips for validation; default: some of each label held out")
      ->group(data);
  c->add_option("--valid-only", s.valid_only, only)->group(data);
  c->add_option("--hold-out", s.hold_out, "The share of each label held out without --valid")
      ->group(data)
      ->capture_default_str();
  c->add_option("--split-seed", s.split_seed, "Of the clips held out")
      ->group(data)
      ->capture_default_str();
  c->add_option("--test", s.test, "Clips to score the best model on in the end")->group(data);
  c->add_option("--test-only", s.test_only, only)->group(data);
  c->add_option("--model", s.directory, "Model directory to write")->required()->group(data);
}

void add_pose_options(CLI::App* c, TrainAction& s) {
  const char* poses = "Poses";
  c->add_option("--frames", s.frames, "Frames that the model reads (30)")->group(poses);
  c->add_option("--cut", s.cut,
                "stretch (frames drawn evenly over the whole clip; default) or slide (windows of "
                "consecutive frames)")
      ->group(poses);
  c->add_option("--stride", s.stride, "slide: frames between windows (15)")->group(poses);
  c->add_option("--centre", s.centre,
                "Where joints are measured from: the centre of each frame (default) or of the clip")
      ->group(poses);
  c->add_option("--scale", s.scale, "In whose torso's length: of each frame (default) or the clip")
      ->group(poses);
}

}  // namespace

void add_train_action(CLI::App& train, Program& program) {
  auto settings = std::make_shared<TrainAction>();
  TrainAction& s = *settings;
  CLI::App* c = train.add_subcommand("action", "Train a model of actions from clips of skeletons");
  c->footer(
      "Files may be gzipped: clip ID LABEL NAME [FIELD ...] FRAMES JOINTS VALUES, then a line a\n"
      "frame. Every option can also stand in a file: --config F.toml with lines `option = value`.\n"
      "Ctrl-C saves the state; the same command with --resume goes on to the same bits.");
  add_data_options(c, s);
  add_pose_options(c, s);
  const char* model = "Model";
  c->add_option("--preset", s.preset, "act-micro, act-small, act-medium or act-large")
      ->group(model)
      ->capture_default_str();
  c->add_option("--arch", s.architecture,
                "act (default), or as large as that: mlp, conv (over time) or lstm")
      ->group(model);
  c->add_option("--width", s.width, "act: width")->group(model);
  c->add_option("--layers", s.layers, "act: encoder layers")->group(model);
  c->add_option("--heads", s.heads, "act: attention heads")->group(model);
  c->add_option("--head", s.head, "act: width of the layer before the classes")->group(model);
  c->add_option("--dropout", s.dropout, "After attention and feed-forward, or between layers")
      ->group(model);
  const char* run = "Training";
  add_run_options(*c, s, run);
  c->add_option("--batch", s.batch, "Windows of a batch")->group(run);
  c->add_option("--smoothing", s.smoothing, "Label smoothing (0.1)")->group(run);
  c->add_option("--flip", s.flip, "Probability of a mirror (0.5)")->group(run);
  c->add_option("--noise", s.noise, "Deviation of the noise on features (0.03)")->group(run);
  c->add_option("--jitter", s.jitter,
                "How much of a clip its window may lose, or of the stride it may move (0.2)")
      ->group(run);
  c->add_flag("--json", program.json, "With --test: print the scores as JSON");
  add_threads(*c, program);
  c->add_option("--config", "Options from a TOML file");  // replaced before parsing
  c->callback([settings, &program] { train_action(*settings, program); });
}

}  // namespace qkv::app
