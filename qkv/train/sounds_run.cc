// Sounds in, a trained model of them out.
#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/media/listing.h"
#include "qkv/ops/ctc.h"
#include "qkv/train/sounds.h"

namespace qkv {
namespace {

/// Of everything that training reads.
std::string fingerprint_of(const LabelledSounds& set) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < set.size(); ++i) {
    sum = key_of(sum, set.sounds[i].rate, set.sounds[i].samples.size());
    for (const float x : set.sounds[i].samples) sum = sum * 31 + std::bit_cast<std::uint32_t>(x);
    if (!set.texts.empty()) sum = key_of(sum, hash_name(set.texts[i]));
    if (set.spans.empty()) continue;
    for (const SoundSpan& span : set.spans[i]) {
      sum = key_of(sum, std::bit_cast<std::uint64_t>(span.begin),
                   std::bit_cast<std::uint64_t>(span.end), hash_name(span.label));
    }
  }
  return fmt::format("{} sounds, {:016x}", set.size(), sum);
}

/// What is to be answered, in the order of labels everywhere: as numbers where all are.
std::vector<std::string> labels_in(const SoundRecipe& r, const LabelledSounds& train) {
  std::set<std::string> found;
  switch (r.network.task) {
    case SoundTask::clip:
      found.insert(train.texts.begin(), train.texts.end());
      break;
    case SoundTask::frame:
      found.insert(r.rest);
      for (const auto& spans : train.spans) {
        for (const SoundSpan& span : spans) found.insert(span.label);
      }
      break;
    case SoundTask::text:
      for (const std::string& text : train.texts) {
        const auto units = units_of(text, r.unit);
        found.insert(units.begin(), units.end());
      }
      break;
  }
  std::vector<std::string> labels(found.begin(), found.end());
  sort_classes(labels, {});
  return labels;
}

/// The mean and deviation of each band over all rows.
std::pair<std::vector<double>, std::vector<double>> moments_of(std::span<const Tensor> rows) {
  const auto bands = static_cast<std::size_t>(rows.front().dim(1));
  std::vector<double> mean(bands, 0.0), square(bands, 0.0);
  double count = 0;
  for (const Tensor& one : rows) {
    const std::span<const float> x = one.values();
    for (std::size_t i = 0; i < x.size(); ++i) mean[i % bands] += static_cast<double>(x[i]);
    count += static_cast<double>(one.dim(0));
  }
  for (double& m : mean) m /= count;
  for (const Tensor& one : rows) {
    const std::span<const float> x = one.values();
    for (std::size_t i = 0; i < x.size(); ++i) {
      square[i % bands] += std::pow(static_cast<double>(x[i]) - mean[i % bands], 2);
    }
  }
  // A band that never changes (digital silence) must divide by something.
  for (double& s : square) s = s > 0 ? std::sqrt(s / count) : 1.0;
  return {mean, square};
}

/// At the model's rate, where training is to vary them.
void keep_sounds(const SoundModel& model, LabelledSounds& sounds, SoundExamples& set) {
  set.frames = std::make_shared<const SoundFrames>(model.frames);
  for (Sound& sound : sounds.sounds) {
    set.sounds.push_back(sound.rate == model.frames.rate ? std::move(sound)
                                                         : resampled(sound, model.frames.rate));
  }
}

double seconds_of(const LabelledSounds& set) {
  double seconds = 0;
  for (const Sound& s : set.sounds) seconds += static_cast<double>(s.samples.size()) / s.rate;
  return seconds;
}

/// What does not fit, said before the first step.
void say_what_fails(const SoundModel& model, const SoundExamples& train, const SoundExamples& valid,
                    const TrainWatch& watch) {
  const SoundNetwork& network = model.network;
  if (network.config.has_ctc()) {
    std::int64_t impossible = 0;
    for (std::size_t i = 0; i < train.size(); ++i) {
      std::vector<std::int32_t> text = train.labels[i];
      for (std::int32_t& label : text) ++label;
      if (ctc_rows(text) > network.rows_of(train.rows[i].dim(0))) ++impossible;
    }
    if (impossible == static_cast<std::int64_t>(train.size())) {
      fail("no text fits its sound: each needs more rows than there are; take smaller strides");
    }
    if (impossible > 0) {
      watch.say(fmt::format(
          "{} texts need more rows than their sounds have and teach CTC nothing; smaller strides "
          "would do",
          impossible));
    }
  }
  std::int64_t unknown = 0;
  for (const auto& labels : valid.labels) unknown += std::ranges::count(labels, -1);
  if (unknown > 0) {
    watch.say(fmt::format("{} labels of the validation are none that training knows", unknown));
  }
}

/// What the recipe leaves to the sounds.
FrameOptions frames_for(const SoundRecipe& r, const LabelledSounds& train) {
  constexpr int kFull = 16000;
  FrameOptions frames = r.frames;
  frames.rate = r.sample_rate > 0 ? r.sample_rate : train.sounds.front().rate;
  frames.bands = r.bands > 0 ? r.bands : frames.rate >= kFull ? 80 : 40;
  return frames;
}

}  // namespace

SoundRecipe sound_recipe(SoundTask task) {
  SoundRecipe r;
  r.network = sound_sizes(task);
  r.train.optimiser.beta2 = 0.999;
  r.train.optimiser.decay = 0.01;
  r.train.optimiser.clip_norm = 1.0;
  r.train.schedule.kind = Schedule::Kind::linear;
  r.train.schedule.rate = 1e-3;
  r.train.schedule.warm_up = 100;
  r.train.report_every = 20;
  r.train.validate_every = 100;
  r.train.steps = 600;
  if (task == SoundTask::clip) return r;
  r.batch = 16;
  if (task == SoundTask::frame) {
    r.crop = 150;
    r.first_positions = 1000;
    r.train.steps = 900;
    return r;
  }
  r.first_positions = 200;
  r.train.steps = 1500;
  r.train.schedule.warm_up = 200;
  return r;
}

void SoundRecipe::check() const {
  check_ranges(*this);
  train.check();
  SoundNetwork::Config c = network;  // what only the data says
  c.symbols = 2;
  c.check();
  if (rest.empty() || rest.find('\t') != rest.npos) throw UsageError("--rest: needs a name");
}

TrainReport train_sounds(const SoundRecipe& recipe, SoundData data, TrainingRun& run,
                         const TrainWatch& watch) {
  SoundRecipe r = recipe;
  run.record.data = {{"train", fingerprint_of(data.train)}, {"valid", fingerprint_of(data.valid)}};
  std::optional<SoundModel> begun;
  if (run.resumes()) begun = load_sound_model(run.state());
  r.frames = begun ? begun->frames : frames_for(r, data.train);
  std::vector<Tensor> rows = frames_of(r.frames, data.train);
  if (!begun) {
    auto [means, deviations] = moments_of(rows);
    begun = make_sound_model(r, labels_in(r, data.train), std::move(means), std::move(deviations),
                             r.train.seed);
  }
  SoundModel& model = *begun;
  watch.say(fmt::format("sounds: {} to train on ({:.0f} s), {} to validate on ({:.0f} s)",
                        data.train.size(), seconds_of(data.train), data.valid.size(),
                        seconds_of(data.valid)));
  SoundExamples train = encode_sounds(model, std::move(rows), data.train);
  if (r.varies()) keep_sounds(model, data.train, train);
  const SoundExamples valid = encode_sounds(model, data.valid);
  data = {};
  const SoundNetwork::Config& c = model.network.config;
  watch.say(fmt::format("model: {} parameters ({}{}), {} Hz in {} bands, {} {}",
                        grouped(parameter_count(model)), name_of(c.task),
                        c.task == SoundTask::text ? fmt::format(", {}", name_of(c.method)) : "",
                        model.frames.rate, c.bands, model.labels.size(),
                        c.task == SoundTask::text ? "symbols" : "labels"));
  say_what_fails(model, train, valid, watch);
  run.curve_score = c.task == SoundTask::text
                        ? std::pair<std::string, std::string>{"error_rate", "error rate"}
                        : std::pair<std::string, std::string>{"accuracy", "accuracy"};
  const SoundTraining training{.train = train, .valid = valid, .recipe = r};
  return run.train(model, sound_task(model, training), r.train, watch);
}

}  // namespace qkv
