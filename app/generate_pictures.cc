#include "app/generate_pictures.h"

#include <utility>
#include <vector>

#include "app/picture_files.h"

#include "qkv/base/error.h"
#include "qkv/systems/picture_generator.h"

namespace qkv::app {

void generate_pictures(const PictureWishes& s, const std::string& model, std::uint64_t seed,
                       Program& program) {
  if (s.output.empty()) throw UsageError("--pictures: give a folder or a sheet, --output");
  const PictureGenerator generator = PictureGenerator::load(model);
  std::vector<LabelledPicture> pictures;
  for (MadePicture& made :
       generator.generate({.count = *s.pictures, .label = s.label, .seed = seed})) {
    pictures.push_back({std::move(made.picture), std::move(made.label)});
  }
  write_pictures(pictures, s.output);
  program.console.line("wrote " + s.output);
}

}  // namespace qkv::app
