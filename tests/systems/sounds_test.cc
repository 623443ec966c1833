#include "qkv/systems/sounds.h"

#include <cmath>
#include <limits>
#include <thread>

#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/random.h"
#include "qkv/systems/hear.h"
#include "qkv/systems/open.h"
#include "qkv/systems/sound_look.h"
#include "qkv/systems/sound_model.h"
#include "qkv/systems/sound_scores.h"

namespace qkv {
namespace {

TEST(Sounds, SavedIsLoadedToTheBit) {
  const Temporary folder;
  const Sound sound = tiny::noise_sound(8000, 4000, 1);
  const SoundClassifier clips(tiny::sound_model(SoundTask::clip));
  clips.save(folder / "clips");
  EXPECT_EQ(SoundClassifier::load(folder / "clips").classify(sound).probabilities,
            clips.classify(sound).probabilities);
  const SoundTagger frames(tiny::sound_model(SoundTask::frame));
  frames.save(folder / "frames");
  EXPECT_EQ(SoundTagger::load(folder / "frames").tag(sound).rows, frames.tag(sound).rows);
  EXPECT_EQ(frames.tag(sound).rows.size(), 50U);
  for (const SpeechMethod method :
       {SpeechMethod::ctc, SpeechMethod::attention, SpeechMethod::joint}) {
    const Transcriber texts(tiny::sound_model(SoundTask::text, method));
    texts.save(folder / "texts");
    const Transcriber again = Transcriber::load(folder / "texts");
    EXPECT_EQ(again.transcribe(sound).text, texts.transcribe(sound).text);
    EXPECT_EQ(again.transcribe(sound).log_probability, texts.transcribe(sound).log_probability);
    EXPECT_EQ(verb_of(open(folder / "texts")), "transcribe");
  }
  EXPECT_EQ(verb_of(open(folder / "clips")), "classify --sounds");
  EXPECT_EQ(info_of(open(folder / "frames")).task, "sound");
  EXPECT_THROW((void)SoundTagger::load(folder / "clips"), DataError);
  EXPECT_EQ(task_of(folder / "clips"), "sound");
  EXPECT_EQ(task_of(folder / "nothing"), "");
}

TEST(Sounds, StretchesCoverTheSoundWithoutGaps) {
  const SoundTagger frames(tiny::sound_model(SoundTask::frame));
  const SoundTags tags = frames.tag(tiny::noise_sound(8000, 8000, 2));
  ASSERT_FALSE(tags.stretches.empty());
  double end = 0;
  for (const SoundStretch& s : tags.stretches) {
    EXPECT_EQ(s.begin, end);
    EXPECT_GT(s.end, s.begin);
    end = s.end;
  }
  EXPECT_DOUBLE_EQ(end, 1.0);
}

TEST(Sounds, NeighboursAndThreadsDoNotMatter) {
  const SoundModel model = tiny::sound_model(SoundTask::text, SpeechMethod::joint);
  const SoundFrames frames(model.frames);
  std::vector<Tensor> rows;
  for (std::size_t n = 0; n < 4; ++n) {
    rows.push_back(sound_rows(model, frames, tiny::noise_sound(8000, 3000 + 900 * n, n), "noise"));
  }
  for (const SpeechMethod method : {SpeechMethod::ctc, SpeechMethod::attention}) {
    const auto all = hear_texts(model, rows, {.beam = 3, .method = method});
    for (std::size_t n = 0; n < 4; ++n) {
      const auto one =
          hear_texts(model, std::span(rows).subspan(n, 1), {.beam = 3, .method = method});
      EXPECT_EQ(one.front().text, all[n].text);
      EXPECT_EQ(one.front().log_probability, all[n].log_probability);
    }
  }
  const Transcriber shared(tiny::sound_model(SoundTask::text), {.threads = 1});
  const Sound sound = tiny::noise_sound(8000, 6000, 5);
  const std::string alone = shared.transcribe(sound).text;
  std::vector<std::string> texts(3);
  std::vector<std::thread> askers;
  for (std::string& text : texts)
    askers.emplace_back([&] { text = shared.transcribe(sound).text; });
  for (std::thread& t : askers) t.join();
  for (const std::string& text : texts) EXPECT_EQ(text, alone);
}

TEST(Sounds, OtherRatesAreConverted) {
  const SoundClassifier clips(tiny::sound_model(SoundTask::clip));
  Sound slow{4000, {}}, fast{16000, {}};  // one tone at two rates
  for (int i = 0; i < 4000; ++i)
    slow.samples.push_back(0.3F * static_cast<float>(std::sin(0.6 * i)));
  for (int i = 0; i < 16000; ++i) {
    fast.samples.push_back(0.3F * static_cast<float>(std::sin(0.15 * i)));
  }
  EXPECT_EQ(clips.attention(slow).source.size(), 50U);
  EXPECT_EQ(clips.attention(fast).source.size(), 50U);
}

TEST(Sounds, RefusesWhatIsNoSound) {
  const SoundClassifier clips(tiny::sound_model(SoundTask::clip));
  Sound broken = tiny::noise_sound(8000, 1000, 1);
  broken.samples[17] = std::numeric_limits<float>::quiet_NaN();
  try {
    (void)clips.classify(broken);
    ADD_FAILURE();
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("sample 17"), std::string::npos) << e.what();
  }
  EXPECT_THROW((void)clips.classify(tiny::noise_sound(8000, 79, 1)), DataError);
  EXPECT_NO_THROW((void)clips.classify(tiny::noise_sound(8000, 80, 1)));
  EXPECT_THROW((void)clips.classify(Sound{8000, {}}), DataError);
  EXPECT_THROW((void)clips.classify(Sound{0, std::vector<float>(100)}), Error);
  const Temporary folder;
  write_file(folder / "short.wav", encode_wav(tiny::noise_sound(8000, 20, 1)));
  try {
    (void)clips.classify(folder / "short.wav");
    ADD_FAILURE();
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("short.wav"), std::string::npos) << e.what();
  }
}

TEST(Sounds, RefusesPartsThatDoNotFit) {
  const Temporary folder;
  save_sound_model(tiny::sound_model(SoundTask::clip), folder / "m");
  const std::string config = read_file(folder / "m" / "config.json");
  for (const auto& [from, to] : {std::pair{"\"y\"", "\"x\""},
                                 {"\"bands\": 10", "\"bands\": 11"},
                                 {"\"rate\"", "\"rites\""},
                                 {"1.5", "0.0"}}) {
    std::string changed = config;
    const std::size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, std::string(from).size(), to);
    write_file(folder / "m" / "config.json", changed);
    EXPECT_THROW((void)load_sound_model(folder / "m"), DataError) << to;
  }
}

TEST(Sounds, FrameLabelsFollowTheSamples) {
  const SoundModel model = tiny::sound_model(SoundTask::frame);
  LabelledSounds set;
  set.sounds.push_back(tiny::noise_sound(8000, 800, 1));
  set.paths.emplace_back("a.wav");
  set.spans.push_back({{0.01, 0.03, "y"}, {0.030125, 0.05, "z"}, {0.09, 1, "w"}});
  // Row t is at sample 80 t: 80 and 160 lie in y, 240 is y's end, 320 and no later one in z.
  const std::vector<std::int32_t> expected = {0, 1, 1, 0, 2, 0, 0, 0, 0, -1};
  EXPECT_EQ(encode_sounds(model, set).labels.front(), expected);
}

TEST(Sounds, UnitsOfTexts) {
  EXPECT_EQ(units_of(" ab  ç ", SpeechUnit::character),
            (std::vector<std::string>{"a", "b", " ", "ç"}));
  EXPECT_EQ(units_of(" ab  c ", SpeechUnit::word), (std::vector<std::string>{"ab", "c"}));
  EXPECT_EQ(text_of_units(units_of("ab ç", SpeechUnit::character), SpeechUnit::character), "ab ç");
  EXPECT_EQ(text_of_units(units_of("ab ç", SpeechUnit::word), SpeechUnit::word), "ab ç");
}

TEST(Sounds, AttentionIsNamedByTime) {
  const Sound sound = tiny::noise_sound(8000, 4000, 1);
  const Transcriber texts(tiny::sound_model(SoundTask::text, SpeechMethod::attention));
  const AttentionMaps maps = texts.attention(sound);
  EXPECT_EQ(maps.source.size(), 13U);  // 50 frames, 4 a row
  EXPECT_EQ(maps.source[1], "0.04");
  EXPECT_EQ(maps.target.back(), "</s>");
  EXPECT_EQ(layers_of(maps, AttentionMap::Kind::cross).size(), 1U);
  const AttentionMaps pooled = SoundClassifier(tiny::sound_model(SoundTask::clip)).attention(sound);
  EXPECT_EQ(select(pooled, AttentionMap::Kind::cross, -1, -1).weights.dim(0), 1);
  const SoundAttention along = look_along(texts, sound);
  EXPECT_EQ(along.frames.dim(0), 50);
  EXPECT_DOUBLE_EQ(along.seconds, 0.5);
}

}  // namespace
}  // namespace qkv
