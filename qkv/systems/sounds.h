// Models of sounds as a user holds them: a recording in, a label of the whole, labels over time or
// a text out.
//
//   const auto t = qkv::Transcriber::load("digits");
//   std::puts(t.transcribe(std::filesystem::path("call.wav")).text.c_str());
//   t.transcribe(qkv::Sound{.rate = 8000, .samples = numbers});
//
// After load() nothing is written: any number of threads may ask one of them at once. A sound gets
// the same answer whatever stands beside it. Sounds may have any rate and any length; one that is
// too short for a row, or holds NaN or infinity, throws DataError.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/media/sound.h"
#include "qkv/models/speech_method.h"
#include "qkv/systems/system.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

class SoundFrames;
struct SoundModel;  // sound_model.h: what training makes

/// Of a whole recording.
struct SoundLabel {
  std::string label;
  double probability = 0;
  std::vector<double> probabilities;  // of labels() in their order
};

/// Rows of one label that follow each other.
struct SoundStretch {
  std::string label;
  double begin = 0, end = 0;  // seconds
  double probability = 0;     // the mean of its rows
};
struct SoundTags {
  std::vector<SoundStretch> stretches;  // without gaps, from 0 on
  std::vector<std::int32_t> rows;       // a number in labels() for each row
};

struct TranscribeOptions {
  std::int64_t beam = 8;  // 1: the best path of CTC; greedy for a decoder
  /// Of a joint model: which of its two; unset: the decoder.
  std::optional<SpeechMethod> method = {};

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"beam", "Texts that go on at a time (1: best path, greedy)", between(1, 1000)}, o.beam);
    visit({"method", "Of a joint model: ctc or attention (default)"}, o.method);
  }
};
/// A symbol of a text; by CTC with its time.
struct SpokenSymbol {
  std::string symbol;
  double begin = -1, end = -1;  // seconds; −1: unknown
};
struct Transcript {
  std::string text;
  std::vector<SpokenSymbol> symbols;
  double log_probability = 0;  // natural
};

/// What the three have in common.
class SoundSystem {
 public:
  void save(const std::filesystem::path& directory) const;
  const std::vector<std::string>& labels() const;
  /// Samples a second that the model hears; files and sounds of other rates are converted.
  int rate() const;
  /// A file at that rate.
  Sound read(const std::filesystem::path& path) const;
  /// All layers ("encoder"), the one query that pools a clip, or what the decoder attends to
  /// ("cross", "decoder"). Rows and columns are named by their seconds. `most` rows at the most:
  /// neighbours merge.
  AttentionMaps attention(const Sound& sound, std::int64_t most = 400) const;
  Info info() const;
  const SoundModel& model() const { return *model_; }

 protected:
  SoundSystem(SoundModel model, std::string_view task, const LoadOptions& options);
  std::shared_ptr<const SoundModel> model_;
  std::shared_ptr<const SoundFrames> frames_;
  LoadOptions options_;
};

/// One label a recording.
class SoundClassifier : public SoundSystem {
 public:
  /// Throws FileError or DataError when the directory is none of such a model, or damaged.
  static SoundClassifier load(const std::filesystem::path& directory,
                              const LoadOptions& options = {});
  explicit SoundClassifier(SoundModel model, const LoadOptions& options = {});
  SoundLabel classify(const Sound& sound) const;
  SoundLabel classify(const std::filesystem::path& path) const;
};

/// A label for every moment.
class SoundTagger : public SoundSystem {
 public:
  static SoundTagger load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit SoundTagger(SoundModel model, const LoadOptions& options = {});
  SoundTags tag(const Sound& sound) const;
  SoundTags tag(const std::filesystem::path& path) const;
};

/// What is said.
class Transcriber : public SoundSystem {
 public:
  static Transcriber load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit Transcriber(SoundModel model, const LoadOptions& options = {});
  Transcript transcribe(const Sound& sound, const TranscribeOptions& options = {}) const;
  Transcript transcribe(const std::filesystem::path& path,
                        const TranscribeOptions& options = {}) const;
};

}  // namespace qkv
