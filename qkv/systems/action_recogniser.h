// Models of actions as a user holds them: clips of skeletons in, actions out.
//
// After load() nothing is written: any number of threads may ask one of them at once. A clip gets
// the same answer whatever stands beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "qkv/data/clips.h"
#include "qkv/systems/system.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct ActionModel;  // action_model.h: what training makes

struct RecognisedAction {
  std::string label;
  double probability = 0;
  std::vector<double> probabilities;  // of labels() in their order
};

class ActionRecogniser {
 public:
  /// Throws FileError or DataError when the directory holds no model of actions, or is damaged.
  static ActionRecogniser load(const std::filesystem::path& directory,
                               const LoadOptions& options = {});
  explicit ActionRecogniser(ActionModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  const std::vector<std::string>& labels() const;
  RecognisedAction recognise(const Clip& clip) const;
  std::vector<RecognisedAction> recognise(std::span<const Clip> clips) const;
  /// All layers ("encoder"), and what the class token alone looks at ("cross"); columns are frames.
  AttentionMaps attention(const Clip& clip) const;
  Info info() const;
  const ActionModel& model() const { return *model_; }

 private:
  std::shared_ptr<const ActionModel> model_;
  LoadOptions options_;
};

/// The mean over several models, at least one; throws Error unless they know the same labels.
std::vector<RecognisedAction> recognise(std::span<const ActionRecogniser> models,
                                        std::span<const Clip> clips);

}  // namespace qkv
