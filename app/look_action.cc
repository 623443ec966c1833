// What a model of actions attends to in a clip, for `qkv look`.
#include <algorithm>

#include "app/look.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/train/action.h"

namespace qkv::app {
namespace {

/// "<class>" and the frames of the clip that the window reads.
std::vector<std::string> column_names(const ClipWindow& part) {
  std::vector<std::string> names = {"<class>"};
  const auto gaps = static_cast<double>(std::max<std::int64_t>(1, part.frames - 1));
  for (std::int64_t t = 0; t < part.frames; ++t) {
    const double moment = part.first + (part.last - part.first) * static_cast<double>(t) / gaps;
    names.push_back(fmt::format("{:.0f}", moment));
  }
  return names;
}

}  // namespace

AttentionMaps attention_of(const ActionModel& model, const LookSettings& s) {
  if (s.clips.empty()) fail("look: give a file of clips, --clips");
  if (!s.source.empty() || !s.target.empty()) fail("look: --source and --target are for text");
  const std::vector<Clip> clips = read_clips(s.clips);
  const auto found = s.clip.empty() ? clips.begin() : std::ranges::find(clips, s.clip, &Clip::id);
  if (found == clips.end()) fail("{}: no clip has the id '{}'", s.clips, s.clip);
  const ActionSet set = encode_clips(model, std::span(&*found, 1));
  const std::int64_t first = 0;  // of several windows
  AttentionMaps maps;
  maps.source_text = fmt::format("clip {} ({})", found->id, found->name);
  maps.translation = model.labels[likeliest(predict_clips(model, set).front())];
  maps.title = maps.source_text + " → " + maps.translation;
  maps.source = column_names(set.windows.front().part);
  maps.target = maps.target_in = {maps.translation};
  add_maps(maps, attention_seen(
                     [&] { (void)model.network.logits(pack(model, set, std::span(&first, 1))); }));
  if (maps.maps.empty()) fail("look: this model attends to nothing; train with --arch act");
  for (std::size_t i = 0, layers = maps.maps.size(); i < layers; ++i) {
    AttentionMap token = maps.maps[i];
    token.kind = AttentionMap::Kind::cross;
    token.weights = token.weights.rows(0, 1);
    maps.maps.push_back(std::move(token));
  }
  return maps;
}

}  // namespace qkv::app
