// qkv generate --pictures: pictures from a trained generator, into a folder or on one sheet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/command.h"

namespace qkv::app {

struct PictureWishes {
  std::optional<std::int64_t> pictures;
  std::optional<std::string> label;
  std::string output;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"pictures", "As many pictures, from a model of `qkv train gan`", between(1, 1e6)},
          s.pictures);
    visit({"class", "Of pictures: the class of all; default: each draws its own"}, s.label);
    visit({"output", "Of pictures: a folder, or a sheet, FILE.png"}, s.output);
  }
};

/// Picture n of a seed goes to FOLDER/CLASS/n.png (FOLDER/n.png without classes), which reads as a
/// set of pictures again.
void generate_pictures(const PictureWishes& s, const std::string& model, std::uint64_t seed,
                       Program& program);

}  // namespace qkv::app
