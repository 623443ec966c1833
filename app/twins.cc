// qkv draw twins, qkv score twins: pictures with a rule, and how many keep it.
#include "demo/twins.h"

#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include "app/picture_files.h"
#include <fmt/format.h>

namespace qkv::app {
namespace {

struct Drawn {
  std::int64_t count = 4096;
  std::uint64_t seed = 1;
  std::string output;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"count", "As many pictures", between(1, 1e6)}, s.count);
    visit({"seed", "Of the shapes' places"}, s.seed);
    visit({.name = "output", .help = "A new folder, or a sheet, FILE.png", .required = true},
          s.output);
  }
};

void draw(const Drawn& s, Program& program) {
  PictureSet set = twins(s.count, s.seed);
  std::vector<LabelledPicture> pictures;
  for (std::size_t i = 0; i < set.pictures.size(); ++i) {
    pictures.push_back(
        {std::move(set.pictures[i]), set.classes[static_cast<std::size_t>(set.labels[i])]});
  }
  write_pictures(pictures, s.output);
  program.console.line("wrote " + s.output);
}

}  // namespace

void add_twins(Program& program) {
  program.group("draw", "Make data with a rule");
  auto drawn = std::make_shared<Drawn>();
  Command& draws = program.command(
      "draw twins", "Pictures whose halves show the same of four shapes, for qkv train gan");
  draws.options(*drawn);
  draws.action([drawn, &program] { draw(*drawn, program); });

  auto scored = std::make_shared<std::string>();
  Command& scores =
      program.command("score twins", "How many pictures show the same shape in both halves");
  scores.positional("pictures", *scored, "A folder of pictures, or of folders of them", true);
  program.add_json(scores, "Print JSON");
  scores.action([scored, &program] {
    const TwinReport report = count_twins(all_pictures(*scored));
    write_output(program.json ? report.json() + "\n" : report.text());
  });
}

}  // namespace qkv::app
