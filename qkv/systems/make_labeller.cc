#include "qkv/systems/make_labeller.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_set>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/number.h"
#include "qkv/systems/label_sentences.h"
#include "qkv/tensor/numbers.h"
#include "qkv/text/normalise.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<std::string> names_of(const Vocabulary& labels) {
  std::vector<std::string> names(at(label_count(labels)));
  for (std::size_t i = 0; i < names.size(); ++i) {
    names[i] = label_name(labels, static_cast<std::int32_t>(i));
  }
  return names;
}

Vocabulary labels_of(std::span<const std::string> labels, std::string_view what,
                     std::int32_t least = 2) {
  TokenCounts counts;
  for (const std::string& label : labels) count_token(counts, label);
  Vocabulary vocabulary(counts);
  if (label_count(vocabulary) < least) {
    fail("training needs at least two {}, the text has {}; is this the right column{}?", what,
         label_count(vocabulary), what == "tags" ? " (--column)" : "");
  }
  // A column of words taken for one of labels would ask for a table of its square.
  constexpr std::int32_t kMost = 4096;
  if (label_count(vocabulary) > kMost) {
    fail("the text has {} {}, more than {}; is this the right column?", label_count(vocabulary),
         what, kMost);
  }
  return vocabulary;
}

/// The names of what a text is told to be: labels, or of a regression the one number.
Vocabulary classes_of(const LabelledText& text, ClassAnswer answer) {
  if (answer == ClassAnswer::label) return labels_of(text.labels, "labels");
  std::vector<std::string> all = {"number"};
  if (answer == ClassAnswer::labels) {
    all.clear();
    for (const std::string& field : text.labels) {
      for (std::string& label : labels_between_commas(field)) all.push_back(std::move(label));
    }
  }
  return labels_of(all, "labels", 1);
}

double number_of(const std::string& label) {
  const std::optional<double> x = parse_double(label);
  if (!x) fail("'{}' is no number", label);
  return *x;
}

/// A regression begins at the mean of its numbers and in their unit, so that it need not learn
/// these first.
void begin_at_the_mean(const LabelledText& text, Linear& output) {
  double mean = 0, variance = 0;
  const auto count = static_cast<double>(text.labels.size());
  for (const std::string& label : text.labels) mean += number_of(label) / count;
  for (const std::string& label : text.labels) {
    variance += (number_of(label) - mean) * (number_of(label) - mean) / count;
  }
  if (!std::isfinite(variance)) fail("the numbers are too large to learn from");
  const double deviation = std::sqrt(variance);
  change_each(output.weight, [&](std::int64_t, double w) { return w * deviation; });
  change_each(output.bias, [&](std::int64_t, double) { return mean; });
}

/// How often each tag occurs in sentences of each class.
Tensor prior_of(const LabellerModel& model, const LabelledSet& set, const PriorOptions& options) {
  const std::int64_t tags = label_count(model.tags), classes = label_count(model.classes);
  std::vector<std::int64_t> counts(at(classes * tags), 0);
  const LabelBatch& all = set.all;
  for (std::int64_t b = 0; b < all.segments.count(); ++b) {
    std::unordered_set<std::int32_t> seen;
    for (std::int64_t t = all.segments.begin(b); t < all.segments.end(b); ++t) {
      seen.insert(all.tags[at(t)]);
    }
    for (const std::int32_t tag : seen) ++counts[at(all.classes[at(b)] * tags + tag)];
  }
  return tag_prior(counts, classes, tags, options);
}

/// What the design's options make of the sizes that it begins with.
Labeller::Config sizes_of(const LabellerDesign& d) {
  Labeller::Config c = d.network;
  const bool both = d.interaction == LabelInteraction::both;
  c.class_to_tags = both || d.interaction == LabelInteraction::class_to_tags;
  c.tags_to_class = both || d.interaction == LabelInteraction::tags_to_class;
  c.unknown = Vocabulary::kUnk;
  if (c.character_filters == 0) c.characters = 0;
  if (c.shape_embedding == 0) c.shapes = 0;
  return c;
}

/// The words and characters of the text, and how they are looked up.
void learn_words(const LabellerDesign& d, const LabelledText& text, LabellerModel& model,
                 Labeller::Config& config) {
  model.word_options = d.words;
  if (d.cased) model.word_options.lowercase = false;
  TokenCounts words, letters;
  for (const auto& sentence : text.words) {
    for (const std::string& word : sentence) {
      count_token(words, word_as_read(word, model.word_options));
      for (const std::string_view c : characters(word)) count_token(letters, c);
    }
  }
  model.words = Vocabulary(words, {.min_count = d.min_count});
  if (label_count(model.words) == 0) {
    fail("only 0 words occur {} times; give more text or a lower --min-count", d.min_count);
  }
  config.words = model.words.size();
  if (config.characters > 0) {
    model.characters = Vocabulary(letters);
    config.characters = model.characters.size();
  }
  if (config.shapes > 0) config.shapes = kWordShapes;
}

/// Pieces in place of words, and the sizes that go with them.
void read_as(const BertModel& bert, WordCut cut, LabellerModel& model, Labeller::Config& config) {
  model.pieces = bert.pieces;
  model.word_options = {.lowercase = bert.pieces.lower(), .cut = cut};
  config.words = config.characters = config.shapes = 0;
  config.bert = bert.network.bert.config;
  config.width = config.bert.hidden_size;
}

/// All tags of the text, those of spans in `scheme`.
std::vector<std::string> tags_in(const LabelledText& text, TagScheme scheme) {
  const bool spans = detect_scheme(text.tags).has_value();
  std::vector<std::string> all;
  for (const Tags& sentence : text.tags) {
    const Tags converted = spans ? convert_tags(sentence, scheme) : sentence;
    all.insert(all.end(), converted.begin(), converted.end());
  }
  return all;
}

}  // namespace

void cut_texts(LabelledText& text, WordCut cut) {
  if (!text.words.empty()) return;
  for (const std::string& line : text.texts) text.words.push_back(cut_words(line, cut));
  text.report.tokens = 0;
  for (const auto& words : text.words) {
    text.report.tokens += static_cast<std::int64_t>(words.size());
  }
}

TableForm LabellerDesign::table() const {
  return {.pairs = words.cut == WordCut::pair,
          .numbers = network.answer == ClassAnswer::number,
          .several = network.answer == ClassAnswer::labels};
}

void LabellerDesign::check() const {
  if (words.cut == WordCut::pair &&
      (task != LabelTask::classify || network.encoder != LabelEncoder::bert)) {
    throw UsageError(
        "--words pair: two texts a line are for train classify with a BERT; give one with --init");
  }
  if (fresh && init.empty()) throw UsageError("--fresh is for --init");
  if (network.encoder == LabelEncoder::bert) {
    if (init.empty()) throw UsageError("--encoder bert: give a BERT with --init");
    return;  // the sizes come with it
  }
  if (!init.empty()) {
    throw UsageError(
        fmt::format("--init brings the encoder, which cannot be {}", name_of(network.encoder)));
  }
  Labeller::Config sizes = sizes_of(*this);  // what can be checked before the text is read
  sizes.words = Vocabulary::kSpecials;
  sizes.tags = task == LabelTask::classify ? 0 : 2;
  sizes.classes = task == LabelTask::tag ? 0 : network.answer == ClassAnswer::number ? 1 : 2;
  sizes.check();
}

namespace {

/// What is right of each text.
void take_labels(const LabellerModel& model, const LabelledText& text, LabelBatch& all) {
  const Labeller::Config& config = model.network.config;
  for (const std::string& label : text.labels) {
    if (config.answer == ClassAnswer::label) {
      all.classes.push_back(label_id(model.classes, label));
    } else if (config.answer == ClassAnswer::number) {
      all.numbers.push_back(number_of(label));
    } else {
      const std::size_t begin = all.marks.size();
      all.marks.resize(begin + at(config.classes), 0);
      for (const std::string& one : labels_between_commas(label)) {
        const std::int32_t id = label_id(model.classes, one);
        if (id >= 0) all.marks[begin + at(id)] = 1;  // of an unknown one nothing can be learnt
      }
    }
  }
}

}  // namespace

LabelledSet encode_labelled(const LabellerModel& model, const LabelledText& text,
                            TagScheme scheme) {
  LabelledSet set;
  set.all = model.batch(text.words);
  for (std::int64_t i = 0; i < set.all.segments.count(); ++i) {
    set.lengths.push_back({.source = length_of(set.all, i, model.word_options.cut), .target = 0});
  }
  if (model.network.config.tags > 0) {
    const bool spans = writes_spans(model.tags);
    for (const Tags& sentence : text.tags) {
      const bool converts = spans && std::all_of(sentence.begin(), sentence.end(), is_span_tag);
      for (const std::string& tag : converts ? convert_tags(sentence, scheme) : sentence) {
        set.all.tags.push_back(label_id(model.tags, tag));
      }
    }
  }
  if (model.network.config.classes > 0) take_labels(model, text, set.all);
  return set;
}

LabellerModel make_labeller(const LabellerDesign& d, const LabelledText& text, std::uint64_t seed,
                            const BertModel* begin) {
  const bool tags = d.task != LabelTask::classify, classes = d.task != LabelTask::tag;
  if (tags && text.tags.empty()) fail("{} needs text with a tag a word", name_of(d.task));
  if (classes && text.labels.empty()) {
    fail("{} needs text with a label a sentence", name_of(d.task));
  }
  LabellerModel model;
  model.preset = d.preset;
  Labeller::Config config = sizes_of(d);
  if (config.encoder == LabelEncoder::bert) {
    if (begin == nullptr) fail("a labeller over a BERT begins with one: give --init");
    read_as(*begin, d.words.cut, model, config);
  } else {
    learn_words(d, text, model, config);
  }
  if (tags) {
    model.tags = labels_of(tags_in(text, d.scheme), "tags");
    config.tags = label_count(model.tags);
  }
  if (classes) {
    model.classes = classes_of(text, config.answer);
    config.classes = label_count(model.classes);
  }
  config.crf = tags && config.crf;
  model.network = Labeller::make(seed, config);
  if (config.answer == ClassAnswer::number) begin_at_the_mean(text, model.network.class_output);
  if (tags && writes_spans(model.tags)) {
    const LegalTransitions legal = legal_transitions(names_of(model.tags), d.scheme);
    model.network.set_rules(
        {.transition = legal.follows, .start = legal.starts, .end = legal.ends});
  }
  if (config.prior != PriorMask::none) {
    const std::int64_t least = d.prior_least.value_or(config.prior == PriorMask::hard ? 1 : 0);
    model.network.set_prior(
        prior_of(model, encode_labelled(model, text, d.scheme), {.least = least}));
  }
  if (begin != nullptr && !d.fresh) take_weights(model, *begin);
  return model;
}

void take_weights(LabellerModel& model, const BertModel& from) {
  std::map<std::string, Tensor> given;
  for_each_parameter(from.network.bert,
                     [&](std::string_view path, const Tensor& p) { given.emplace(path, p); });
  for_each_parameter(model.network.bert, [&](std::string_view path, Tensor& p) {
    const auto found = given.find(std::string(path));
    if (found == given.end()) return;  // a pooler that was never trained
    if (found->second.shape() != p.shape()) {
      fail<ShapeError>("labeller: {} is {}, the BERT's is {}", path, to_string(p.shape()),
                       to_string(found->second.shape()));
    }
    std::ranges::copy(found->second.values(), p.data());
  });
}

}  // namespace qkv
