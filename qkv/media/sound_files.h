// Files of sounds for a run: what is trained on, what judges it, what scores it in the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/media/sound_lists.h"

namespace qkv {

/// Where sounds lie. Of clips and texts: folders FOLDER/CLASS/FILE, or lists "label TAB path",
/// "text TAB path"; of frames lists as read_spans() has them.
struct SoundFiles {
  std::vector<std::string> train, valid, test;
  double hold_out = 0.1;  // without `valid`
  std::uint64_t split_seed = 1;
  bool skip_broken = false;

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    visit({.name = "train",
           .help = "Folders of classes, or lists: label TAB path; text TAB path; for frames path "
                   "TAB begin:end:label TAB … in seconds",
           .bounds = between(1, 1000),
           .required = true},
          f.train);
    visit({"valid", "The same for validation; default: some held out", between(1, 1000)}, f.valid);
    visit({"test", "The same to score the best model on in the end", between(1, 1000)}, f.test);
    visit({"hold_out",
           "The share held out without --valid, of clips of each label",
           {.least = 0, .most = 1, .open_least = true, .open_most = true}},
          f.hold_out);
    visit({"split_seed", "Of the sounds held out"}, f.split_seed);
    visit({"skip_broken", "Leave out files that are damaged or empty, and say how many"},
          f.skip_broken);
  }
};

/// Sounds with what is right of them: a label or a text, or stretches.
struct LabelledSounds {
  std::vector<Sound> sounds;
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> texts;             // empty of frames
  std::vector<std::vector<SoundSpan>> spans;  // of frames
  std::size_t size() const { return sounds.size(); }
};

/// One set. Sounds have their files' own rates. A file that is damaged or has no sample is an error
/// that names it, or with `skip_broken` left out, counted and said.
LabelledSounds read_labelled_sounds(const std::vector<std::string>& sources, bool spans,
                                    bool skip_broken);

struct SoundData {
  LabelledSounds train, valid, test;
};
/// All sets; without files for validation a share is held out: of every text, or of all.
SoundData read_sound_files(const SoundFiles& files, bool spans, bool each_text);

}  // namespace qkv
