#include "app/score_pictures.h"

#include <filesystem>
#include <map>
#include <optional>

#include "app/output.h"

#include "qkv/base/error.h"
#include "qkv/eval/picture_scores.h"
#include "qkv/media/folders.h"
#include "qkv/media/picture_file.h"

namespace qkv::app {
namespace {

namespace fs = std::filesystem;

struct PictureScore {
  std::string reference, output;
  ScoreChannel channel = ScoreChannel::y;
  std::optional<int> border, bicubic;
  bool crop = false;
  SrProtocol protocol = SrProtocol::rgb;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "reference",
           .help = "What is right: a picture, or a folder of them",
           .required = true},
          s.reference);
    visit({"channel", "What is compared: Y of YCbCr as MATLAB computes it, or red, green and blue"},
          s.channel);
    visit({"border", "Pixels at each side that do not count; default: 0, or the scale of --bicubic",
           at_least(0)},
          s.border);
    visit({"crop", "Cut a reference that is larger to the size of the output, from the top left"},
          s.crop);
    visit({"bicubic",
           "Score what MATLAB's bicubic makes of the reference, shrunk by this scale and grown "
           "again, instead of an output",
           between(2, 64)},
          s.bicubic);
    visit({"protocol", "How --bicubic goes: bytes of RGB, Y in numbers, or Y in bytes"},
          s.protocol);
  }
};

using Metric = double (*)(const ScorePlanes&, const ScorePlanes&, int border);

/// The pictures of a folder by their names without ending.
std::map<std::string, fs::path> pictures_of(const std::string& folder) {
  std::map<std::string, fs::path> pictures;
  for (const fs::path& path : files_in(folder, picture_endings())) {
    const auto [at, fresh] = pictures.emplace(path.stem().string(), path);
    if (!fresh) {
      fail("{}: holds {} and {}; one picture a name", folder, at->second.filename().string(),
           path.filename().string());
    }
  }
  if (pictures.empty()) fail("{}: holds no picture (PNG, JPEG, PPM, PGM)", folder);
  return pictures;
}

struct Pair {
  std::string name;
  fs::path reference, output;
};

std::vector<Pair> pairs_of(const PictureScore& s) {
  const bool folder = fs::is_directory(s.reference);
  if (!s.bicubic && folder != fs::is_directory(s.output)) {
    fail("{} and {}: give two pictures or two folders", s.reference, s.output);
  }
  if (!folder) return {{fs::path(s.reference).filename().string(), s.reference, s.output}};
  const auto references = pictures_of(s.reference);
  const auto outputs = s.bicubic ? references : pictures_of(s.output);
  std::vector<Pair> pairs;
  for (const auto& [name, path] : references) {
    const auto output = outputs.find(name);
    if (output == outputs.end()) fail("{}: has no picture '{}'", s.output, name);
    pairs.push_back({name, path, output->second});
  }
  for (const auto& [name, path] : outputs) {
    if (!references.contains(name)) fail("{}: has no picture '{}'", s.reference, name);
  }
  return pairs;
}

BicubicPair planes_of(const PictureScore& s, const Pair& pair) {
  Picture right = read_picture(pair.reference);
  if (s.bicubic) return bicubic_pair(right, *s.bicubic, s.protocol, s.channel);
  const Picture given = read_picture(pair.output);
  if (s.crop && right.height >= given.height && right.width >= given.width) {
    right = cropped(right, 0, 0, given.height, given.width);
  }
  if (right.height != given.height || right.width != given.width) {
    fail("{}: {} × {} pixels, {} has {} × {}{}", pair.output.string(), given.width, given.height,
         pair.reference.string(), right.width, right.height,
         s.crop ? "" : "; --crop cuts a larger reference");
  }
  return {score_planes(right, s.channel), score_planes(given, s.channel)};
}

void score(const PictureScore& s, const char* name, Metric metric, bool json) {
  if (s.bicubic && !s.output.empty()) {
    throw UsageError("--bicubic makes the output itself: give no output");
  }
  if (s.bicubic && s.crop) throw UsageError("--crop is for an output, not for --bicubic");
  if (!s.bicubic && s.output.empty()) {
    throw UsageError("give the output to score, or --bicubic SCALE");
  }
  if (!s.bicubic && s.protocol != SrProtocol::rgb) {
    throw UsageError("--protocol says how --bicubic goes; files are scored by the protocol rgb");
  }
  PictureReport report{.metric = name,
                       .protocol = std::string(name_of(s.protocol)),
                       .channel = s.channel,
                       .border = s.border.value_or(s.bicubic.value_or(0))};
  for (const Pair& pair : pairs_of(s)) {
    const BicubicPair planes = planes_of(s, pair);
    report.names.push_back(pair.name);
    report.scores.push_back(metric(planes.reference, planes.output, report.border));
  }
  write_output(json ? report.json() + "\n" : report.text());
}

void add(Program& program, const char* verb, const char* name, const char* about, Metric metric) {
  auto s = std::make_shared<PictureScore>();
  Command& command = program.command(std::string("score ") + verb, about);
  command.options(*s);
  command.positional("output", s->output, "What to score: a picture, or a folder of as many");
  program.add_json(command, "Print JSON");
  command.action([s, name, metric, &program] { score(*s, name, metric, program.json); });
}

}  // namespace

void add_score_pictures(Program& program) {
  add(program, "psnr", "PSNR", "Peak signal-to-noise ratio of pictures, in dB", psnr);
  add(program, "ssim", "SSIM", "Structural similarity of pictures", ssim);
}

}  // namespace qkv::app
