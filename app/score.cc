// qkv score: BLEU and chrF with sacreBLEU's signatures; spans as conlleval, classes with their
// confusion, numbers with their correlation; error rates of transcripts. Of pictures:
// score_pictures.cc.
#include <algorithm>

#include "app/command.h"
#include "app/output.h"
#include "app/score_pictures.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"
#include "qkv/data/tag_forms.h"
#include "qkv/eval/bleu.h"
#include "qkv/eval/chrf.h"
#include "qkv/eval/classification.h"
#include "qkv/eval/correlation.h"
#include "qkv/eval/error_rate.h"
#include "qkv/eval/spans.h"

namespace qkv::app {
namespace {

struct Score {
  std::vector<std::string> references;
  std::string hypothesis = "-";
};
/// Of lines of text.
struct TextScore : Score {
  bool lower = false, sentences = false;
  int digits = 2;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "reference",
           .help = "Reference file; again for more references",
           .bounds = at_least(1),
           .required = true,
           .repeat = true},  // one file each, so that the hypothesis may follow
          s.references);
    visit({"lower", "Compare in lower case"}, s.lower);
    visit({"sentences", "One score a line"}, s.sentences);
    visit({"digits", "Digits behind the point", between(0, 30)}, s.digits);
  }
};
struct Bleu : TextScore {
  BleuTokeniser tokeniser = BleuTokeniser::v13a;
  BleuSmoothing smoothing = BleuSmoothing::exp;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    TextScore::each(s, visit);
    visit({"tokenise", "How lines become words"}, s.tokeniser);
    visit({"smooth", "What to do about an order without a match"}, s.smoothing);
  }
};
struct Chrf : TextScore {
  bool words = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    TextScore::each(s, visit);
    visit({"words", "chrF++: words up to order 2 as well"}, s.words);
  }
};
/// Of tags and of classes.
struct LabelScore : Score {
  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "reference",
           .help = "What is right",
           .bounds = between(1, 1),
           .required = true,
           .repeat = true},
          s.references);
  }
};

/// Of transcripts.
template <ErrorUnit kUnit>
struct ErrorScore : LabelScore {
  bool lower = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    LabelScore::each(s, visit);
    visit({"lower", "Compare in lower case"}, s.lower);
  }
};

std::vector<std::vector<std::string>> read_references(const Score& s) {
  std::vector<std::vector<std::string>> references;
  for (const std::string& path : s.references) references.push_back(read_lines(path));
  return references;
}

void check_counts(const Score& s, const std::vector<std::string>& hypotheses,
                  const std::vector<std::vector<std::string>>& references) {
  for (std::size_t i = 0; i < references.size(); ++i) {
    if (references[i].size() != hypotheses.size()) {
      fail("{} has {} lines, {} has {}", s.references[i], references[i].size(),
           s.hypothesis == "-" ? "<stdin>" : s.hypothesis, hypotheses.size());
    }
  }
}

template <class Report>
void print(const Report& report, int digits, bool json) {
  print_output("{}\n", json ? report.json(digits) : report.text(digits));
}

/// Line i of every reference.
std::vector<std::string> line_of(const std::vector<std::vector<std::string>>& references,
                                 std::size_t i) {
  std::vector<std::string> lines;
  lines.reserve(references.size());
  for (const auto& reference : references) lines.push_back(reference[i]);
  return lines;
}

void bleu(const Bleu& s, bool json) {
  const auto references = read_references(s);
  const auto hypotheses = read_lines(s.hypothesis);
  check_counts(s, hypotheses, references);
  BleuOptions options{.tokeniser = s.tokeniser, .lower = s.lower, .smoothing = s.smoothing};
  if (!s.sentences) return print(corpus_bleu(hypotheses, references, options), s.digits, json);
  options.effective_order = true;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    print(sentence_bleu(hypotheses[i], line_of(references, i), options), s.digits, json);
  }
}

void chrf(const Chrf& s, bool json) {
  const auto references = read_references(s);
  const auto hypotheses = read_lines(s.hypothesis);
  check_counts(s, hypotheses, references);
  ChrfOptions options{};
  options.word_order = s.words ? 2 : 0;
  options.lower = s.lower;
  if (!s.sentences) return print(corpus_chrf(hypotheses, references, options), s.digits, json);
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    print(sentence_chrf(hypotheses[i], line_of(references, i), options), s.digits, json);
  }
}

std::string name_of_hypothesis(const Score& s) {
  return s.hypothesis == "-" ? "<stdin>" : s.hypothesis;
}

std::int64_t line_number(TagPlace at) { return static_cast<std::int64_t>(at.sentence) + 1; }

std::vector<std::string> flat(const std::vector<Tags>& sentences) {
  std::vector<std::string> all;
  for (const Tags& tags : sentences) all.insert(all.end(), tags.begin(), tags.end());
  return all;
}

void tags(const LabelScore& s, bool json) {
  const auto references = read_references(s);
  const auto hypotheses = read_lines(s.hypothesis);
  check_counts(s, hypotheses, references);
  std::vector<Tags> gold, found;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const auto right = split_columns(references[0][i]), given = split_columns(hypotheses[i]);
    gold.emplace_back(right.begin(), right.end());
    found.emplace_back(given.begin(), given.end());
    for (const bool output : {false, true}) {
      const Tags& line = output ? found.back() : gold.back();
      if (std::find(line.begin(), line.end(), "") == line.end()) continue;
      throw DataError(output ? name_of_hypothesis(s) : s.references[0],
                      static_cast<std::int64_t>(i) + 1,
                      "a tag is empty: there are two tabs on end");
    }
    if (gold.back().size() != found.back().size()) {
      throw DataError(name_of_hypothesis(s), static_cast<std::int64_t>(i) + 1,
                      fmt::format("has {} tags, {} has {}", found.back().size(), s.references[0],
                                  gold.back().size()));
    }
  }
  if (settle_tags(gold, s.references[0], line_number).other > 0) {  // parts of speech, say
    const ClassReport report = score_classes(flat(gold), flat(found));
    return write_output(json ? report.json() + "\n" : report.text());
  }
  const TagReading given = understand_tags(found);
  if (given.odd) {
    throw DataError(name_of_hypothesis(s), line_number(*given.odd),
                    fmt::format("'{}' is no tag of spans, as those of {} are",
                                found[given.odd->sentence][given.odd->word], s.references[0]));
  }
  const SpanReport report = score_spans(gold, found);
  write_output(json ? report.json() + "\n" : report.text());
}

/// As labels are read for training.
std::vector<std::string> trimmed(const std::vector<std::string>& lines) {
  std::vector<std::string> labels;
  labels.reserve(lines.size());
  for (const std::string& line : lines) labels.emplace_back(trim_spaces(line));
  return labels;
}

void classes(const LabelScore& s, bool json) {
  const auto references = read_references(s);
  const auto hypotheses = read_lines(s.hypothesis);
  check_counts(s, hypotheses, references);
  const ClassReport report = score_classes(trimmed(references[0]), trimmed(hypotheses));
  write_output(json ? report.json() + "\n" : report.text());
}

std::vector<double> numbers_of(const std::vector<std::string>& lines, const std::string& name) {
  std::vector<double> numbers;
  for (const std::string& line : lines) {
    const auto number = parse_double(trim_spaces(line));
    if (!number) {
      throw DataError(name, static_cast<std::int64_t>(numbers.size()) + 1,
                      fmt::format("'{}' is no number", line));
    }
    numbers.push_back(*number);
  }
  return numbers;
}

void numbers(const LabelScore& s, bool json) {
  const auto references = read_references(s);
  const auto hypotheses = read_lines(s.hypothesis);
  check_counts(s, hypotheses, references);
  const NumberReport report = score_numbers(numbers_of(references[0], s.references[0]),
                                            numbers_of(hypotheses, name_of_hypothesis(s)));
  write_output(json ? report.json() + "\n" : report.text());
}

template <ErrorUnit kUnit>
void errors(const ErrorScore<kUnit>& s, bool json) {
  const auto references = read_references(s);
  const auto hypotheses = read_lines(s.hypothesis);
  check_counts(s, hypotheses, references);
  const ErrorReport report = error_rate(references[0], hypotheses, kUnit, s.lower);
  write_output(json ? report.json() + "\n" : report.text());
}

template <class Options>
void add(Program& program, const std::string& name, const char* about,
         void (*run)(const Options&, bool json)) {
  auto s = std::make_shared<Options>();
  Command& command = program.command("score " + name, about);
  command.options(*s);
  command.positional("hypothesis", s->hypothesis, "Output to score; default: stdin");
  program.add_json(command, "Print JSON");
  command.action([s, run, &program] { run(*s, program.json); });
}

}  // namespace

void add_score(Program& program) {
  program.group("score", "Score output against references");
  add(program, "bleu", "BLEU as sacreBLEU computes and prints it", bleu);
  add(program, "chrf", "chrF as sacreBLEU computes and prints it", chrf);
  add(program, "wer", "Words that are wrong, left out or put in, over those of the reference",
      errors<ErrorUnit::word>);
  add(program, "cer", "The same of characters", errors<ErrorUnit::character>);
  add(program, "tags",
      "F1 of spans as conlleval computes and prints it, accuracy of other tags; a sentence's "
      "tags a line",
      tags);
  add(program, "classes", "Accuracy, macro-F1 and the confusion matrix; a label a line", classes);
  add(program, "numbers",
      "Pearson's and Spearman's correlation and the mean squared error; a number a line", numbers);
  add_score_pictures(program);
}

}  // namespace qkv::app
