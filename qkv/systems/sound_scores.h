// Sounds with what is right of them as a model reads them, and how well it does on them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qkv/eval/classification.h"
#include "qkv/eval/error_rate.h"
#include "qkv/media/sound_files.h"
#include "qkv/systems/hear.h"

namespace qkv {

/// One entry a sound each.
struct SoundExamples {
  std::vector<Tensor> rows;                       // [T M], standardised
  std::vector<std::string> names;                 // of files
  std::vector<std::string> texts;                 // clips: labels; texts
  std::vector<std::vector<std::int32_t>> labels;  // clip: one; frame: one a frame; text: symbols.
                                                  // −1: the model has none such
  // Where training is to vary them: at the model's rate, and what makes rows of them.
  std::vector<Sound> sounds = {};
  std::shared_ptr<const SoundFrames> frames = {};
  std::size_t size() const { return rows.size(); }
};

/// Rows of all sounds, not standardised. Throws DataError for one that is too short for a row.
std::vector<Tensor> frames_of(const FrameOptions& frames, const LabelledSounds& sounds);
/// With rows that frames_of() gave, or with its own.
SoundExamples encode_sounds(const SoundModel& model, std::vector<Tensor> rows,
                            const LabelledSounds& sounds);
SoundExamples encode_sounds(const SoundModel& model, const LabelledSounds& sounds);

/// Clips and frames: who was taken for whom. Frames count one each.
ClassReport score_labels(const SoundModel& model, const SoundExamples& set);
/// Of texts by words, or by characters where symbols are characters.
ErrorReport score_texts(const SoundModel& model, const SoundExamples& set,
                        const TranscribeOptions& options = {});
/// What score_labels() or score_texts() say, for people or as JSON.
std::string score_sounds(const SoundModel& model, const LabelledSounds& sounds, bool json,
                         const TranscribeOptions& options = {});

}  // namespace qkv
