// SpecAugment (Park et al. 2019) without its warping of time: whole bands and stretches of time of
// a clip are hidden while training, so that a model cannot lean on any of them.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/base/options.h"
#include "qkv/base/random.h"
#include "qkv/media/sound.h"

namespace qkv {

/// The defaults are for digits in 40 bands; LibriSpeech's policy is {27, 2, 100, 2, 1}.
struct SpecAugment {
  int bands = 6;        // F: at most so many bands at once
  int band_masks = 1;   // as often
  int frames = 20;      // T: at most so many rows at once
  int frame_masks = 1;  // as often
  double share = 0.1;   // p: and at most this share of the clip

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"mask_bands", "Bands that SpecAugment hides at once, at most", at_least(0)}, s.bands);
    visit({"band_masks", "How often", between(0, 100)}, s.band_masks);
    visit({"mask_frames", "Rows that it hides at once, at most", at_least(0)}, s.frames);
    visit({"frame_masks", "How often", between(0, 100)}, s.frame_masks);
    visit({"mask_share", "The share of a clip that it hides at once, at most", between(0, 1)},
          s.share);
  }
};

/// rows: [T bands] of one clip, standardised: hidden numbers become 0, the mean. Widths are uniform
/// in 0 … the most, places uniform where they fit.
void spec_augment(std::span<float> rows, int bands, const SpecAugment& how, Philox& random);

/// A shift of at most ± half a hop (zeros come in) and a gain of at most ± `decibels`, both
/// uniform.
void vary(Sound& sound, int hop, double decibels, Philox& random);

}  // namespace qkv
