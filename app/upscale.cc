// qkv upscale: pictures in, larger or cleaner ones out; or, with --evaluate, the scores.
#include <filesystem>
#include <set>

#include "app/command.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/systems/restore_pairs.h"
#include "qkv/systems/upscaler.h"

namespace qkv::app {
namespace {

namespace fs = std::filesystem;

struct Settings {
  std::vector<std::string> pictures, evaluate;
  std::string model, output;
  bool overwrite = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model",
           .help = "Model directory, or SwinIR's published weights as safetensors",
           .required = true},
          s.model);
    visit({"output",
           "File (.png, .ppm, .pgm, .pnm), or a folder; default: NAME-x2.png beside each picture"},
          s.output);
    visit({"overwrite", "Write over files that are there already"}, s.overwrite);
    visit(
        {"evaluate", "Pictures or folders: shrink them, upscale, and print PSNR and SSIM instead"},
        s.evaluate);
  }
};

/// Where the result of each picture goes.
std::vector<fs::path> outputs_of(const Settings& s, const std::vector<fs::path>& pictures,
                                 std::int64_t scale) {
  const bool file = !s.output.empty() && !fs::is_directory(s.output) &&
                    fs::path(s.output).has_extension() && !s.output.ends_with('/');
  if (file && pictures.size() > 1) {
    throw UsageError(
        fmt::format("{}: one file for {} pictures; give a folder", s.output, pictures.size()));
  }
  std::vector<fs::path> outputs;
  std::set<fs::path> there;
  for (const fs::path& picture : pictures) {
    const std::string ending = scale > 1 ? fmt::format("-x{}.png", scale) : "-restored.png";
    fs::path to = file               ? fs::path(s.output)
                  : s.output.empty() ? picture.parent_path() / (picture.stem().string() + ending)
                                     : fs::path(s.output) / (picture.stem().string() + ".png");
    if (!there.insert(to).second) fail("{}: two pictures would be written there", to.string());
    std::error_code code;
    if (!s.overwrite && fs::exists(to, code)) {
      fail<FileError>("{}: is there already; --overwrite writes over it", to.string());
    }
    outputs.push_back(std::move(to));
  }
  if (!file && !s.output.empty()) fs::create_directories(s.output);
  return outputs;
}

void evaluate(const Settings& s, const Upscaler& model, Program& program) {
  const UpscaleModel& m = model.model();
  const RestoreScores scores = score_restored(m, restore_pairs(m, read_picture_files(s.evaluate)));
  write_output(program.json ? scores.psnr.json() + "\n" + scores.ssim.json() + "\n"
                            : scores.psnr.text() + scores.ssim.text());
}

void upscale(const Settings& s, Program& program) {
  if (s.evaluate.empty() == s.pictures.empty()) {
    throw UsageError("give pictures to upscale, or --evaluate");
  }
  if (!s.evaluate.empty() && !s.output.empty()) {
    throw UsageError("--evaluate prints scores and writes no --output");
  }
  const auto model = Upscaler::load(s.model);
  for (const std::string& note : model.info().notes) program.console.line("qkv: " + note);
  if (!s.evaluate.empty()) return evaluate(s, model, program);
  const std::vector<fs::path> pictures = picture_paths(s.pictures);
  const std::vector<fs::path> outputs = outputs_of(s, pictures, model.scale());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const Picture in = read_picture(pictures[i]);
    try {
      model.check(in);
    } catch (const Error& e) {
      fail("{}: {}", pictures[i].string(), e.what());
    }
    check_picture_name(outputs[i], in.channels);
    const Picture out = model.upscale(in, program.console.progress());
    save_picture(out, outputs[i]);
    program.console.clear();
    write_output(program.json
                     ? nlohmann::json{{"picture", pictures[i].string()},
                                      {"output", outputs[i].string()},
                                      {"width", out.width},
                                      {"height", out.height}}
                               .dump() +
                           "\n"
                     : fmt::format("{}: {} × {}\n", outputs[i].string(), out.width, out.height));
    flush_output();
  }
}

}  // namespace

void add_upscale(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("upscale", "Enlarge pictures, or clean them");
  c.footer(
      "PNG, JPEG, PPM and PGM of any size in bounded memory, without seams; a model of scale 1 "
      "takes\n"
      "noise or JPEG's losses away. Transparency is shown over white; grey pictures stay grey.");
  c.options(*s);
  c.positional("pictures", s->pictures, "Pictures, or folders of them");
  program.add_json(c, "One JSON object a picture");
  program.add_threads(c);
  c.action([s, &program] { upscale(*s, program); });
}

}  // namespace qkv::app
