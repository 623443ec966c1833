#include "qkv/systems/sounds.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/hear.h"
#include "qkv/systems/sound_model.h"

namespace qkv {
namespace {

constexpr const char* kSamples = "sound";  // what messages call samples without a file

std::string_view verb_of(SoundTask task) {
  switch (task) {
    case SoundTask::clip:
      return "classify";
    case SoundTask::frame:
      return "tag";
    case SoundTask::text:
      break;
  }
  return "transcribe";
}

SoundModel model_of(const std::filesystem::path& directory, SoundTask task) {
  SoundModel model = load_sound_model(directory);
  const SoundTask is = model.network.config.task;
  if (is != task) {
    throw DataError(
        directory.string(), 0,
        fmt::format("holds a model of sounds by {}; see qkv {}", name_of(is), verb_of(is)));
  }
  return model;
}

/// "0.40"
std::vector<std::string> seconds_of(std::int64_t rows, double row) {
  std::vector<std::string> names;
  for (std::int64_t t = 0; t < rows; ++t) {
    names.push_back(fmt::format("{:.2f}", static_cast<double>(t) * row));
  }
  return names;
}

}  // namespace

SoundSystem::SoundSystem(SoundModel model, std::string_view task, const LoadOptions& options)
    : model_(std::make_shared<const SoundModel>(std::move(model))),
      frames_(std::make_shared<const SoundFrames>(model_->frames)),
      options_(options) {
  if (name_of(model_->network.config.task) != task) {
    fail("a model of sounds by {} is none by {}", name_of(model_->network.config.task), task);
  }
}

void SoundSystem::save(const std::filesystem::path& directory) const {
  save_sound_model(*model_, directory);
}

const std::vector<std::string>& SoundSystem::labels() const { return model_->labels; }
int SoundSystem::rate() const { return model_->frames.rate; }

Sound SoundSystem::read(const std::filesystem::path& path) const {
  Sound sound = read_sound(path, {.rate = rate()});
  if (frames_->count(static_cast<std::int64_t>(sound.samples.size())) == 0) {
    throw DataError(path.string(), 0,
                    fmt::format("has {} samples, too few for a row", sound.samples.size()));
  }
  return sound;
}

AttentionMaps SoundSystem::attention(const Sound& sound, std::int64_t most) const {
  const ThreadScope threads(options_.threads);
  const SoundModel& m = *model_;
  const SoundNetwork::Config& c = m.network.config;
  const Tensor rows[] = {sound_rows(m, *frames_, sound, kSamples)};
  AttentionMaps maps;
  std::vector<std::int32_t> in;
  if (c.task == SoundTask::clip) {
    const auto p = hear_clips(m, rows).front();
    maps.target = {m.labels[static_cast<std::size_t>(std::ranges::max_element(p) - p.begin())]};
    maps.title = maps.target.front();
  } else if (c.task == SoundTask::text) {
    const Transcript t = hear_texts(m, rows).front();
    maps.title = t.text;
    in = symbols_of(m, t.text);
    in.insert(in.begin(), static_cast<std::int32_t>(c.symbols) + 1);
    maps.target_in = {"<s>"};
    for (const SpokenSymbol& s : t.symbols) maps.target.push_back(s.symbol);
    maps.target_in.insert(maps.target_in.end(), maps.target.begin(), maps.target.end());
    maps.target.push_back("</s>");
  }
  std::int64_t count = 0;
  const auto seen = attention_seen([&] {
    const SoundStates states = m.network.encode(pack_sounds(rows));
    count = states.segments.total();
    if (c.task == SoundTask::clip) (void)m.network.logits(states);
    if (!c.spells()) return;
    (void)m.network.decoder.states(in, Segments::one(static_cast<std::int64_t>(in.size())), states,
                                   0.0);
  });
  maps.source = seconds_of(count, m.seconds_of_row());
  add_maps(maps, seen);
  return shrink(maps, most);
}

Info SoundSystem::info() const {
  const SoundModel& m = *model_;
  const SoundNetwork::Config& c = m.network.config;
  Info info = describe("sound", "", std::string(name_of(c.task)), m);
  info.summary = c.task == SoundTask::clip    ? "labels of sounds"
                 : c.task == SoundTask::frame ? "labels of sounds over time"
                                              : fmt::format("texts of sounds by {} ({})",
                                                            name_of(c.method), name_of(m.unit));
  info.facts.emplace_back(
      "sizes",
      fmt::format("width {}, {} layers, {} heads{}", c.width, c.layers, c.heads,
                  c.spells() ? fmt::format(", decoder of {} layers", c.decoder_layers) : ""));
  info.facts.emplace_back(
      "hears", fmt::format("{} Hz, {} bands of {}, a row every {} ms", rate(), m.frames.bands,
                           name_of(m.frames.kind), 1000 * m.seconds_of_row()));
  info.facts.emplace_back(c.task == SoundTask::text ? "symbols" : "labels",
                          std::to_string(m.labels.size()));
  tell_options(c, info);
  return info;
}

SoundClassifier::SoundClassifier(SoundModel model, const LoadOptions& options)
    : SoundSystem(std::move(model), name_of(SoundTask::clip), options) {}
SoundClassifier SoundClassifier::load(const std::filesystem::path& directory,
                                      const LoadOptions& options) {
  return SoundClassifier(model_of(directory, SoundTask::clip), options);
}

SoundLabel SoundClassifier::classify(const Sound& sound) const {
  const ThreadScope threads(options_.threads);
  const Tensor rows[] = {sound_rows(*model_, *frames_, sound, kSamples)};
  SoundLabel answer{.probabilities = std::move(hear_clips(*model_, rows).front())};
  const auto best = std::ranges::max_element(answer.probabilities);
  answer.label = labels()[static_cast<std::size_t>(best - answer.probabilities.begin())];
  answer.probability = *best;
  return answer;
}
SoundLabel SoundClassifier::classify(const std::filesystem::path& path) const {
  return classify(read(path));
}

SoundTagger::SoundTagger(SoundModel model, const LoadOptions& options)
    : SoundSystem(std::move(model), name_of(SoundTask::frame), options) {}
SoundTagger SoundTagger::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return SoundTagger(model_of(directory, SoundTask::frame), options);
}

SoundTags SoundTagger::tag(const Sound& sound) const {
  const ThreadScope threads(options_.threads);
  const Tensor rows[] = {sound_rows(*model_, *frames_, sound, kSamples)};
  HeardFrames heard = std::move(hear_frames(*model_, rows).front());
  SoundTags tags{.stretches = stretches_of(*model_, heard)};
  tags.rows = std::move(heard.labels);
  return tags;
}
SoundTags SoundTagger::tag(const std::filesystem::path& path) const { return tag(read(path)); }

Transcriber::Transcriber(SoundModel model, const LoadOptions& options)
    : SoundSystem(std::move(model), name_of(SoundTask::text), options) {}
Transcriber Transcriber::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return Transcriber(model_of(directory, SoundTask::text), options);
}

Transcript Transcriber::transcribe(const Sound& sound, const TranscribeOptions& options) const {
  const ThreadScope threads(options_.threads);
  const Tensor rows[] = {sound_rows(*model_, *frames_, sound, kSamples)};
  return std::move(hear_texts(*model_, rows, options).front());
}
Transcript Transcriber::transcribe(const std::filesystem::path& path,
                                   const TranscribeOptions& options) const {
  return transcribe(read(path), options);
}

}  // namespace qkv
