#include "qkv/systems/sound_scores.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::int32_t number_of(const SoundModel& model, const std::string& label) {
  const auto found = std::ranges::find(model.labels, label);
  return found == model.labels.end() ? -1 : static_cast<std::int32_t>(found - model.labels.begin());
}

/// Frame t is at sample t·hop, and has the label of the stretch that holds this sample.
std::vector<std::int32_t> labels_of(const SoundModel& model, std::span<const SoundSpan> spans,
                                    std::int64_t frames) {
  std::vector<std::int32_t> labels(at(frames), number_of(model, model.rest));
  const int hop = SoundFrames(model.frames).hop();
  const auto frame_of = [&](double seconds) {  // the first one not before this time
    const std::int64_t sample = std::llround(seconds * model.frames.rate);
    return std::min(frames, (sample + hop - 1) / hop);
  };
  for (const SoundSpan& span : spans) {
    for (std::int64_t t = frame_of(span.begin); t < frame_of(span.end); ++t) {
      labels[at(t)] = number_of(model, span.label);
    }
  }
  return labels;
}

std::string name_or_none(const SoundModel& model, std::int32_t label) {
  return label < 0 ? "(other)" : model.labels[at(label)];
}

}  // namespace

std::vector<Tensor> frames_of(const FrameOptions& options, const LabelledSounds& set) {
  const SoundFrames frames(options);
  std::vector<Tensor> rows(set.size());
  parallel_for(static_cast<std::int64_t>(set.size()), 1, [&](std::int64_t i, std::int64_t) {
    const Sound& sound = set.sounds[at(i)];
    rows[at(i)] = frames(sound.rate == options.rate ? sound : resampled(sound, options.rate));
  });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].dim(0) > 0) continue;
    throw DataError(set.paths[i].string(), 0,
                    fmt::format("has {} samples, too few for a row", set.sounds[i].samples.size()));
  }
  return rows;
}

SoundExamples encode_sounds(const SoundModel& model, std::vector<Tensor> rows,
                            const LabelledSounds& sounds) {
  SoundExamples set{.rows = std::move(rows), .texts = sounds.texts};
  for (std::size_t i = 0; i < set.rows.size(); ++i) {
    standardise(model, set.rows[i]);
    set.names.push_back(sounds.paths[i].string());
    switch (model.network.config.task) {
      case SoundTask::clip:
        set.labels.push_back({number_of(model, sounds.texts[i])});
        break;
      case SoundTask::frame:
        set.labels.push_back(labels_of(model, sounds.spans[i], set.rows[i].dim(0)));
        break;
      case SoundTask::text:
        set.labels.push_back(symbols_of(model, sounds.texts[i]));
        break;
    }
  }
  return set;
}

SoundExamples encode_sounds(const SoundModel& model, const LabelledSounds& sounds) {
  return encode_sounds(model, frames_of(model.frames, sounds), sounds);
}

ClassReport score_labels(const SoundModel& model, const SoundExamples& set) {
  std::vector<std::string> gold, found;
  if (model.network.config.task == SoundTask::clip) {
    for (const auto& p : hear_clips(model, set.rows)) {
      found.push_back(model.labels[at(std::ranges::max_element(p) - p.begin())]);
    }
    gold = set.texts;
  } else {
    const auto heard = hear_frames(model, set.rows);
    for (std::size_t i = 0; i < heard.size(); ++i) {
      for (std::size_t t = 0; t < heard[i].labels.size(); ++t) {
        gold.push_back(name_or_none(model, set.labels[i][t]));
        found.push_back(name_or_none(model, heard[i].labels[t]));
      }
    }
  }
  return score_classes(gold, found);
}

ErrorReport score_texts(const SoundModel& model, const SoundExamples& set,
                        const TranscribeOptions& options) {
  std::vector<std::string> found;
  for (Transcript& t : hear_texts(model, set.rows, options)) found.push_back(std::move(t.text));
  return error_rate(set.texts, found,
                    model.unit == SpeechUnit::word ? ErrorUnit::word : ErrorUnit::character);
}

std::string score_sounds(const SoundModel& model, const LabelledSounds& sounds, bool json,
                         const TranscribeOptions& options) {
  const SoundExamples set = encode_sounds(model, sounds);
  if (model.network.config.task == SoundTask::text) {
    const ErrorReport report = score_texts(model, set, options);
    return json ? report.json() + "\n" : report.text();
  }
  const ClassReport report = score_labels(model, set);
  return json ? report.json() + "\n" : report.text();
}

}  // namespace qkv
