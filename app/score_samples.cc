// qkv score samples: made pictures against real ones, by their pixels.
#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include "app/picture_files.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/eval/sample_scores.h"

namespace qkv::app {
namespace {

struct SampleScore {
  std::string reference, samples;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "reference",
           .help = "Real pictures: a folder, IDX, CIFAR's .bin or a list",
           .required = true},
          s.reference);
  }
};

/// Pixels in [0, 1], a row a picture.
FeatureRows pixels_of(const std::vector<Picture>& pictures, const std::string& source) {
  FeatureRows f{.rows = pictures.size(), .width = pictures.front().bytes.size(), .values = {}};
  for (const Picture& p : pictures) {
    const Picture& first = pictures.front();
    if (p.height != first.height || p.width != first.width || p.channels != first.channels) {
      fail(
          "{}: pictures of {} × {} and {} × {} pixels, or grey and colour; give pictures of one "
          "kind",
          source, first.width, first.height, p.width, p.height);
    }
    for (const std::uint8_t b : p.bytes) f.values.push_back(b / 255.0);
  }
  return f;
}

void score(const SampleScore& s, bool json) {
  const FeatureRows real = pixels_of(all_pictures(s.reference), s.reference);
  const FeatureRows made = pixels_of(all_pictures(s.samples), s.samples);
  if (real.width != made.width) {
    fail("{} and {}: pictures of {} and {} numbers; resize one of both", s.reference, s.samples,
         real.width, made.width);
  }
  const double covered = 100 * coverage(real, made), kernel = kernel_distance(real, made);
  if (json) {
    const nlohmann::json line = {{"real", real.rows},
                                 {"made", made.rows},
                                 {"coverage", covered},
                                 {"kernel_distance_pixels", kernel}};
    write_output(line.dump() + "\n");
    return;
  }
  print_output(
      "coverage (pixels) {:.1f} %\nkernel distance (pixels, cubic, unbiased) {:.6f}\n"
      "{} real pictures, {} made\n",
      covered, kernel, real.rows, made.rows);
}

}  // namespace

void add_score_samples(Program& program) {
  auto s = std::make_shared<SampleScore>();
  Command& c = program.command("score samples", "Made pictures against real ones, by their pixels");
  c.footer(
      "Coverage: the share of real pictures whose nearest made one is nearer than their "
      "nearest other real\none. Its size depends on how many there are of each: compare at "
      "equal numbers.");
  c.options(*s);
  c.positional("samples", s->samples, "Made pictures", true);
  program.add_json(c, "Print JSON");
  c.action([s, &program] { score(*s, program.json); });
}

}  // namespace qkv::app
