// qkv tag, classify, intent: text in, labels out, line by line and in order; or, with --evaluate,
// the scores on labelled text.

#include "app/command.h"
#include "app/output.h"
#include "app/train/labels.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/data/lines.h"

namespace qkv::app {
namespace {

using Json = nlohmann::json;

struct Settings {
  LabelTask task = LabelTask::tag;
  std::string model, input = "-", scheme = "iob2", words;
  std::vector<std::string> evaluate;
  LabelFiles files;
  bool scores = false, columns = false;
  std::int64_t batch_sentences = 64;
};

std::string joined(const std::vector<std::string>& words, std::size_t begin, std::size_t end) {
  std::string text;
  for (std::size_t i = begin; i < end; ++i) text += (i > begin ? " " : "") + words[i];
  return text;
}

double probability_of(const LabellerModel& model, const Labelled& result) {
  const std::int32_t id = label_id(model.classes, result.label);
  return result.class_probabilities[static_cast<std::size_t>(id)];
}

Json json_of(const LabellerModel& model, std::int64_t line, const std::vector<std::string>& words,
             const Labelled& result, bool scores) {
  Json json = {{"line", line}};
  if (model.network.config.classes > 0 && !words.empty()) {
    json["label"] = result.label;
    json["probability"] = probability_of(model, result);
    if (scores) {
      for (std::int32_t i = 0; i < label_count(model.classes); ++i) {
        json["scores"][label_name(model.classes, i)] =
            result.class_probabilities[static_cast<std::size_t>(i)];
      }
    }
  }
  if (model.network.config.tags == 0) return json;
  json["words"] = words;
  json["tags"] = result.tags;
  if (scores) json["log_probability"] = result.tag_score;
  if (!writes_spans(model.tags)) return json;
  json["spans"] = Json::array();
  for (const TagSpan& span : spans_of(result.tags)) {
    json["spans"].push_back({{"type", span.type},
                             {"begin", span.begin},
                             {"end", span.end},
                             {"text", joined(words, static_cast<std::size_t>(span.begin),
                                             static_cast<std::size_t>(span.end))}});
  }
  return json;
}

std::string line_of(const LabellerModel& model, const Settings& s,
                    const std::vector<std::string>& words, const Labelled& result) {
  if (words.empty()) return "\n";  // lines stay aligned
  if (s.columns) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) text += words[i] + "\t" + result.tags[i] + "\n";
    return text + "\n";
  }
  std::string text = result.label;
  if (s.scores && !result.label.empty()) {
    text += fmt::format("\t{:.6f}", probability_of(model, result));
  }
  if (!result.tags.empty()) {
    text += (text.empty() ? "" : "\t") + joined(result.tags, 0, result.tags.size());
    if (s.scores) text += fmt::format("\t{:.6f}", result.tag_score);
  }
  return text + "\n";
}

void evaluate(const Settings& s, const LabellerModel& model, bool json) {
  LabelledText text = read_labelled(s.evaluate, s.files, s.task);
  cut_texts(text, model.word_options.cut);
  const LabelScores scores = score_labelled(text, label_sentences(model, text.words));
  write_output(json ? scores.json() + "\n" : scores.text());
}

void label(const Settings& s, Program& program) {
  apply_threads(program);
  const LabellerModel model = load_labeller_model(s.model);
  if (model.task() != name_of(s.task)) {
    fail("{}: is a model for '{}'; use qkv {}", s.model, model.task(), model.task());
  }
  if (!s.evaluate.empty()) return evaluate(s, model, program.json);
  WordCut cut = model.word_options.cut;
  set_choice("--words", s.words,
             {std::pair{"space", WordCut::space}, std::pair{"word", WordCut::word},
              std::pair{"character", WordCut::character}},
             cut);
  const TagScheme scheme = scheme_of(s.scheme);
  const std::int64_t longest = longest_sentence(model);
  LineReader reader(s.input);
  std::int64_t line_number = 0;
  for (bool more = true; more;) {
    std::vector<std::vector<std::string>> sentences;
    std::string line;
    while (static_cast<std::int64_t>(sentences.size()) < s.batch_sentences &&
           (sentences.empty() || reader.ready())) {
      more = reader.next(line);
      if (!more) break;
      sentences.push_back(model.cut(line, cut));
      const auto words = static_cast<std::int64_t>(sentences.back().size());
      if (longest > 0 && words > longest) {
        program.console.line(fmt::format("qkv: {}:{}: {} words beyond the model's {} were not read",
                                         reader.name(), reader.line_number(), words - longest,
                                         longest));
      }
    }
    const std::vector<Labelled> results = label_sentences(model, sentences, scheme);
    for (std::size_t i = 0; i < results.size(); ++i) {
      ++line_number;
      write_output(program.json
                       ? json_of(model, line_number, sentences[i], results[i], s.scores).dump() +
                             "\n"
                       : line_of(model, s, sentences[i], results[i]));
    }
    flush_output();
  }
}

void add_verb(Program& program, LabelTask task, const char* about, const char* footer) {
  auto s = std::make_shared<Settings>();
  s->task = task;
  CLI::App* c = program.cli.add_subcommand(std::string(name_of(task)), about);
  c->footer(footer);
  c->add_option("--model", s->model, "Model directory")->required();
  c->add_option("file", s->input, "Text, a sentence a line; default: stdin");
  c->add_option("--words", s->words,
                "How lines are cut: space, word or character; default: as in training");
  c->add_option("--evaluate", s->evaluate, "Labelled text: print the scores instead")
      ->expected(1, task == LabelTask::intent ? 3 : 1);
  add_label_files(*c, s->files, task, "With --evaluate");
  if (task != LabelTask::classify) {
    c->add_option("--scheme", s->scheme, "Tags of spans: iob1, iob2 or iobes")
        ->capture_default_str();
  }
  if (task == LabelTask::tag) {
    c->add_flag("--columns", s->columns, "Word TAB tag a line, a blank line after each sentence");
  }
  c->add_flag("--scores", s->scores,
              task == LabelTask::tag ? "Append the log-probability of the tags"
                                     : "Append probabilities; with --json of every label");
  c->add_option("--batch-sentences", s->batch_sentences, "Sentences a batch, at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "One JSON object a line");
  add_threads(*c, program);
  c->callback([s, &program] { label(*s, program); });
}

}  // namespace

void add_label(Program& program) {
  add_verb(program, LabelTask::tag, "Tag the words of text, stdin to stdout",
           "A line of tags for each line of words. A line does not depend on its neighbours.");
  add_verb(program, LabelTask::classify, "Classify text line by line, stdin to stdout",
           "A label for each line; a blank line for a blank line.");
  add_verb(program, LabelTask::intent, "Say what each line wants, and the slots in it",
           "Intent TAB tags for each line of words.");
}

}  // namespace qkv::app
