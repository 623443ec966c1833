#include "qkv/media/sound_files.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

/// Takes a share of each group (at least one of two) away at random.
LabelledSounds hold_out(LabelledSounds& set, const SoundFiles& files, bool each_text) {
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < set.size(); ++i) groups[each_text ? set.texts[i] : ""].push_back(i);
  std::vector<char> out(set.size(), 0);
  bool any = false;
  for (auto& [name, members] : groups) {
    if (members.size() < 2) continue;
    Philox random(key_of(files.split_seed, hash_name(name)));
    shuffle(std::span<std::size_t>(members), random);
    const auto size = static_cast<double>(members.size());
    const auto count = std::max(1.0, std::min(size - 1, std::round(files.hold_out * size)));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) out[members[i]] = 1;
    any = true;
  }
  if (!any) fail("too few sounds to hold some out; give --valid");
  LabelledSounds held, rest;
  for (std::size_t i = 0; i < set.size(); ++i) {
    LabelledSounds& to = out[i] ? held : rest;
    to.sounds.push_back(std::move(set.sounds[i]));
    to.paths.push_back(std::move(set.paths[i]));
    if (!set.texts.empty()) to.texts.push_back(std::move(set.texts[i]));
    if (!set.spans.empty()) to.spans.push_back(std::move(set.spans[i]));
  }
  set = std::move(rest);
  return held;
}

}  // namespace

LabelledSounds read_labelled_sounds(const std::vector<std::string>& sources, bool spans,
                                    bool skip_broken) {
  const std::vector<std::filesystem::path> paths(sources.begin(), sources.end());
  const SoundSetReading how{.skip_broken = skip_broken};
  LabelledSounds all;
  if (spans) {
    SpannedSet set = read_spanned_sounds(paths, how);
    all.sounds = std::move(set.sounds);
    for (SpannedSound& item : set.items) {
      all.paths.push_back(std::move(item.path));
      all.spans.push_back(std::move(item.spans));
    }
    return all;
  }
  SoundSet set = read_sounds(paths, how);
  all.sounds = std::move(set.sounds);
  all.paths = std::move(set.paths);
  for (const int label : set.labels) {
    all.texts.push_back(set.classes[static_cast<std::size_t>(label)]);
  }
  return all;
}

SoundData read_sound_files(const SoundFiles& files, bool spans, bool each_text) {
  SoundData data;
  data.train = read_labelled_sounds(files.train, spans, files.skip_broken);
  if (!files.test.empty()) {
    data.test = read_labelled_sounds(files.test, spans, files.skip_broken);
  }
  data.valid = files.valid.empty() ? hold_out(data.train, files, each_text)
                                   : read_labelled_sounds(files.valid, spans, files.skip_broken);
  return data;
}

}  // namespace qkv
