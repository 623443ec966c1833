// Training a generator of pictures against a discriminator (Goodfellow et al. 2014; as SAGAN, Zhang
// et al. 2019): two networks, two optimisers with rates of their own, one update of each a step.
//
// A step: the discriminator sees a batch of real pictures and one that the generator makes, in one
// pass, so that both are judged by the same normalised weights, and is updated; then the generator
// makes another batch and is updated by what the discriminator, unchanged, says of it. Every pass
// of the generator moves its norms' statistics and its vectors u; the discriminator's u move in its
// own turn alone. What is random in a step follows from the seed and the step's number.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/media/media_sets.h"
#include "qkv/models/sagan.h"
#include "qkv/systems/gan_model.h"
#include "qkv/train/run.h"

namespace qkv {

/// Where the networks attend.
enum class AttentionSide : std::uint8_t { none, of_8, of_16, of_32, of_64 };
constexpr std::array<std::string_view, 5> spelling(AttentionSide) {
  return {"none", "8", "16", "32", "64"};
}
/// 0, 8, 16, 32, 64
std::int64_t side_of(AttentionSide side);

/// What the networks are made from besides the pictures.
struct GanDesign {
  std::int64_t size = 32;
  AttentionSide attention = AttentionSide::of_8;
  SaganForm form = SaganForm::released;
  std::int64_t width = 32, noise = 64;
  bool unconditional = false;
  double moving_decay = 0.99;

  template <class Self, class Visit>
  static void each(Self& d, Visit&& visit) {
    visit({"size",
           "Pixels at a side: 8, 16, 32, 64 or 128; pictures are cropped to a square and "
           "resized",
           between(8, 128)},
          d.size);
    visit({"attention", "Side of the feature maps of both networks that attend"}, d.attention);
    visit({"form", "Of the attention: as the code was released, or as the paper has it"}, d.form);
    visit({"width", "Channels at the largest size; twice as many at each smaller one",
           between(1, 4096)},
          d.width);
    visit({"noise", "Numbers that a picture is made from", between(1, 65536)}, d.noise);
    visit({"unconditional", "Let the pictures' classes count for nothing"}, d.unconditional);
    visit({"moving_decay",
           "Of the norms' moving statistics, by which the finished model "
           "normalises (the published code: 0.999)",
           share()},
          d.moving_decay);
  }
};

struct GanRecipe : GanDesign {
  TrainOptions train;
  std::int64_t batch = 64;
  GanLoss loss = GanLoss::hinge;
  double discriminator_rate = 4e-4;
  std::int64_t sheet = 64;

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"batch", "Pictures of each kind a step", between(2, 65536)}, r.batch);
    visit({"loss", "How the two play against each other"}, r.loss);
    visit(changeable({"discriminator_rate",
                      "The discriminator's peak rate (--rate is the generator's)", positive()}),
          r.discriminator_rate);
    visit(
        changeable({"sheet", "Pictures on each sheet of samples (0: no sheets)", between(0, 1024)}),
        r.sheet);
  }
  /// Throws Error for what cannot be, before any file is read.
  void check() const;
};
/// As published, but for the sizes: rates 1e-4 and 4e-4 without a schedule, Adam with β 0 and .9.
GanRecipe gan_recipe();

/// Pictures as the networks see them.
struct GanPictures {
  std::vector<Picture> pictures;     // size × size, of one number of channels
  std::vector<std::int32_t> labels;  // of each
  std::vector<std::string> classes;  // none: unconditional, all labels 0
};
/// Cropped to the square in the middle, resized (bicubic); all in colour when one is. Throws Error
/// for less than a batch.
GanPictures gan_pictures(const PictureSet& set, const GanRecipe& recipe);

/// Both networks of a recipe with random weights.
struct GanPlayers {
  GanModel model;  // the generator
  SaganDiscriminator discriminator;
};
GanPlayers make_gan(const GanRecipe& recipe, const GanPictures& pictures);

/// The whole run. Sheets of samples go to samples/STEP.png in the run's directory, always of the
/// same noise, at each validation; the model that is kept is the newest.
TrainReport train_gan(const GanRecipe& recipe, const GanPictures& pictures, TrainingRun& run,
                      const TrainWatch& watch = {});

}  // namespace qkv
