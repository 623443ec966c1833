// qkv classify with a model of pictures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/command.h"

#include "qkv/base/options.h"

namespace qkv::app {

struct PictureSettings {
  std::int64_t top = 0;
  bool skip_broken = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"top", "The so many likeliest classes with their probabilities", at_least(1)}, s.top);
    visit({"skip_broken", "Leave out, and count, pictures that cannot be read"}, s.skip_broken);
  }
  bool given() const { return top > 0 || skip_broken; }
};

/// A line a picture: those of `inputs`, files or folders of them; without any, of the paths that
/// stand on stdin, one a line. Or, with sources to `evaluate`, the scores on these labelled ones.
void classify_pictures(const std::string& model, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& evaluate, bool scores,
                       const PictureSettings& s, Program& program);

}  // namespace qkv::app
