// Training a model of sounds: the recipe of each task, what is done to sounds while training, the
// task for train().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/media/sound_files.h"
#include "qkv/media/spec_augment.h"
#include "qkv/systems/sound_model.h"
#include "qkv/systems/sound_scores.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a model of sounds besides the sounds (docs/models.md).
struct SoundRecipe : SoundDesign {
  TrainOptions train;
  int sample_rate = 0;  // of `frames`; 0: that of the first sound
  int bands = 0;        // likewise; 0: 80 from 16 kHz on, 40 below
  std::int64_t batch = 32;
  std::int64_t crop = 0;             // frame: an example is so many frames of a sound; 0: all
  std::int64_t first_positions = 0;  // positions begin at random below this; 0: at 0
  double ctc_share = 0.3;            // joint
  SpecAugment hidden;
  bool shift = false;  // by up to half a hop
  double gain = 0;     // decibels, at most

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"sample_rate", "Samples a second that the model hears (0: those of the first file)",
           between(0, 192000)},
          r.sample_rate);
    visit({"bands", "Mel bands a row (0: 80 from 16 kHz on, 40 below)", between(0, 512)}, r.bands);
    visit({"frames", "How sound becomes rows"}, r.frames.kind);
    visit({"window_ms", "Milliseconds of a row", between(1, 1000)}, r.frames.window_ms);
    visit({"hop_ms", "Milliseconds from row to row", between(1, 1000)}, r.frames.hop_ms);
    visit({"snip", "fbank: only windows that lie inside"}, r.frames.snip);
    visit({"unit", "text: symbols are characters or words"}, r.unit);
    visit({"rest", "frame: the label of what no stretch of the lists names"}, r.rest);
    visit(changeable({"batch", "Sounds of a batch", between(1, 1e6)}), r.batch);
    visit({"crop", "frame: so many frames of a sound are an example (0: all)", between(0, 1e9)},
          r.crop);
    visit({"first_positions",
           "Positions begin at random below this while training, for sounds that are longer later",
           between(0, 1e6)},
          r.first_positions);
    visit({"ctc_share", "joint: of the loss; the rest is the decoder's", between(0, 1)},
          r.ctc_share);
    SpecAugment::each(r.hidden, visit);
    visit({"shift", "Shift sounds by up to half a hop at random"}, r.shift);
    visit({"gain", "Make sounds louder or softer by up to so many dB at random", between(0, 60)},
          r.gain);
  }
  /// Throws Error for what cannot be, before any sound is read.
  void check() const;
  bool varies() const { return shift || gain > 0; }
};
/// What docs/results.md has: AdamW 1e-3, decay .01, warm-up, then linear to 0, clip 1.
SoundRecipe sound_recipe(SoundTask task);

/// The whole run on data.train, judged by data.valid; `run` says where and whether it goes on.
/// Throws Error before the first step for what cannot be.
TrainReport train_sounds(const SoundRecipe& recipe, SoundData data, TrainingRun& run,
                         const TrainWatch& watch = {});

struct SoundTraining {
  const SoundExamples& train;
  const SoundExamples& valid;
  const SoundRecipe& recipe;
};
/// The task of train() for `model`; both must outlive it.
TrainTask sound_task(SoundModel& model, const SoundTraining& training);

}  // namespace qkv
