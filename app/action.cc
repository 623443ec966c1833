// qkv action: clips of skeletons in, actions out; or, with --evaluate, the scores.
#include "qkv/train/action.h"

#include "app/action.h"
#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv::app {
namespace {

using Json = nlohmann::json;

struct Settings {
  std::vector<std::string> models;
  std::string input = "-", only, evaluate;
  bool scores = false;
};

std::string line_of(const ActionModel& model, const Clip& clip, std::span<const double> p,
                    bool scores) {
  const std::size_t best = likeliest(p);
  return fmt::format("{}\t{}{}\n", clip.id, model.labels[best],
                     scores ? fmt::format("\t{:.6f}", p[best]) : "");
}

std::string json_of(const ActionModel& model, const Clip& clip, std::span<const double> p,
                    bool scores) {
  const std::size_t best = likeliest(p);
  Json json = {{"id", clip.id}, {"label", model.labels[best]}, {"probability", p[best]}};
  for (std::size_t k = 0; scores && k < p.size(); ++k) json["scores"][model.labels[k]] = p[k];
  return json.dump() + "\n";
}

void action(const Settings& s, Program& program) {
  apply_threads(program);
  std::vector<ActionModel> models;
  for (const std::string& directory : s.models) models.push_back(load_action_model(directory));
  const bool judged = !s.evaluate.empty();
  const std::vector<Clip> clips = read_clips(judged ? s.evaluate : s.input, s.only);
  const auto probabilities = predict_clips(models, clips);
  const ActionModel& names = models.front();
  if (judged) {
    const ClassReport report = score_clips(names, clips, probabilities);
    return write_output(program.json ? report.json() + "\n" : report.text());
  }
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const auto& p = probabilities[i];
    write_output(program.json ? json_of(names, clips[i], p, s.scores)
                              : line_of(names, clips[i], p, s.scores));
  }
}

}  // namespace

void add_action(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand("action", "Say what skeletons in clips do");
  c->footer(
      "ID TAB action for each clip, in order. A clip does not depend on its neighbours. The form\n"
      "of the file: clip ID LABEL NAME [FIELD ...] FRAMES JOINTS VALUES, then a line a frame.");
  c->add_option("--model", s->models, "Model directory; several are averaged")
      ->required()
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  c->add_option("file", s->input, "Clips, plain or gzipped; default: stdin");
  c->add_option("--only", s->only,
                "Clips with this field: test, or 2=test (the second field), s01|s02, train,std");
  c->add_option("--evaluate", s->evaluate, "Clips: print the scores instead");
  c->add_flag("--scores", s->scores, "Append the probability; with --json of every action");
  c->add_flag("--json", program.json, "One JSON object a clip; with --evaluate the scores");
  add_threads(*c, program);
  c->callback([s, &program] { action(*s, program); });
}

}  // namespace qkv::app
