// Sounds in, labels or texts out: qkv transcribe, and what qkv classify and qkv tag say of sounds.
#include "app/sounds.h"

#include "app/lines.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"
#include "qkv/systems/sound_scores.h"
#include "qkv/systems/sounds.h"

namespace qkv::app {
namespace {

using Json = nlohmann::json;

struct Settings {
  std::string model;
  std::vector<std::string> files, evaluate;
  bool names = false;
  TranscribeOptions options;
};

void transcribe(const Settings& s, Program& program) {
  const auto model = Transcriber::load(s.model);
  (void)method_of(model.model(), s.options);
  if (!s.evaluate.empty()) {
    if (!s.files.empty())
      throw UsageError("--evaluate reads the files of its lists, not " + s.files[0]);
    if (s.names) throw UsageError("--names is for answers, not for --evaluate");
    return write_output(score_sounds(model.model(), read_labelled_sounds(s.evaluate, false, false),
                                     program.json, s.options));
  }
  each_sound(s.files, [&](const std::filesystem::path& path) {
    const Transcript t = model.transcribe(path, s.options);
    if (!program.json) {
      return write_output((s.names ? path.string() + "\t" : "") + t.text + "\n");
    }
    Json json = {{"file", path.string()}, {"text", t.text}, {"log_probability", t.log_probability}};
    json["symbols"] = Json::array();
    for (const SpokenSymbol& symbol : t.symbols) {
      json["symbols"].push_back({{"symbol", symbol.symbol}});
      if (symbol.begin < 0) continue;
      json["symbols"].back()["begin"] = symbol.begin;
      json["symbols"].back()["end"] = symbol.end;
    }
    write_output(json.dump() + "\n");
  });
}

void classify(const SoundQuestion& q, Program& program) {
  const auto model = SoundClassifier::load(q.model);
  each_sound(q.files, [&](const std::filesystem::path& path) {
    const SoundLabel answer = model.classify(path);
    if (!program.json) {
      return write_output(fmt::format("{}\t{}{}\n", path.string(), answer.label,
                                      q.scores ? fmt::format("\t{:.6f}", answer.probability) : ""));
    }
    Json json = {
        {"file", path.string()}, {"label", answer.label}, {"probability", answer.probability}};
    for (std::size_t k = 0; q.scores && k < model.labels().size(); ++k) {
      json["scores"][model.labels()[k]] = answer.probabilities[k];
    }
    write_output(json.dump() + "\n");
  });
}

void tag(const SoundQuestion& q, Program& program) {
  const auto model = SoundTagger::load(q.model);
  each_sound(q.files, [&](const std::filesystem::path& path) {
    Json json = {{"file", path.string()}, {"stretches", Json::array()}};
    for (const SoundStretch& s : model.tag(path).stretches) {
      if (s.label == model.model().rest) continue;
      if (program.json) {
        json["stretches"].push_back({{"begin", s.begin},
                                     {"end", s.end},
                                     {"label", s.label},
                                     {"probability", s.probability}});
        continue;
      }
      write_output(fmt::format("{}\t{:.3f}\t{:.3f}\t{}{}\n", path.string(), s.begin, s.end, s.label,
                               q.scores ? fmt::format("\t{:.6f}", s.probability) : ""));
    }
    if (program.json) write_output(json.dump() + "\n");
  });
}

}  // namespace

void each_sound(const std::vector<std::string>& files,
                const std::function<void(const std::filesystem::path&)>& f) {
  for (const std::string& file : files) {
    f(file);
    flush_output();
  }
  if (!files.empty()) return;
  LineReader reader("-");
  for (std::string line; reader.next(line); flush_output()) {
    if (is_blank(line)) {
      throw DataError(reader.name(), reader.line_number(),
                      "is blank; expected the path of a sound");
    }
    f(line);
  }
}

void label_sounds(const SoundQuestion& q, Program& program) {
  if (!q.evaluate.empty()) {
    if (!q.files.empty())
      throw UsageError("--evaluate reads the files of its lists, not " + q.files[0]);
    const SoundModel model =
        q.tags ? SoundTagger::load(q.model).model() : SoundClassifier::load(q.model).model();
    return write_output(
        score_sounds(model, read_labelled_sounds(q.evaluate, q.tags, false), program.json));
  }
  return q.tags ? tag(q, program) : classify(q, program);
}

void add_transcribe(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("transcribe", "Write down what is said in sounds");
  c.footer(
      "A line of text for each file, in order; without files stdin has a path a line. WAV, FLAC, "
      "Ogg, Opus,\nMP3, AIFF of any rate and length. With --json symbols have their times where "
      "CTC finds the text.");
  c.option({.name = "model", .help = "Model directory", .required = true}, s->model);
  c.positional("files", s->files, "Sounds; default: paths from stdin");
  c.option({"names", "Put the file's name and a tab in front of each text"}, s->names);
  c.options(s->options);
  c.option({"evaluate", "Lists, text TAB path: print the error rate instead", between(1, 1000)},
           s->evaluate);
  program.add_json(c, "One JSON object a sound; with --evaluate the scores");
  program.add_threads(c);
  c.action([s, &program] { transcribe(*s, program); });
}

}  // namespace qkv::app
