// Files of clips for a run: what is trained on, what judges it, what scores it in the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/data/clips.h"

namespace qkv {

/// Where clips lie, and which of a file's are meant (ClipFilter).
struct ActionFiles {
  std::string train, train_only, valid, valid_only, test, test_only;
  double hold_out = 0.1;  // without `valid`
  std::uint64_t split_seed = 1;

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    const char* only = "Of this file the clips with a field: train, 2=train, s01|s03, train,std";
    visit({.name = "train", .help = "Clips", .required = true}, f.train);
    visit({"train_only", only}, f.train_only);
    visit({"valid", "Clips for validation; default: some of each label held out"}, f.valid);
    visit({"valid_only", only}, f.valid_only);
    visit({"hold_out",
           "The share of each label held out without --valid",
           {.least = 0, .most = 1, .open_least = true, .open_most = true}},
          f.hold_out);
    visit({"split_seed", "Of the clips held out"}, f.split_seed);
    visit({"test", "Clips to score the best model on in the end"}, f.test);
    visit({"test_only", only}, f.test_only);
  }
};
struct ActionClips {
  std::vector<Clip> train, valid, test;
};
/// Throws Error when there is nothing to hold out, and as read_clips() does.
ActionClips read_action_clips(const ActionFiles& files);

/// Takes `share` of the clips of each label (at least one where there are two) away at random.
std::vector<Clip> hold_out(std::vector<Clip>& clips, double share, std::uint64_t seed);

}  // namespace qkv
