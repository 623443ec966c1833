#include "qkv/train/labelling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
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

Vocabulary labels_of(std::span<const std::string> labels, std::string_view what) {
  TokenCounts counts;
  for (const std::string& label : labels) count_token(counts, label);
  Vocabulary vocabulary(counts);
  if (label_count(vocabulary) < 2) {
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

}  // namespace

void cut_texts(LabelledText& text, WordCut cut) {
  if (!text.words.empty()) return;
  for (const std::string& line : text.texts) text.words.push_back(cut_words(line, cut));
  text.report.tokens = 0;
  for (const auto& words : text.words) {
    text.report.tokens += static_cast<std::int64_t>(words.size());
  }
}

LabellerModel make_labeller(const LabellingPreset& preset, const LabelledText& text,
                            TagScheme scheme, std::uint64_t seed, const PriorOptions& prior) {
  const bool tags = preset.task != LabelTask::classify, classes = preset.task != LabelTask::tag;
  if (tags && text.tags.empty()) fail("{} needs text with a tag a word", name_of(preset.task));
  if (classes && text.labels.empty()) {
    fail("{} needs text with a label a sentence", name_of(preset.task));
  }
  LabellerModel model;
  model.preset = preset.name;
  model.word_options = preset.words;
  const bool by_pieces = preset.model.encoder == LabelEncoder::bert;
  TokenCounts words, letters;
  for (const auto& sentence : text.words) {
    if (by_pieces) break;
    for (const std::string& word : sentence) {
      count_token(words, word_as_read(word, preset.words));
      for (const std::string_view c : characters(word)) count_token(letters, c);
    }
  }
  model.words = Vocabulary(words, {.min_count = preset.min_count});
  if (!by_pieces && label_count(model.words) == 0) {
    fail("only 0 words occur {} times; give more text or a lower --min-count", preset.min_count);
  }
  Labeller::Config config = preset.model;
  config.words = by_pieces ? 0 : model.words.size();
  if (by_pieces) {
    config.characters = config.shapes = 0;
    config.width = config.bert.hidden_size;
    model.pieces = preset.pieces;
    model.word_options = {.lowercase = preset.pieces.lower(), .cut = preset.words.cut};
  }
  config.unknown = Vocabulary::kUnk;
  if (config.characters > 0) {
    model.characters = Vocabulary(letters);
    config.characters = model.characters.size();
  }
  if (config.shapes > 0) config.shapes = kWordShapes;
  if (tags) {
    const bool spans = detect_scheme(text.tags).has_value();
    std::vector<std::string> all;
    for (const Tags& sentence : text.tags) {
      const Tags converted = spans ? convert_tags(sentence, scheme) : sentence;
      all.insert(all.end(), converted.begin(), converted.end());
    }
    model.tags = labels_of(all, "tags");
    config.tags = label_count(model.tags);
  }
  if (classes) {
    model.classes = labels_of(text.labels, "labels");
    config.classes = label_count(model.classes);
  }
  config.crf = tags && config.crf;
  model.network = Labeller::make(config, seed);
  if (tags && writes_spans(model.tags)) {
    const LegalTransitions legal = legal_transitions(names_of(model.tags), scheme);
    model.network.set_rules(
        {.transition = legal.follows, .start = legal.starts, .end = legal.ends});
  }
  if (config.prior != PriorMask::none) {
    model.network.set_prior(prior_of(model, encode_labelled(model, text, scheme), prior));
  }
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

LabelledSet encode_labelled(const LabellerModel& model, const LabelledText& text,
                            TagScheme scheme) {
  LabelledSet set;
  set.all = model.batch(text.words);
  for (const auto& words : text.words) {
    set.lengths.push_back({.source = static_cast<std::int64_t>(words.size()), .target = 0});
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
  if (model.network.config.classes > 0) {
    for (const std::string& label : text.labels) {
      set.all.classes.push_back(label_id(model.classes, label));
    }
  }
  return set;
}

namespace {

/// What the loss is a mean of: words when there are tags, else sentences.
std::int64_t units(const LabellerModel& model, const LabelledSet& set,
                   std::span<const std::int64_t> examples) {
  if (model.network.config.tags == 0) return static_cast<std::int64_t>(examples.size());
  std::int64_t words = 0;
  for (const std::int64_t i : examples) words += set.lengths[at(i)].source;
  return words;
}

BatchLoss batch_loss(const LabellerModel& model, const LabelledSet& set,
                     std::span<const std::int64_t> examples, const LabellingTraining& t,
                     double scale) {
  const LabelLoss r = model.network.loss(
      pack(set.all, examples),
      {.tag_scale = scale, .class_scale = scale * t.class_weight, .smoothing = t.smoothing});
  return {.loss_sum = r.tag_sum + t.class_weight * r.class_sum,
          .nll_sum = r.tag_sum + r.class_sum,
          .tokens = units(model, set, examples),
          .correct = -1,
          .loss = r.loss};
}

/// Mean over the sentences whose labels the model knows; of unknown ones it can only be infinite.
double validation_loss(const LabellerModel& model, const LabellingTraining& t) {
  const NoRecording off;
  const LabelBatch& all = t.valid.all;
  std::vector<std::int64_t> known;
  std::vector<ExampleLength> lengths;
  for (std::int64_t b = 0; b < all.segments.count(); ++b) {
    const auto begin = all.tags.begin();
    const bool tags = all.tags.empty() ||
                      std::find(begin + all.segments.begin(b), begin + all.segments.end(b), -1) ==
                          begin + all.segments.end(b);
    if (!tags || (!all.classes.empty() && all.classes[at(b)] < 0)) continue;
    known.push_back(b);
    lengths.push_back(t.valid.lengths[at(b)]);
  }
  double sum = 0;
  std::int64_t count = 0;
  for (auto examples : plan_in_order(lengths, t.batches.max_tokens)) {
    for (std::int64_t& i : examples) i = known[at(i)];
    const BatchLoss part = batch_loss(model, t.valid, examples, t, 1.0);
    sum += part.nll_sum;
    count += part.tokens;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace

TrainTask labelling_task(LabellerModel& model, const LabellingTraining& training,
                         const std::filesystem::path& directory) {
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    return plan_epoch(training.train.lengths, training.batches, epoch);
  };
  task.tokens = [&model, &training](std::span<const std::int64_t> examples) {
    return units(model, training.train, examples);
  };
  task.loss = [&model, &training](std::span<const std::int64_t> examples, double scale) {
    return batch_loss(model, training.train, examples, training, scale);
  };
  task.validate = [&model, &training] {
    Validation v;
    v.loss = validation_loss(model, training);
    const LabelScores scores =
        score_labelled(training.valid_text, label_sentences(model, training.valid_text.words));
    v.score = scores.score();
    v.text = fmt::format("loss {:.4f}  {}", v.loss, scores.line());
    v.metrics = nlohmann::json{{"score", v.score}}.dump();
    return v;
  };
  task.save = [&model, directory] { save_labeller_model(model, directory); };
  task.keep = [&model](const std::filesystem::path& folder) { save_labeller_model(model, folder); };
  return task;
}

}  // namespace qkv
