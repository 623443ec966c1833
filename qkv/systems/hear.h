// What a model of sounds says of rows: batches of one forward pass each, the same for any batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/systems/sound_model.h"
#include "qkv/systems/sounds.h"

namespace qkv {

/// Frames of a batch that predictions are made in, at most; a sound alone may be longer.
constexpr std::int64_t kHeardFrames = 4096;

/// The probabilities of every clip: clips × labels. Rows as sound_rows() gives them.
std::vector<std::vector<double>> hear_clips(const SoundModel& model, std::span<const Tensor> rows);

/// Labels of the frames, the likeliest, and how likely.
struct HeardFrames {
  std::vector<std::int32_t> labels;
  std::vector<double> probabilities;
};
std::vector<HeardFrames> hear_frames(const SoundModel& model, std::span<const Tensor> rows);

std::vector<Transcript> hear_texts(const SoundModel& model, std::span<const Tensor> rows,
                                   const TranscribeOptions& options = {});
/// Throws UsageError when a model has no such method.
SpeechMethod method_of(const SoundModel& model, const TranscribeOptions& options);

/// Runs of equal labels.
std::vector<SoundStretch> stretches_of(const SoundModel& model, const HeardFrames& frames);

}  // namespace qkv
