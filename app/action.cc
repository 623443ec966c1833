// qkv action: clips of skeletons in, actions out; or, with --evaluate, the scores.
#include "app/command.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/systems/predict_clips.h"

namespace qkv::app {
namespace {

using Json = nlohmann::json;

struct Settings {
  std::vector<std::string> models;
  std::string input = "-", only, evaluate;
  bool scores = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model",
           .help = "Model directory; several are averaged",
           .required = true,
           .repeat = true},
          s.models);
    visit({"only", "Clips with this field: test, or 2=test (the second field), s01|s02, train,std"},
          s.only);
    visit({"evaluate", "Clips: print the scores instead"}, s.evaluate);
    visit({"scores", "Append the probability; with --json of every action"}, s.scores);
  }
};

std::string line_of(const Settings& s, bool json, const std::vector<std::string>& labels,
                    const Clip& clip, const RecognisedAction& r) {
  if (!json) {
    return fmt::format("{}\t{}{}\n", clip.id, r.label,
                       s.scores ? fmt::format("\t{:.6f}", r.probability) : "");
  }
  Json object = {{"id", clip.id}, {"label", r.label}, {"probability", r.probability}};
  for (std::size_t k = 0; s.scores && k < labels.size(); ++k) {
    object["scores"][labels[k]] = r.probabilities[k];
  }
  return object.dump() + "\n";
}

void action(const Settings& s, Program& program) {
  std::vector<ActionRecogniser> models;
  for (const std::string& directory : s.models) {
    models.push_back(ActionRecogniser::load(directory));
  }
  const bool judged = !s.evaluate.empty();
  const std::vector<Clip> clips = read_clips(judged ? s.evaluate : s.input, s.only);
  const std::vector<RecognisedAction> found = recognise(models, clips);
  if (judged) {
    const ClassReport report = score_clips(clips, found);
    return write_output(program.json ? report.json() + "\n" : report.text());
  }
  for (std::size_t i = 0; i < clips.size(); ++i) {
    write_output(line_of(s, program.json, models.front().labels(), clips[i], found[i]));
  }
}

}  // namespace

void add_action(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("action", "Say what skeletons in clips do");
  c.footer(
      "ID TAB action for each clip, in order. A clip does not depend on its neighbours. The form\n"
      "of the file: clip ID LABEL NAME [FIELD ...] FRAMES JOINTS VALUES, then a line a frame.");
  c.options(*s);
  c.positional("file", s->input, "Clips, plain or gzipped; default: stdin");
  program.add_json(c, "One JSON object a clip; with --evaluate the scores");
  program.add_threads(c);
  c.action([s, &program] { action(*s, program); });
}

}  // namespace qkv::app
