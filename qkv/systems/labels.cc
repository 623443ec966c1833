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
#include "qkv/text/normalise.h"

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

/// How many words or pieces the model held of a sentence, and how many it did not.
void count_cut(const LabellerModel& model, WordCut cut, std::int64_t left_out,
               LabelledSentence& s) {
  const auto count = static_cast<std::int64_t>(s.words.size());
  const std::int64_t longest = longest_sentence(model, cut);
  if (keeps_texts(cut)) {
    s.cut = left_out;
    s.held = model.network.config.encoder == LabelEncoder::bert ? model.room() + 2 : count;
  } else {
    s.cut = longest > 0 ? std::max<std::int64_t>(0, count - longest) : 0;
    s.held = count - s.cut;
  }
}

LabelledSentence sentence_of(const LabellerModel& model, bool spans, WordCut cut,
                             std::vector<std::string> words, Labelled&& result) {
  LabelledSentence s;
  s.words = std::move(words);
  count_cut(model, cut, result.left_out, s);
  s.tags = std::move(result.tags);
  s.tag_score = result.tag_score;
  s.has_spans = spans;
  for (const TagSpan& span : runs_of(s.tags)) {
    double sum = 0;
    for (std::int64_t i = span.begin; i < span.end; ++i) {
      sum += result.tag_probabilities[static_cast<std::size_t>(i)];
    }
    s.spans.push_back({.type = span.type,
                       .begin = span.begin,
                       .end = span.end,
                       .text = joined(s.words, span),
                       .score = sum / static_cast<double>(span.end - span.begin)});
  }
  if (model.network.config.classes == 0 || s.words.empty()) return s;
  s.labels = std::move(result.several);
  s.value = result.value;
  s.label = std::move(result.label);
  for (std::size_t i = 0; i < result.class_probabilities.size(); ++i) {
    const double p = result.class_probabilities[i];
    s.scores.emplace_back(label_name(model.classes, static_cast<std::int32_t>(i)), p);
    if (s.scores.back().first == s.label) s.probability = p;
  }
  return s;
}

std::int64_t count_characters(std::string_view utf8) {
  return std::ranges::count_if(
      utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

/// Where the words of a line, one after the other, begin in it, in characters; and where they end.
void place_spans(std::string_view line, LabelledSentence& s) {
  const std::string text = repair_utf8(line);
  std::vector<std::int64_t> begins, ends;
  std::size_t at = 0;
  std::int64_t characters = 0;
  for (const std::string& word : s.words) {
    const std::size_t found = text.find(word, at);
    if (found == std::string::npos) return;  // a word that is not in the line as it stands
    characters += count_characters(std::string_view(text).substr(at, found - at));
    begins.push_back(characters);
    characters += count_characters(word);
    ends.push_back(characters);
    at = found + word.size();
  }
  for (LabelledSpan& span : s.spans) {
    span.text_begin = begins[static_cast<std::size_t>(span.begin)];
    span.text_end = ends[static_cast<std::size_t>(span.end) - 1];
  }
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
  return answer(sentences, options, options.words.value_or(model_->word_options.cut));
}

std::vector<LabelledSentence> LabelSystem::answer(
    std::span<const std::vector<std::string>> sentences, const LabelOptions& options,
    WordCut cut) const {
  const ThreadScope threads(options_.threads);
  const bool tags = model_->network.config.tags > 0;
  const bool spans = tags && writes_spans(model_->tags);
  std::vector<LabelledSentence> labelled;
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, options.batch_sentences));
  for (std::size_t begin = 0; begin < sentences.size(); begin += most) {
    const auto part = sentences.subspan(begin, std::min(most, sentences.size() - begin));
    std::vector<Labelled> results = label_sentences(
        *model_, part, {.scheme = options.scheme, .cut = cut, .tag_probabilities = tags});
    for (std::size_t i = 0; i < part.size(); ++i) {
      labelled.push_back(sentence_of(*model_, spans, cut, part[i], std::move(results[i])));
    }
  }
  return labelled;
}

std::vector<LabelledSentence> LabelSystem::label(std::span<const std::string> texts,
                                                 const LabelOptions& options) const {
  const WordCut cut = options.words.value_or(model_->word_options.cut);
  std::vector<std::vector<std::string>> sentences;
  sentences.reserve(texts.size());
  model_->check_cut(cut);
  for (const std::string& text : texts) sentences.push_back(model_->cut(text, cut));
  std::vector<LabelledSentence> labelled = answer(sentences, options, cut);
  for (std::size_t i = 0; i < labelled.size(); ++i) place_spans(texts[i], labelled[i]);
  return labelled;
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
  if (c.classes > 0) {
    info.facts.emplace_back("labels", c.answer == ClassAnswer::number ? "none, a number"
                                      : c.answer == ClassAnswer::labels
                                          ? fmt::format("{}, any of them", c.classes)
                                          : std::to_string(c.classes));
  }
  if (m.word_options.cut == WordCut::pair) info.facts.emplace_back("texts", "two a line");
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

LabelledSentence Classifier::classify_pair(std::string_view first, std::string_view second,
                                           const LabelOptions& options) const {
  const std::vector<std::string> two = {std::string(first), std::string(second)};
  LabelOptions of_pairs = options;
  of_pairs.words = WordCut::pair;
  return std::move(label_words(std::span(&two, 1), of_pairs).front());
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
