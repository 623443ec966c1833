// qkv tag, classify, intent: text in, labels out, line by line and in order; or, with --evaluate,
// the scores on labelled text. classify asks models of nodes and of pictures too.
#include "app/classify_pictures.h"
#include "app/command.h"
#include "app/lines.h"
#include "app/output.h"
#include "app/sounds.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/data/label_files.h"
#include "qkv/systems/label_scores.h"
#include "qkv/systems/labeller_model.h"
#include "qkv/systems/labels.h"
#include "qkv/systems/node_classifier.h"
#include "qkv/systems/open.h"
#include "qkv/systems/sound_model.h"

namespace qkv::app {
namespace {

using Json = nlohmann::json;

struct Settings {
  LabelTask task = LabelTask::tag;
  std::string model, input = "-";
  std::vector<std::string> inputs;  // of classify
  PictureSettings pictures;
  bool scores = false, columns = false, spans = false;
  std::vector<std::string> evaluate;
  LabelFiles files;
  LabelOptions options;
  NodeFiles graph;
  NodePart part = NodePart::none;
  std::vector<std::string> sounds;
};

/// What is said of the whole.
void add_label(const Settings& s, const LabelledSentence& r, Json& json) {
  if (r.value) {
    json["value"] = *r.value;
    return;
  }
  if (r.labels) {
    json["labels"] = *r.labels;
  } else if (!r.label.empty()) {
    json["label"] = r.label;
    json["probability"] = r.probability;
  }
  if (!s.scores) return;
  for (const auto& [label, p] : r.scores) json["scores"][label] = p;
}

Json json_of(const Settings& s, std::int64_t line, const LabelledSentence& r) {
  Json json = {{"line", line}};
  add_label(s, r, json);
  if (s.task == LabelTask::classify) return json;
  json["words"] = r.words;
  json["tags"] = r.tags;
  if (s.scores) json["log_probability"] = r.tag_score;
  if (!r.has_spans && !s.spans) return json;
  json["spans"] = Json::array();
  for (const LabelledSpan& span : r.spans) {
    json["spans"].push_back({{"type", span.type},
                             {"begin", span.begin},
                             {"end", span.end},
                             {"text", span.text},
                             {"score", span.score}});
    if (span.text_begin < 0) continue;
    json["spans"].back()["text_begin"] = span.text_begin;
    json["spans"].back()["text_end"] = span.text_end;
  }
  return json;
}

/// A line a span, and what ends the answer for a line of text.
std::string spans_of_line(const LabelledSentence& r) {
  std::string text;
  for (const LabelledSpan& span : r.spans) {
    text += fmt::format("{}\t{}\t{}\t{:.6f}\t{}\n", span.type, span.text_begin, span.text_end,
                        span.score, span.text);
  }
  return text + "\n";
}

std::string line_of(const Settings& s, const LabelledSentence& r) {
  if (s.spans) return spans_of_line(r);
  if (r.words.empty()) return "\n";  // lines stay aligned
  if (s.columns) {
    std::string text;
    for (std::size_t i = 0; i < r.words.size(); ++i) text += r.words[i] + "\t" + r.tags[i] + "\n";
    return text + "\n";
  }
  std::string text = r.label;
  if (s.scores && r.labels) {
    for (const auto& [label, p] : r.scores) text += fmt::format("\t{} {:.6f}", label, p);
  } else if (s.scores && !r.label.empty() && !r.value) {
    text += fmt::format("\t{:.6f}", r.probability);
  }
  if (!r.tags.empty()) {
    text += (text.empty() ? "" : "\t") + fmt::format("{}", fmt::join(r.tags, " "));
    if (s.scores) text += fmt::format("\t{:.6f}", r.tag_score);
  }
  return text + "\n";
}

/// Refuses a line by its number before any of the batch is answered.
void check_pairs(const LineReader& reader, const std::vector<std::string>& lines,
                 std::int64_t number) {
  for (const std::string& line : lines) {
    try {
      (void)cut_words(line, WordCut::pair);
    } catch (const Error& e) {
      throw DataError(reader.name(), number, e.what());
    }
    ++number;
  }
}

template <class System>
void label(const Settings& s, const System& system, Program& program) {
  for (const std::string& note : system.info().notes) program.console.line("qkv: " + note);
  const LabellerModel& model = system.model();
  const WordCut cut = s.options.words.value_or(model.word_options.cut);
  model.check_cut(cut);
  if (!s.evaluate.empty()) {
    LabelFiles files = s.files;
    files.table = table_for(model, cut);
    const LabelScores scores =
        evaluate_labels(system, read_labelled(s.evaluate, files, s.task), s.options);
    return write_output(program.json ? scores.json() + "\n" : scores.text());
  }
  LineReader reader(s.input);
  by_lines(reader, s.options.batch_sentences,
           [&](const std::vector<std::string>& lines, std::int64_t number) {
             if (cut == WordCut::pair) check_pairs(reader, lines, number);
             for (const LabelledSentence& r : system.label(lines, s.options)) {
               if (r.cut > 0) {
                 program.console.line(cut_note(reader, number, r.cut,
                                               keeps_texts(cut) ? "tokens" : "words", r.held));
               }
               write_output(program.json ? json_of(s, number, r).dump() + "\n" : line_of(s, r));
               ++number;
             }
           });
}

/// Throws UsageError for an option of text where there is none: "--words is for text, not for …".
void refuse_text_options(const Command& command, const Settings& s, const std::string& beside) {
  LabelOptions of_text = s.options;
  for (const OptionField& f : fields_of(of_text)) {
    if (command.given(f.flag)) throw UsageError("--" + f.flag + " is for text, not for " + beside);
  }
}

/// A line for each sound, or for each of its stretches; or the scores.
void answer_sounds(const Command& command, const Settings& s, Program& program) {
  refuse_text_options(command, s, "sounds");
  if (s.columns || s.spans) throw UsageError("--columns and --spans are for text, not for sounds");
  if (command.given("format")) throw UsageError("--format is for text, not for sounds");
  if (s.pictures.given()) throw UsageError("--top and --skip-broken are for models of pictures");
  if (s.graph.given() || s.part != NodePart::none) throw UsageError("--nodes is for graphs");
  SoundQuestion q{.model = s.model, .files = s.inputs, .evaluate = s.evaluate};
  if (s.input != "-") q.files.push_back(s.input);
  q.files.insert(q.files.end(), s.sounds.begin(), s.sounds.end());
  q.tags = s.task == LabelTask::tag;
  q.scores = s.scores;
  label_sounds(q, program);
}

/// A line for each node of a graph, in the order of the file; or the scores of a part.
void classify_nodes(const Command& command, const Settings& s, Program& program) {
  if (!s.evaluate.empty()) throw UsageError("--evaluate is for text; with --nodes take --part");
  if (!s.inputs.empty()) throw UsageError(s.inputs.front() + ": text has no use beside --nodes");
  if (s.pictures.given()) throw UsageError("--top and --skip-broken are for pictures");
  refuse_text_options(command, s, "--nodes");
  if (command.given("format")) throw UsageError("--format is for --evaluate");
  const auto model = NodeClassifier::load(s.model);
  const NodeGraph graph = read_nodes(s.graph);
  if (s.part != NodePart::none) {
    const ClassReport report = model.score(graph, s.part);
    return write_output(program.json ? report.json() + "\n" : report.text());
  }
  const std::vector<ClassifiedNode> answers = model.classify(graph);
  for (const std::int64_t n : graph.in_file_order()) {
    const auto at = static_cast<std::size_t>(n);
    const ClassifiedNode& answer = answers[at];
    if (!program.json) {
      write_output(fmt::format("{}\t{}{}\n", graph.ids[at], answer.label,
                               s.scores ? fmt::format("\t{:.6f}", answer.probability) : ""));
      continue;
    }
    Json json = {
        {"id", graph.ids[at]}, {"label", answer.label}, {"probability", answer.probability}};
    for (std::size_t k = 0; s.scores && k < model.labels().size(); ++k) {
      json["scores"][model.labels()[k]] = answer.probabilities[k];
    }
    write_output(json.dump() + "\n");
  }
}

/// classify: by what the model is a model of. True where that is no text.
bool classify_other(const Command& command, Settings& s, Program& program) {
  if (s.graph.given()) {
    classify_nodes(command, s, program);
    return true;
  }
  if (task_of(s.model) == "picture") {
    refuse_text_options(command, s, "pictures");
    if (command.given("format")) throw UsageError("--format is for text, not for pictures");
    if (s.part != NodePart::none) throw UsageError("--part is for --nodes");
    classify_pictures(s.model, s.inputs, s.evaluate, s.scores, s.pictures, program);
    return true;
  }
  if (s.pictures.given()) throw UsageError("--top and --skip-broken are for models of pictures");
  if (s.inputs.size() > 1) throw UsageError(s.inputs[1] + ": text comes from one file");
  if (s.evaluate.size() > 1) throw UsageError(s.evaluate[1] + ": text comes from one file");
  if (!s.inputs.empty()) s.input = s.inputs.front();
  return false;
}

void run(const Command& command, Settings& s, Program& program) {
  if (s.task != LabelTask::intent && task_of(s.model) == "sound") {
    return answer_sounds(command, s, program);
  }
  if (!s.sounds.empty()) throw UsageError("--sounds is for models of sounds");
  if (s.task == LabelTask::classify && classify_other(command, s, program)) return;
  if (s.part != NodePart::none) throw UsageError("--part is for --nodes");
  if (s.spans && s.columns) throw UsageError("--spans and --columns: give one of them");
  switch (s.task) {
    case LabelTask::tag:
      return label(s, Tagger::load(s.model), program);
    case LabelTask::classify:
      return label(s, Classifier::load(s.model), program);
    case LabelTask::intent:
      return label(s, IntentModel::load(s.model), program);
  }
}

void add_verb(Program& program, LabelTask task, const char* about, const char* footer) {
  auto s = std::make_shared<Settings>();
  s->task = task;
  Command& c = program.command(std::string(name_of(task)), about);
  c.footer(footer);
  c.option({.name = "model", .help = "Model directory", .required = true}, s->model);
  if (task == LabelTask::classify) {
    c.positional("file", s->inputs,
                 "Text, a sentence a line, or pictures and folders of them; default: stdin (of "
                 "pictures, their paths)");
  } else {
    c.positional("file", s->input, "Text, a sentence a line; default: stdin");
  }
  c.options(s->options);
  c.option({.name = "scores",
            .help = task == LabelTask::tag ? "Append the log-probability of the tags"
                                           : "Append probabilities; with --json of every label"},
           s->scores);
  if (task == LabelTask::tag) {
    c.option({.name = "spans",
              .help = "A line a span: type, first and last character, probability, text between "
                      "tabs; a blank line after each sentence"},
             s->spans);
    c.option({.name = "columns", .help = "Word TAB tag a line, a blank line after each sentence"},
             s->columns);
  }
  c.option({.name = "evaluate",
            .help = task == LabelTask::classify
                        ? "Labelled text, or pictures as qkv train picture reads them: print the "
                          "scores instead"
                        : "Labelled text: print the scores instead",
            .bounds = task == LabelTask::classify ? at_least(1)
                                                  : between(1, task == LabelTask::intent ? 3 : 1)},
           s->evaluate, "With --evaluate");
  if (task == LabelTask::tag) {
    c.options(s->files, "With --evaluate");
  } else if (task == LabelTask::classify) {
    c.option({.name = "format", .help = "table (label TAB text) or slots; default: by name"},
             s->files.format, "With --evaluate");
    c.options(s->graph, "Nodes of a graph, in place of text");
    c.option({"part", "Print the scores of this part instead: train, valid or test"}, s->part,
             "Nodes of a graph, in place of text");
    c.options(s->pictures, "Pictures");
  }
  if (task != LabelTask::intent) {
    c.option({"sounds", "Files; without any stdin has a path a line", between(1, 1e6)}, s->sounds,
             "Sounds, in place of text");
  }
  program.add_json(c, "One JSON object a line");
  program.add_threads(c);
  c.action([s, &c, &program] { run(c, *s, program); });
}

}  // namespace

void add_label(Program& program) {
  add_verb(program, LabelTask::tag, "Tag the words of text, stdin to stdout",
           "A line of tags for each line of words. A line does not depend on its neighbours.");
  add_verb(program, LabelTask::classify,
           "Classify text line by line, stdin to stdout; or nodes, or pictures",
           "A label for each line; a blank line for a blank line. A model of pairs reads two texts "
           "with a\ntab between, --words pair asks it of another program's. A regression gives "
           "numbers, a model of\nseveral labels all above one half, with commas between.");
  add_verb(program, LabelTask::intent, "Say what each line wants, and the slots in it",
           "Intent TAB tags for each line of words.");
}

}  // namespace qkv::app
