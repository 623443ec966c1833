#include "qkv/systems/label_sentences.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/data/batching.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

std::int64_t longest_sentence(const LabellerModel& model, std::optional<WordCut> cut) {
  const Labeller::Config& c = model.network.config;
  if (cut.value_or(model.word_options.cut) == WordCut::pair) return 0;
  if (c.encoder == LabelEncoder::bert) return model.room();
  if (!c.transforms() || c.positions == PositionKind::none) return 0;
  return c.max_length - (c.pools(Pooling::token) ? 1 : 0);
}

std::int64_t cut_long(LabelledText& text, std::int64_t longest) {
  if (longest <= 0) return 0;
  std::int64_t cuts = 0;
  for (std::size_t i = 0; i < text.words.size(); ++i) {
    if (text.words[i].size() <= at(longest)) continue;
    text.words[i].resize(at(longest));
    if (!text.tags.empty()) text.tags[i].resize(at(longest));
    ++cuts;
  }
  return cuts;
}

TableForm table_for(const LabellerModel& model, WordCut cut) {
  const ClassAnswer answer = model.network.config.answer;
  return {.pairs = cut == WordCut::pair,
          .numbers = answer == ClassAnswer::number,
          .several = answer == ClassAnswer::labels};
}

std::int64_t length_of(const LabelBatch& all, std::int64_t i, WordCut cut) {
  const bool pieces = keeps_texts(cut) && all.piece_segments.count() > 0;
  return pieces ? all.piece_segments.length(i) : all.segments.length(i);
}

bool writes_spans(const Vocabulary& tags) {
  bool any = false;
  for (std::int32_t i = 0; i < label_count(tags); ++i) {
    const std::string& name = label_name(tags, i);
    if (!is_span_tag(name)) return false;
    any = any || name != "O";
  }
  return any;
}

LabelBatch pack(const LabelBatch& all, std::span<const std::int64_t> index) {
  LabelBatch batch;
  std::vector<std::int64_t> lengths, word_lengths, piece_lengths;
  const std::int64_t marks =
      static_cast<std::int64_t>(all.marks.size()) / std::max<std::int64_t>(1, all.segments.count());
  const auto append = [](const auto& from, auto& to, std::int64_t begin, std::int64_t end) {
    if (!from.empty()) to.insert(to.end(), from.begin() + begin, from.begin() + end);
  };
  for (const std::int64_t i : index) {
    const std::int64_t begin = all.segments.begin(i), end = all.segments.end(i);
    lengths.push_back(end - begin);
    append(all.words, batch.words, begin, end);
    append(all.shapes, batch.shapes, begin, end);
    if (!all.pieces.empty()) {
      const std::int64_t first = all.piece_segments.begin(i), last = all.piece_segments.end(i);
      append(all.pieces, batch.pieces, first, last);
      append(all.piece_types, batch.piece_types, first, last);
      append(all.first_piece, batch.first_piece, begin, end);
      piece_lengths.push_back(all.piece_segments.length(i));
    }
    append(all.tags, batch.tags, begin, end);
    append(all.classes, batch.classes, i, i + 1);
    append(all.marks, batch.marks, i * marks, (i + 1) * marks);
    append(all.numbers, batch.numbers, i, i + 1);
    if (all.characters.empty() || begin == end) continue;
    append(all.characters, batch.characters, all.word_characters.begin(begin),
           all.word_characters.end(end - 1));
    for (std::int64_t t = begin; t < end; ++t)
      word_lengths.push_back(all.word_characters.length(t));
  }
  batch.segments = Segments(lengths);
  batch.word_characters = Segments(word_lengths);
  batch.piece_segments = Segments(piece_lengths);
  return batch;
}

namespace {

/// No answer rests on scores that are no numbers.
void require_finite(double score, std::int64_t sentence) {
  if (std::isfinite(score)) return;
  fail<NumericError>("the model gives {} for sentence {}; its weights ran away", score,
                     sentence + 1);
}

/// What is said of sequence b of a batch as a whole.
void take_class(const LabellerModel& model, const LabelPrediction& p, std::int64_t b,
                std::int64_t sentence, Labelled& result) {
  const ClassAnswer answer = model.network.config.answer;
  if (answer == ClassAnswer::number) {
    result.value = p.numbers[at(b)];
    require_finite(*result.value, sentence);
    result.label = fmt::format("{:.6g}", *result.value);
    return;
  }
  const Tensor row = p.class_log_probabilities.rows(b, b + 1);
  for (const float log_p : row.values()) {
    result.class_probabilities.push_back(std::exp(static_cast<double>(log_p)));
    require_finite(result.class_probabilities.back(), sentence);
  }
  if (answer == ClassAnswer::label) {
    result.label = label_name(model.classes, p.classes[at(b)]);
    return;
  }
  result.several.emplace();
  for (std::size_t k = 0; k < result.class_probabilities.size(); ++k) {
    if (!(result.class_probabilities[k] > 0.5)) continue;
    result.several->push_back(label_name(model.classes, static_cast<std::int32_t>(k)));
  }
  result.label = fmt::format("{}", fmt::join(*result.several, ","));
}

}  // namespace

std::vector<Labelled> label_sentences(const LabellerModel& model,
                                      std::span<const std::vector<std::string>> sentences,
                                      const LabellingOptions& options) {
  const NoRecording off;
  const Labeller::Config& config = model.network.config;
  const WordCut how = options.cut.value_or(model.word_options.cut);
  LabelledText text;
  text.words.assign(sentences.begin(), sentences.end());
  cut_long(text, longest_sentence(model, how));
  const LabelBatch all = model.batch(text.words, how);
  std::vector<ExampleLength> lengths;
  for (std::int64_t i = 0; i < all.segments.count(); ++i) {
    lengths.push_back({.source = length_of(all, i, how), .target = 0});
  }
  const bool spans = config.tags > 0 && writes_spans(model.tags);
  // Labels are numbered by falling count.
  const std::string unread = spans ? "O" : config.tags > 0 ? label_name(model.tags, 0) : "";
  std::vector<Labelled> results(sentences.size());
  for (const auto& index : plan_by_length(lengths, options.batch_tokens)) {
    const LabelBatch batch = pack(all, index);
    const LabelPrediction p =
        model.network.predict(batch, {.tag_probabilities = options.tag_probabilities});
    for (std::size_t k = 0; k < index.size(); ++k) {
      Labelled& result = results[at(index[k])];
      const auto b = static_cast<std::int64_t>(k);
      if (config.tags > 0) {
        for (std::int64_t t = batch.segments.begin(b); t < batch.segments.end(b); ++t) {
          result.tags.push_back(label_name(model.tags, p.tags[at(t)]));
          if (options.tag_probabilities) {
            result.tag_probabilities.push_back(p.tag_probabilities[at(t)]);
          }
        }
        if (spans) result.tags = convert_tags(result.tags, options.scheme);
        result.tags.resize(sentences[at(index[k])].size(), unread);
        if (options.tag_probabilities) {  // of what was not read, too
          result.tag_probabilities.resize(result.tags.size(), 1.0);
        }
        result.tag_score = p.tag_scores[k];
        require_finite(static_cast<double>(p.tag_scores[k]), index[k]);
      }
      if (config.classes > 0) take_class(model, p, b, index[k], result);
      if (!all.left_out.empty()) result.left_out = all.left_out[at(index[k])];
    }
  }
  return results;
}

}  // namespace qkv
