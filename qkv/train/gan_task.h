// The two players' steps as a task of train().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/train/gan.h"
#include "qkv/train/optimiser.h"

namespace qkv {

/// Pictures `of` as rows [B·S·S channels] of v/127.5 − 1.
Tensor picture_rows(const GanPictures& pictures, std::span<const std::int64_t> of);

/// What is given to the generator.
struct GanDraw {
  Tensor noise;                       // [B noise]
  std::vector<std::int32_t> classes;  // drawn as often as they stand in the data
};

/// The game of both networks, which must outlive it, as everything else it is made with.
class GanGame {
 public:
  GanGame(GanPlayers& players, const GanRecipe& recipe, const GanPictures& pictures);

  /// The discriminator's turn: forward, backward, update. Gives its loss.
  double discriminator_turn(std::span<const std::int64_t> examples, std::int64_t step, double rate);
  /// The generator's loss, recorded on the tape of the caller; the discriminator is a constant.
  Tensor generator_loss(std::int64_t step) const;
  /// What each turn of a step draws, a pure function of seed, step and player.
  GanDraw draw(std::int64_t step, std::string_view player) const;

  std::int64_t step() const { return step_; }
  /// For train() with an optimiser of the generator.
  TrainTask task();

 private:
  Tensor made(const GanDraw& draw) const;
  Validation validate() const;
  std::vector<std::pair<std::string, Tensor>> held() const;

  GanPlayers& players_;
  const GanRecipe& recipe_;
  const GanPictures& pictures_;
  Optimiser optimiser_;  // the discriminator's
  std::int64_t step_ = 0;
};

}  // namespace qkv
