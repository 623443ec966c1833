// A model of sounds as it lies in a directory: the network, how sound becomes its rows, and what
// the answers are called.
//   config.json        format, task "sound", labels, unit, rest, frames, means, deviations, model
//   model.safetensors  weights, [in, out], names of for_each_parameter
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/media/sound_frames.h"
#include "qkv/models/sound_network.h"

namespace qkv {

/// What a text is spelled in: characters, with one blank between words, or words.
enum class SpeechUnit : std::uint8_t { character, word };
constexpr std::array<std::string_view, 2> spelling(SpeechUnit) { return {"character", "word"}; }

struct SoundModel {
  SoundNetwork network;
  FrameOptions frames;
  std::vector<double> means, deviations;  // a band each, of the training set
  std::vector<std::string> labels;        // of clips or frames, or the symbols of texts
  SpeechUnit unit = SpeechUnit::character;
  std::string rest;  // frame: the label of what nobody named in training

  /// The network's parameters under its own names, so that a SoundModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    SoundNetwork::each(m.network, visit);
  }
  double seconds_of_row() const {
    return frames.hop_ms / 1000 * static_cast<double>(network.config.stride());
  }
};

/// What a model of sounds is made from besides the sounds.
struct SoundDesign {
  SoundNetwork::Config network;  // bands and symbols come from the frames and the data
  FrameOptions frames;
  SpeechUnit unit = SpeechUnit::character;
  std::string rest = "gap";  // frame: the label of what no stretch of the lists names
};
/// With random weights. Throws Error for labels that are too few, alike or empty, and for numbers
/// that standardise nothing.
SoundModel make_sound_model(const SoundDesign& design, std::vector<std::string> labels,
                            std::vector<double> means, std::vector<double> deviations,
                            std::uint64_t seed);

/// A recording as the network reads it: at the model's rate, as frames, each band less its mean
/// over its deviation: [T M]. Throws DataError with `name` for NaN or infinity, and for a recording
/// that is too short for a row.
Tensor sound_rows(const SoundModel& model, const SoundFrames& frames, const Sound& sound,
                  std::string_view name);
/// (x − mean)/deviation in place.
void standardise(const SoundModel& model, Tensor& rows);

/// Several of them end to end.
SoundBatch pack_sounds(std::span<const Tensor> rows);

/// The units of a text, and a text of them.
std::vector<std::string> units_of(std::string_view text, SpeechUnit unit);
std::string text_of_units(std::span<const std::string> units, SpeechUnit unit);
/// Numbers of a text's units among the labels, −1 for what is none of them.
std::vector<std::int32_t> symbols_of(const SoundModel& model, std::string_view text);

void save_sound_model(const SoundModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, that the parts fit each other, names and shapes of
/// all weights, finite numbers. Each error says the file and what to do.
SoundModel load_sound_model(const std::filesystem::path& directory);

}  // namespace qkv
