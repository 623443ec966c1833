#include "qkv/systems/attention.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/data/clips.h"
#include "qkv/decode/search.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/label_sentences.h"
#include "qkv/systems/labeller_model.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/predict_clips.h"
#include "qkv/systems/system.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/systems/translation_model.h"
#include "qkv/systems/translation_tokens.h"

namespace qkv {
namespace {

std::vector<std::string> labels(const Tokeniser& t, const Tokens& ids) {
  std::vector<std::string> text;
  text.reserve(ids.size());
  for (std::int32_t id : ids) text.push_back(t.piece(id));
  return text;
}

/// Groups of tokens that make a word; special tokens are words of their own.
Groups words_of(const Tokeniser& t, const Tokens& ids) {
  return {.of_token = t.words(ids), .labels = t.word_texts(ids)};
}

/// What a translator attends to when it reads the source and is given the target.
std::vector<SeenAttention> attention_to(const TranslationModel& model, const Tokens& source,
                                        const Tokens& target_in) {
  const Segments from = Segments::one(static_cast<std::int64_t>(source.size()));
  const Segments to = Segments::one(static_cast<std::int64_t>(target_in.size()));
  return attention_seen([&] {
    std::visit(
        [&](const auto& network) {
          if constexpr (std::is_same_v<std::decay_t<decltype(network)>, Transformer>) {
            (void)network.decode(target_in, to, network.encode(source, from), from);
          } else {
            (void)network.decode(target_in, to, network.encode(source, from));
          }
        },
        model.network);
  });
}

/// "<class>" and the frames of the clip that the window reads.
std::vector<std::string> column_names(const ClipWindow& part) {
  std::vector<std::string> names = {"<class>"};
  const auto gaps = static_cast<double>(std::max<std::int64_t>(1, part.frames - 1));
  for (std::int64_t t = 0; t < part.frames; ++t) {
    const double moment = part.first + (part.last - part.first) * static_cast<double>(t) / gaps;
    names.push_back(fmt::format("{:.0f}", moment));
  }
  return names;
}

}  // namespace

AttentionMaps attention_of(const TranslationModel& model, std::string_view text,
                           std::string_view forced, const LookOptions& look) {
  AttentionMaps maps;
  SearchOptions options;
  set_special_tokens(model, options);
  const TranslationTokens special = model.tokens();
  options.begin = target_begin(model, model.defaults);
  const auto decoder = decoder_of(model, {.source_eos = special.source_end});
  Tokens source = encode_source(model, text, model.defaults);
  if (source.empty()) fail("look: the source is empty");
  Tokens target;
  if (forced.empty()) {
    target = search(*decoder, std::span<const Tokens>(&source, 1), options).front().front().tokens;
  } else {
    target = options.begin;
    const Tokens words = model.target.encode(forced);
    target.insert(target.end(), words.begin(), words.end());
  }
  maps.source_text = std::string(text);
  maps.translation = model.target.decode(target);
  maps.title = maps.source_text + " → " + maps.translation;
  if (special.source_end >= 0) source.push_back(special.source_end);
  Tokens target_in = {special.start};
  target_in.insert(target_in.end(), target.begin(), target.end());
  target.push_back(special.end);
  maps.source = labels(model.source, source);
  maps.target = labels(model.target, target);
  maps.target_in = labels(model.target, target_in);
  add_maps(maps, attention_to(model, source, target_in));
  if (maps.maps.empty()) fail("look: this model has no attention: it hands on one fixed vector");
  if (!layers_of(maps, AttentionMap::Kind::cross).empty()) {
    const AttentionMap shown = select(maps, AttentionMap::Kind::cross, look.layer, look.head);
    maps.received = coverage_of(shown.weights.values(), shown.weights.dim(1));
  }
  if (look.tokens) return maps;
  return merge_tokens(maps, words_of(model.source, source), words_of(model.target, target),
                      words_of(model.target, target_in));
}

AttentionMaps attention_of(const LabellerModel& model, std::string_view text,
                           const LookOptions& look) {
  const std::vector<std::vector<std::string>> sentence = {model.cut(text, model.word_options.cut)};
  if (sentence.front().empty()) fail("look: the source is empty");
  const Labelled result = label_sentences(model, sentence).front();
  AttentionMaps maps;
  maps.source_text = std::string(text);
  maps.translation = result.label;
  for (const std::string& tag : result.tags) {
    maps.translation += (maps.translation.empty() ? "" : " ") + tag;
  }
  maps.title = maps.source_text + " → " + maps.translation;
  maps.source = sentence.front();
  if (model.network.config.pools(Pooling::token)) {  // a BERT replaces it below
    maps.source.insert(maps.source.begin(), "<class>");
  }
  maps.target = maps.target_in = {result.label.empty() ? "label" : result.label};
  const LabelBatch batch = model.batch(sentence);
  Groups words;  // of the pieces of a BERT
  if (model.network.config.encoder == LabelEncoder::bert) {
    maps.source.clear();
    words.labels = sentence.front();
    words.labels.insert(words.labels.begin(), model.pieces.piece(model.pieces.cls()));
    words.labels.push_back(model.pieces.piece(model.pieces.sep()));
    for (std::size_t t = 0; t < batch.pieces.size(); ++t) {
      maps.source.push_back(model.pieces.piece(batch.pieces[t]));
      const auto begun = std::upper_bound(batch.first_piece.begin(), batch.first_piece.end(),
                                          static_cast<std::int32_t>(t));
      const bool last = t + 1 == batch.pieces.size();
      words.of_token.push_back(static_cast<std::int32_t>(begun - batch.first_piece.begin()) + last);
    }
  }
  add_maps(maps, attention_seen([&] { (void)model.network.encode(batch); }));
  if (maps.maps.empty()) {
    fail(
        "look: this model attends to nothing; train with --encoder attention or --pooling "
        "attention");
  }
  const bool texts = keeps_texts(model.word_options.cut);  // one wide row each would show nothing
  if (words.labels.empty() || look.tokens || texts) return maps;
  const Groups label{.of_token = {0}, .labels = maps.target};
  return merge_tokens(maps, words, label, label);
}

AttentionMaps attention_of(const LanguageModel& model, std::string_view text) {
  if (model.mpt() == nullptr) {
    fail("look: this model keeps a state in place of weights; look at one of --arch transformer");
  }
  const Tokens ids = model.prompt(text);
  const auto count = static_cast<std::int64_t>(ids.size());
  const NoRecording off;
  LanguageBatch batch{.ids = ids, .targets = {}, .segments = Segments::one(count), .prefix = {}};
  batch.prefix.assign(ids.size(), 1);  // what is given to a prefix model
  AttentionMaps maps;
  Tensor hidden;
  add_maps(maps, attention_seen([&] { hidden = (*model.mpt())(model.mpt_batch(batch)); }));
  const Tensor logits = model.mpt()->logits(hidden.rows(count - 1, count));
  const auto best = std::max_element(logits.values().begin(), logits.values().end());
  Tokens next(ids.begin() + 1, ids.end());
  next.push_back(static_cast<std::int32_t>(best - logits.values().begin()));
  maps.source_text = std::string(text);
  maps.translation = model.tokeniser.piece(next.back());
  maps.title = maps.source_text + " → " + maps.translation;
  maps.target = labels(model.tokeniser, next);
  maps.target_in = labels(model.tokeniser, ids);
  return maps;
}

AttentionMaps attention_of(const BertModel& model, std::string_view text, const LookOptions& look) {
  const std::string one(text);
  const BertPieces& pieces = model.pieces;
  const BertRows rows = rows_of(model, std::span(&one, 1), pieces.mask() >= 0);
  if (rows.ids.size() <= 2) fail("look: the source is empty");
  AttentionMaps maps;
  maps.source_text = one;
  std::vector<std::int32_t> filled = rows.ids;
  if (model.network.parts().words) {
    std::size_t n = 0;
    const auto candidates = fill_masks(model, rows, 1);
    for (std::int32_t& id : filled) {
      if (id == pieces.mask()) id = candidates[n++].front().id;
    }
  }
  maps.translation = pieces.decode(filled);
  maps.title = maps.source_text + " → " + maps.translation;
  Groups words;
  for (const std::int32_t id : rows.ids) {
    maps.source.push_back(pieces.piece(id));
    if (words.labels.empty() || !pieces.continues(id)) {
      words.labels.push_back(pieces.text_of(id));
    } else {
      words.labels.back() += pieces.text_of(id);
    }
    words.of_token.push_back(static_cast<std::int32_t>(words.labels.size()) - 1);
  }
  maps.target = maps.target_in = {"text"};
  add_maps(maps, attention_seen([&] { (void)model.network.bert(rows); }));
  if (maps.maps.empty()) fail("look: this model has no layers");
  const Groups whole{.of_token = {0}, .labels = {"text"}};
  return look.tokens ? maps : merge_tokens(maps, words, whole, whole);
}

AttentionMaps attention_of(const ActionModel& model, const Clip& clip) {
  const ActionSet set = encode_clips(model, std::span(&clip, 1));
  const std::int64_t first = 0;  // of several windows
  AttentionMaps maps;
  maps.source_text = fmt::format("clip {} ({})", clip.id, clip.name);
  maps.translation = model.labels[likeliest(predict_clips(model, set).front())];
  maps.title = maps.source_text + " → " + maps.translation;
  maps.source = column_names(set.windows.front().part);
  maps.target = maps.target_in = {maps.translation};
  add_maps(maps, attention_seen(
                     [&] { (void)model.network.logits(pack(model, set, std::span(&first, 1))); }));
  if (maps.maps.empty()) fail("look: this model attends to nothing; train with --arch act");
  for (std::size_t i = 0, layers = maps.maps.size(); i < layers; ++i) {
    AttentionMap token = maps.maps[i];
    token.kind = AttentionMap::Kind::cross;
    token.weights = token.weights.rows(0, 1);
    maps.maps.push_back(std::move(token));
  }
  return maps;
}

}  // namespace qkv
