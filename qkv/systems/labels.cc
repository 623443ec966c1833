#include "qkv/systems/labels.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/systems/attention.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/label_sentences.h"
#include "qkv/systems/labeller_model.h"

namespace qkv {
namespace {

const char* encoder_text(LabelEncoder encoder) {
  switch (encoder) {
    case LabelEncoder::fc:
      return "each position by itself";
    case LabelEncoder::cnn:
      return "CNN";
    case LabelEncoder::rnn:
      return "RNN";
    case LabelEncoder::attention:
      return "self-attention";
    case LabelEncoder::linear:
      return "linear attention";
    case LabelEncoder::bert:
      return "BERT";
  }
  return "";
}

std::string joined(const std::vector<std::string>& words, const TagSpan& span) {
  std::string text;
  for (std::int64_t i = span.begin; i < span.end; ++i) {
    text += (i > span.begin ? " " : "") + words[static_cast<std::size_t>(i)];
  }
  return text;
}

LabelledSentence sentence_of(const LabellerModel& model, bool spans, std::int64_t longest,
                             std::vector<std::string> words, Labelled&& result) {
  LabelledSentence s;
  const auto count = static_cast<std::int64_t>(words.size());
  if (longest > 0) s.cut = std::max<std::int64_t>(0, count - longest);
  s.words = std::move(words);
  s.tags = std::move(result.tags);
  s.tag_score = result.tag_score;
  s.has_spans = spans;
  if (spans) {
    for (const TagSpan& span : spans_of(s.tags)) {
      s.spans.push_back({span.type, span.begin, span.end, joined(s.words, span)});
    }
  }
  if (model.network.config.classes == 0 || s.words.empty()) return s;
  s.label = std::move(result.label);
  for (std::size_t i = 0; i < result.class_probabilities.size(); ++i) {
    const double p = result.class_probabilities[i];
    s.scores.emplace_back(label_name(model.classes, static_cast<std::int32_t>(i)), p);
    if (s.scores.back().first == s.label) s.probability = p;
  }
  return s;
}

}  // namespace

LabelSystem::LabelSystem(LabellerModel model, std::string_view task, const LoadOptions& options)
    : model_(std::make_shared<const LabellerModel>(std::move(model))), options_(options) {
  if (model_->task() != task) {
    fail("the model is for '{}'; use qkv {}", model_->task(), model_->task());
  }
}

LabellerModel LabelSystem::read(const std::filesystem::path& directory, std::string_view task) {
  LabellerModel model = load_labeller_model(directory);
  if (model.task() != task) {
    fail("{}: is a model for '{}'; use qkv {}", directory.string(), model.task(), model.task());
  }
  return model;
}

void LabelSystem::save(const std::filesystem::path& directory) const {
  save_labeller_model(*model_, directory);
}

std::vector<LabelledSentence> LabelSystem::label_words(
    std::span<const std::vector<std::string>> sentences, const LabelOptions& options) const {
  const ThreadScope threads(options_.threads);
  const bool spans = model_->network.config.tags > 0 && writes_spans(model_->tags);
  const std::int64_t longest = longest_sentence(*model_);
  std::vector<LabelledSentence> labelled;
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, options.batch_sentences));
  for (std::size_t begin = 0; begin < sentences.size(); begin += most) {
    const auto part = sentences.subspan(begin, std::min(most, sentences.size() - begin));
    std::vector<Labelled> results = label_sentences(*model_, part, options.scheme);
    for (std::size_t i = 0; i < part.size(); ++i) {
      labelled.push_back(sentence_of(*model_, spans, longest, part[i], std::move(results[i])));
    }
  }
  return labelled;
}

std::vector<LabelledSentence> LabelSystem::label(std::span<const std::string> texts,
                                                 const LabelOptions& options) const {
  const WordCut cut = options.words.value_or(model_->word_options.cut);
  std::vector<std::vector<std::string>> sentences;
  sentences.reserve(texts.size());
  for (const std::string& text : texts) sentences.push_back(model_->cut(text, cut));
  return label_words(sentences, options);
}

AttentionMaps LabelSystem::attention(std::string_view text, const LookOptions& look) const {
  const ThreadScope threads(options_.threads);
  return attention_of(*model_, text, look);
}

Info LabelSystem::info() const {
  const LabellerModel& m = *model_;
  const Labeller::Config& c = m.network.config;
  const bool bert = c.encoder == LabelEncoder::bert;
  Info info =
      describe(std::string(m.task()), m.preset,
               fmt::format("{}{}{}", encoder_text(c.encoder), c.tags > 0 && c.crf ? ", CRF" : "",
                           c.prior == PriorMask::none ? "" : ", prior"),
               m);
  const char* small = m.word_options.lowercase ? " (lower case)" : "";
  if (bert) {
    info.facts.emplace_back(
        "sizes", fmt::format("width {}, {} layers, {} positions", c.width, c.bert.num_hidden_layers,
                             c.bert.max_position_embeddings));
    info.facts.emplace_back("vocabulary",
                            fmt::format("{} pieces{}", grouped(m.pieces.size()), small));
  } else {
    info.facts.emplace_back("sizes", fmt::format("embedding {}, width {}, {} layer{}", c.embedding,
                                                 c.width, c.layers, c.layers == 1 ? "" : "s"));
    info.facts.emplace_back("vocabulary",
                            fmt::format("{} words{}, {} characters", grouped(m.words.size()), small,
                                        grouped(c.characters)));
  }
  if (c.tags > 0) info.facts.emplace_back("tags", std::to_string(c.tags));
  if (c.classes > 0) info.facts.emplace_back("labels", std::to_string(c.classes));
  tell_options(c, info);
  if (bert) tell_options(c.bert, info);
  info.notes = m.notes;
  return info;
}

Tagger::Tagger(LabellerModel model, const LoadOptions& options)
    : LabelSystem(std::move(model), "tag", options) {}
Tagger Tagger::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return Tagger(read(directory, "tag"), options);
}
LabelledSentence Tagger::tag(std::string_view text, const LabelOptions& options) const {
  const std::string one(text);
  return std::move(label(std::span(&one, 1), options).front());
}

Classifier::Classifier(LabellerModel model, const LoadOptions& options)
    : LabelSystem(std::move(model), "classify", options) {}
Classifier Classifier::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return Classifier(read(directory, "classify"), options);
}
LabelledSentence Classifier::classify(std::string_view text, const LabelOptions& options) const {
  const std::string one(text);
  return std::move(label(std::span(&one, 1), options).front());
}

IntentModel::IntentModel(LabellerModel model, const LoadOptions& options)
    : LabelSystem(std::move(model), "intent", options) {}
IntentModel IntentModel::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return IntentModel(read(directory, "intent"), options);
}
LabelledSentence IntentModel::recognise(std::string_view text, const LabelOptions& options) const {
  const std::string one(text);
  return std::move(label(std::span(&one, 1), options).front());
}

}  // namespace qkv
