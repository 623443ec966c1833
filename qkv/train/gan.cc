#include "qkv/train/gan.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/random.h"
#include "qkv/media/resize.h"
#include "qkv/media/sheet.h"
#include "qkv/systems/picture_generator.h"
#include "qkv/train/gan_task.h"

namespace qkv {
namespace {

constexpr const char* kSamples = "samples";

std::string fingerprint_of(const GanPictures& pictures) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < pictures.pictures.size(); ++i) {
    const std::vector<std::uint8_t>& bytes = pictures.pictures[i].bytes;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    sum = key_of(sum, hash_name(text), pictures.labels[i]);
  }
  for (const std::string& name : pictures.classes) sum = key_of(sum, hash_name(name));
  return fmt::format("{} pictures, {:016x}", pictures.pictures.size(), sum);
}

SaganConfig config_of(const GanDesign& d) {
  SaganConfig c;
  c.size = d.size;
  c.width = d.width;
  c.noise = d.noise;
  c.attention = side_of(d.attention);
  c.form = d.form;
  c.moving_decay = d.moving_decay;
  c.classes = 1;
  return c;
}

Picture squared(const Picture& p, int size, int channels) {
  const int side = std::min(p.height, p.width);
  Picture square = cropped(p, (p.height - side) / 2, (p.width - side) / 2, side, side);
  if (side != size) square = resize_bicubic(square, size, size);
  return channels == 3 && square.channels == 1 ? rgb_of(square) : square;
}

void save_sheet(const GanModel& model, const GanRecipe& r, const std::filesystem::path& file) {
  const PictureGenerator generator(model);
  std::vector<Picture> pictures;
  for (MadePicture& made :
       generator.generate({.count = r.sheet, .label = {}, .seed = r.train.seed})) {
    pictures.push_back(std::move(made.picture));
  }
  save_picture(picture_sheet(pictures), file);
}

}  // namespace

std::int64_t side_of(AttentionSide side) {
  return side == AttentionSide::none ? 0 : std::int64_t{4} << static_cast<int>(side);
}

GanRecipe gan_recipe() {
  GanRecipe r;
  r.train.optimiser.beta1 = 0;
  r.train.optimiser.beta2 = 0.9;
  r.train.schedule = {.kind = Schedule::Kind::constant, .rate = 1e-4, .warm_up = 0};
  r.train.steps = 10'000;
  r.train.validate_every = 500;
  return r;
}

void GanRecipe::check() const {
  check_ranges(static_cast<const GanDesign&>(*this));
  check_ranges(*this);
  config_of(*this).check();
  train.check();
  if (train.accumulate != 1) {
    fail("--accumulate {}: both players step with every batch; give a larger --batch",
         train.accumulate);
  }
  if (train.patience > 0) {
    fail("--patience: no number says which generator is better; give --steps or --minutes");
  }
}

GanPictures gan_pictures(const PictureSet& set, const GanRecipe& r) {
  if (static_cast<std::int64_t>(set.pictures.size()) < r.batch) {
    fail("training: {} pictures do not fill a batch of {}; give more, or a smaller --batch",
         set.pictures.size(), r.batch);
  }
  const bool colour = std::any_of(set.pictures.begin(), set.pictures.end(),
                                  [](const Picture& p) { return p.channels == 3; });
  GanPictures out;
  for (const Picture& p : set.pictures) {
    out.pictures.push_back(squared(p, static_cast<int>(r.size), colour ? 3 : 1));
  }
  if (r.unconditional || set.classes.size() < 2) {
    out.labels.assign(set.pictures.size(), 0);
  } else {
    out.labels.assign(set.labels.begin(), set.labels.end());
    out.classes = set.classes;
  }
  return out;
}

GanPlayers make_gan(const GanRecipe& r, const GanPictures& pictures) {
  SaganConfig c = config_of(r);
  c.channels = pictures.pictures.front().channels;
  c.classes = std::max<std::int64_t>(1, static_cast<std::int64_t>(pictures.classes.size()));
  const Initialiser init(r.train.seed);
  return {.model = {.network = SaganGenerator::make(init.branch(1), c), .labels = pictures.classes},
          .discriminator = SaganDiscriminator::make(init.branch(2), c)};
}

TrainReport train_gan(const GanRecipe& r, const GanPictures& pictures, TrainingRun& run,
                      const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(pictures)}};
  GanPlayers players = make_gan(r, pictures);
  if (run.resumes()) players.model = load_gan_model(run.state());
  watch.say(fmt::format("pictures: {} of {} × {}, {}, {}",
                        grouped(static_cast<std::int64_t>(pictures.pictures.size())), r.size,
                        r.size, pictures.pictures.front().channels == 1 ? "grey" : "colour",
                        pictures.classes.empty()
                            ? "without classes"
                            : fmt::format("{} classes", pictures.classes.size())));
  watch.say(fmt::format(
      "model: {} parameters of the generator, {} of the discriminator; attention {}",
      grouped(parameter_count(players.model)), grouped(parameter_count(players.discriminator)),
      r.attention == AttentionSide::none
          ? "none"
          : fmt::format("at {} × {}", name_of(r.attention), name_of(r.attention))));
  GanGame game(players, r, pictures);
  TrainTask task = game.task();
  bool older = !run.resumes();  // sheets of a run in whose place this one comes
  task.keep = [&](const std::filesystem::path& folder) { save_gan_model(players.model, folder); };
  task.save = [&](const std::filesystem::path& directory) {
    save_gan_model(players.model, directory);
    if (r.sheet == 0) return;
    const std::filesystem::path samples = directory / kSamples;
    std::error_code code;
    if (older) std::filesystem::remove_all(samples, code);
    older = false;
    make_folder(samples);
    save_sheet(players.model, r, samples / fmt::format("{:07}.png", game.step()));
  };
  run.curve_score = {"", ""};
  run.curve = {.field = "discriminator",
               .train = "discriminator",
               .valid = "discriminator, of fixed noise",
               .unit = "loss"};
  return run.train(players.model, std::move(task), r.train, watch);
}

}  // namespace qkv
