#include "qkv/systems/action_recogniser.h"

#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/attention.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/predict_clips.h"

namespace qkv {
namespace {

std::vector<RecognisedAction> named(const std::vector<std::string>& labels,
                                    std::vector<std::vector<double>>&& probabilities) {
  std::vector<RecognisedAction> actions;
  for (std::vector<double>& p : probabilities) {
    const std::size_t best = likeliest(p);
    actions.push_back({labels[best], p[best], std::move(p)});
  }
  return actions;
}

}  // namespace

ActionRecogniser::ActionRecogniser(ActionModel model, const LoadOptions& options)
    : model_(std::make_shared<const ActionModel>(std::move(model))), options_(options) {}

ActionRecogniser ActionRecogniser::load(const std::filesystem::path& directory,
                                        const LoadOptions& options) {
  return ActionRecogniser(load_action_model(directory), options);
}

void ActionRecogniser::save(const std::filesystem::path& directory) const {
  save_action_model(*model_, directory);
}

const std::vector<std::string>& ActionRecogniser::labels() const { return model_->labels; }

std::vector<RecognisedAction> ActionRecogniser::recognise(std::span<const Clip> clips) const {
  const ThreadScope threads(options_.threads);
  return named(labels(), predict_clips(*model_, encode_clips(*model_, clips)));
}

RecognisedAction ActionRecogniser::recognise(const Clip& clip) const {
  return std::move(recognise(std::span(&clip, 1)).front());
}

std::vector<RecognisedAction> recognise(std::span<const ActionRecogniser> models,
                                        std::span<const Clip> clips) {
  std::vector<const ActionModel*> all;
  all.reserve(models.size());
  for (const ActionRecogniser& m : models) all.push_back(&m.model());
  return named(models.front().labels(), predict_clips(all, clips));
}

AttentionMaps ActionRecogniser::attention(const Clip& clip) const {
  const ThreadScope threads(options_.threads);
  return attention_of(*model_, clip);
}

Info ActionRecogniser::info() const {
  const ActionModel& m = *model_;
  const ActionNetwork::Config& c = m.network.config;
  const bool act = c.architecture == ActionArchitecture::act;
  Info info = describe("action", m.preset, std::string(name_of(c.architecture)), m);
  info.facts.emplace_back(
      "sizes", fmt::format("width {}, {} layers{}", c.width, c.layers,
                           act ? fmt::format(", {} heads, head {}", c.heads, c.head) : ""));
  info.facts.emplace_back(
      "poses", fmt::format("{} joints of {} coordinates ({}), {} frames ({})", m.poses.joints,
                           m.poses.dims, m.poses.skeleton, m.poses.frames,
                           m.poses.cut == ClipCut::stretch
                               ? "over the whole clip"
                               : fmt::format("a window every {}", m.poses.stride)));
  info.facts.emplace_back("labels", std::to_string(m.labels.size()));
  tell_options(c, info);
  return info;
}

}  // namespace qkv
