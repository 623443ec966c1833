// Sounds through the verbs: train, classify, tag, transcribe, info, look.
#include "qkv/media/sound.h"

#include <cmath>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/base/random.h"

namespace qkv {
namespace {

using Json = nlohmann::json;

constexpr int kRate = 8000;

/// Tones a, b, c of .12 s between silences of about .08 s.
class Tones : public testing::Test {
 protected:
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }

  void hush(Sound& sound, Philox& random, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      sound.samples.push_back(static_cast<float>(0.001 * (random.uniform() - 0.5)));
    }
  }
  void play(Sound& sound, Philox& random, char tone) {
    const double step = 6.283185307179586 * 500 * std::pow(1.9, tone - 'a') / kRate;
    const double from = 6 * random.uniform();
    for (int i = 0; i < 960; ++i) {
      sound.samples.push_back(static_cast<float>(0.3 * std::sin(from + step * i)));
    }
  }
  /// Writes NAME.wav of such tones; gives the stretches of a list.
  std::string write(const std::string& name, const std::string& tones, std::uint64_t seed) {
    Philox random(seed);
    Sound sound{kRate, {}};
    std::string spans;
    hush(sound, random, 400 + random.below(400));
    for (const char tone : tones) {
      const auto begin = static_cast<double>(sound.samples.size()) / kRate;
      play(sound, random, tone);
      spans += "\t" + std::to_string(begin) + ":" +
               std::to_string(static_cast<double>(sound.samples.size()) / kRate) + ":" + tone;
      hush(sound, random, 400 + random.below(400));
    }
    spill(folder_ / (name + ".wav"), encode_wav(sound));
    return spans;
  }
  /// `count` strings of up to three tones: lists "text" and "frames".
  void write_strings(int count) {
    std::string texts, frames;
    for (int n = 0; n < count; ++n) {
      Philox random(key_of(7, n));
      std::string tones;
      for (std::uint64_t left = 1 + random.below(3); left > 0; --left) {
        tones += static_cast<char>('a' + random.below(3));
      }
      const std::string name = "s" + std::to_string(n);
      frames += name + ".wav" + write(name, tones, key_of(8, n)) + "\n";
      texts += tones + "\t" + name + ".wav\n";
    }
    spill(folder_ / "text.tsv", texts);
    spill(folder_ / "frames.tsv", frames);
  }
  std::string small() {
    return " --bands 20 --width 16 --heads 2 --feed-forward 16 --layers 1 --dropout 0 --rate 0.01 "
           "--warm-up 20 --batch 8 --threads 1 --mask-bands 2 ";
  }
  Temporary folder_;
};

TEST_F(Tones, ClipsAreClassified) {
  std::string list;
  for (int n = 0; n < 24; ++n) {
    const std::string tone(1, static_cast<char>('a' + n % 3)), name = tone + std::to_string(n);
    write(name, tone, static_cast<std::uint64_t>(n));
    list += tone + "\t" + name + ".wav\n";
  }
  spill(folder_ / "clips.tsv", list);
  const std::string train = "train sound --task clip --train " + path("clips.tsv") + " --test " +
                            path("clips.tsv") + small() +
                            " --steps 40 --validate-every 20 --json --model ";
  const Ran trained = run_qkv(train + path("m"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("21 to train on"), std::string::npos) << trained.err;
  EXPECT_GT(Json::parse(trained.out)["accuracy"], 95) << trained.out;

  const Ran answers = run_qkv("classify --model " + path("m") + " --scores --sounds " +
                              path("a0.wav") + " " + path("b1.wav"));
  ASSERT_EQ(answers.exit, 0) << answers.err;
  EXPECT_NE(answers.out.find("a0.wav\ta\t"), std::string::npos) << answers.out;
  EXPECT_NE(answers.out.find("b1.wav\tb\t"), std::string::npos) << answers.out;
  const Ran from_stdin =
      run_qkv("classify --json --model " + path("m"), (folder_ / "c2.wav").string() + "\n");
  EXPECT_EQ(Json::parse(from_stdin.out)["label"], "c");
  const Ran scored =
      run_qkv("classify --json --model " + path("m") + " --evaluate " + path("clips.tsv"));
  EXPECT_EQ(scored.out, trained.out);
  const Ran info = run_qkv("info " + path("m"));
  EXPECT_NE(info.out.find("8000 Hz, 20 bands of log-mel"), std::string::npos) << info.out;
  const Ran look = run_qkv("look " + path("a0.wav") + " --model " + path("m"));
  EXPECT_EQ(look.exit, 0) << look.err;

  // A run that is stopped and goes on gives the same bits, on any number of threads.
  const auto with = [&](const std::string& name, const std::string& more) {
    return "train sound --task clip --train " + path("clips.tsv") + small() +
           "--schedule constant --validate-every 10 --gain 3 --shift --first-positions 9 --model " +
           path(name) + more;
  };
  ASSERT_EQ(run_qkv(with("whole", " --steps 20")).exit, 0);
  ASSERT_EQ(run_qkv(with("part", " --steps 10")).exit, 0);
  const Ran resumed = run_qkv(with("part", " --steps 20 --resume --threads 2"));
  ASSERT_EQ(resumed.exit, 0) << resumed.err;
  EXPECT_EQ(slurp(folder_ / "whole" / "model.safetensors"),
            slurp(folder_ / "part" / "model.safetensors"));
}

TEST_F(Tones, FramesAreTagged) {
  write_strings(40);
  const Ran trained = run_qkv("train sound --task frame --train " + path("frames.tsv") + small() +
                              "--window 8 --crop 30 --steps 60 --rest hush --test " +
                              path("frames.tsv") + " --json --model " + path("m"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_GT(Json::parse(trained.out)["accuracy"], 85) << trained.out;
  write("abc", "abc", 99);
  const Ran tags = run_qkv("tag --json --model " + path("m") + " " + path("abc.wav"));
  ASSERT_EQ(tags.exit, 0) << tags.err;
  std::string heard;
  const Json said = Json::parse(tags.out);
  for (const Json& s : said["stretches"]) {
    if (s["end"].get<double>() - s["begin"].get<double>() > 0.05) heard += s["label"];
  }
  EXPECT_EQ(heard, "abc") << tags.out;
}

TEST_F(Tones, TextsAreTranscribed) {
  write_strings(60);
  for (const std::string method : {"ctc", "attention", "joint"}) {
    if (QKV_SWEEP > 1 && method == "attention") continue;  // joint has the same loops
    const Ran trained =
        run_qkv("train sound --task text --method " + method + " --train " + path("text.tsv") +
                small() + (method == "ctc" ? "" : "--decoder-layers 1 ") + "--steps " +
                (method == "attention" ? "250" : "150") + " --first-positions 0 --test " +
                path("text.tsv") + " --json --model " + path(method));
    ASSERT_EQ(trained.exit, 0) << trained.err;
    const Json score = Json::parse(trained.out);
    EXPECT_LT(score["rate"], 0.2) << method << trained.out;
  }
  write("cab", "cab", 77);
  const Ran text =
      run_qkv("transcribe --model " + path("joint") + " --method ctc --json " + path("cab.wav"));
  ASSERT_EQ(text.exit, 0) << text.err;
  const Json json = Json::parse(text.out);
  EXPECT_EQ(json["symbols"].size(), json["text"].get<std::string>().size());
  EXPECT_LT(json["symbols"][0]["begin"], json["symbols"][0]["end"]);
  const Ran named =
      run_qkv("transcribe --names --model " + path("ctc") + " --beam 1 " + path("cab.wav"));
  EXPECT_TRUE(named.out.find("cab.wav\t") != std::string::npos) << named.out;
  const Ran wrong =
      run_qkv("transcribe --model " + path("ctc") + " --method attention " + path("cab.wav"));
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_NE(wrong.err.find("trained with ctc"), std::string::npos) << wrong.err;
  const Ran other = run_qkv("classify --model " + path("ctc") + " " + path("cab.wav"));
  EXPECT_EQ(other.exit, 1);
  EXPECT_NE(other.err.find("see qkv transcribe"), std::string::npos) << other.err;
}

TEST_F(Tones, SaysWhatIsWrong) {
  write("a", "a", 1);
  write("b", "b", 2);
  spill(folder_ / "empty.wav", encode_wav({kRate, {}}));
  spill(folder_ / "broken.wav", "no sound");
  spill(folder_ / "bad.tsv", "a\ta.wav\nb\tb.wav\na\tempty.wav\nb\tbroken.wav\n");
  const std::string train = "train sound" + small() + "--steps 1 --model " + path("m");
  const auto says = [&](const std::string& command, int exit, const std::string& what) {
    const Ran ran = run_qkv(command);
    EXPECT_EQ(ran.exit, exit) << command;
    EXPECT_NE(ran.err.find(what), std::string::npos) << ran.err;
    // With what --help knows, or with what was left out before.
    EXPECT_LE(std::count(ran.err.begin(), ran.err.end(), '\n'), exit == 2 ? 2 : 3) << ran.err;
  };
  says(train + " --train " + path("bad.tsv"), 1, "empty.wav");
  says(train + " --task frame --train " + path("bad.tsv"), 1, "bad.tsv:1");
  says(train + " --method ctc --train " + path("bad.tsv"), 2, "--method is for --task text");
  says(train + " --task text --decoder-layers 2 --train " + path("bad.tsv"), 2, "--decoder-layers");
  says(train + " --task frame --second-stride 2 --train " + path("bad.tsv"), 1, "strides");
  says(train + " --bands 400 --train " + path("bad.tsv") + " --skip-broken --valid " +
           path("bad.tsv"),
       1, "band");
  const Ran skipped =
      run_qkv(train + " --skip-broken --train " + path("bad.tsv") + " --valid " + path("bad.tsv"));
  EXPECT_EQ(skipped.exit, 0) << skipped.err;
  EXPECT_NE(skipped.err.find("2 of 4 files are left out"), std::string::npos) << skipped.err;
  says("classify --model " + path("m") + " " + path("empty.wav"), 1, "empty.wav");
  says("classify --model " + path("m") + " --sounds nowhere.wav", 1, "nowhere.wav");
  says("classify --model " + path("m") + " --words space " + path("a.wav"), 2,
       "--words is for text");
  says("look --model " + path("m"), 1, "give a sound");
  says("transcribe --model " + path("m") + " " + path("a.wav"), 1, "see qkv classify");
  // Too long a text for its sound is counted.
  spill(folder_ / "long.tsv", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\ta.wav\nb\tb.wav\n");
  const Ran impossible =
      run_qkv("train sound --task text" + small() + "--steps 1 --model " + path("t") + " --train " +
              path("long.tsv") + " --valid " + path("long.tsv"));
  EXPECT_EQ(impossible.exit, 0) << impossible.err;
  EXPECT_NE(impossible.err.find("1 texts need more rows"), std::string::npos) << impossible.err;
}

}  // namespace
}  // namespace qkv
