#include "qkv/data/clip_files.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {

ActionClips read_action_clips(const ActionFiles& files) {
  ActionClips clips;
  clips.train = read_clips(files.train, files.train_only);
  if (!files.test.empty()) clips.test = read_clips(files.test, files.test_only);
  clips.valid = files.valid.empty() ? hold_out(clips.train, files.hold_out, files.split_seed)
                                    : read_clips(files.valid, files.valid_only);
  return clips;
}

std::vector<Clip> hold_out(std::vector<Clip>& clips, double share, std::uint64_t seed) {
  std::map<std::string, std::vector<std::size_t>> by_name;
  for (std::size_t i = 0; i < clips.size(); ++i) by_name[clips[i].name].push_back(i);
  std::vector<char> out(clips.size(), 0);
  for (auto& [name, members] : by_name) {
    if (members.size() < 2) continue;
    Philox random(key_of(seed, hash_name(name)));
    shuffle(std::span<std::size_t>(members), random);
    const auto size = static_cast<double>(members.size());
    const auto count = std::max(1.0, std::min(size - 1, std::round(share * size)));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) out[members[i]] = 1;
  }
  std::vector<Clip> held, rest;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    (out[i] ? held : rest).push_back(std::move(clips[i]));
  }
  clips = std::move(rest);
  if (held.empty()) fail("too few clips to hold some out; give --valid");
  return held;
}

}  // namespace qkv
