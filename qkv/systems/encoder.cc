#include "qkv/systems/encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/systems/attention.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/describe.h"

namespace qkv {
namespace {

const char* family_text(BertFamily family) {
  constexpr const char* names[] = {"BERT", "DistilBERT", "RoBERTa", "XLM-R", "ALBERT"};
  return names[static_cast<std::size_t>(family)];
}

/// How texts become vectors, where more than a mean does it.
void tell_vectors(const BertModel& m, Info& info) {
  const SentenceSettings& s = m.sentence;
  if (s.pooling == TextVector::mean && s.dense.empty() && !s.normalise) return;
  std::string steps(name_of(s.pooling));
  for (const SentenceDense& dense : s.dense) steps += fmt::format(", dense {}", dense.text());
  if (s.normalise) steps += ", length 1";
  info.facts.emplace_back("vectors", fmt::format("{} numbers: {}", m.vector_width(), steps));
}

}  // namespace

BertSystem::BertSystem(BertModel model, const LoadOptions& options)
    : model_(std::make_shared<const BertModel>(std::move(model))), options_(options) {}

void BertSystem::save(const std::filesystem::path& directory) const {
  save_bert_model(*model_, directory);
}

std::int64_t BertSystem::max_pieces() const {
  // An encoder alone is asked for vectors, whose texts the directory may cut shorter.
  const bool vectors = !model_->network.parts().words;
  return (vectors ? sentence_room(*model_) : model_->room()) - 2;
}

AttentionMaps BertSystem::attention(std::string_view text, const LookOptions& look) const {
  const ThreadScope threads(options_.threads);
  return attention_of(*model_, text, look);
}

std::int64_t BertSystem::cut(std::string_view text) const {
  // A piece has at least one byte, so most texts need not be cut into pieces for this.
  if (static_cast<std::int64_t>(text.size()) <= max_pieces()) return 0;
  const auto pieces = static_cast<std::int64_t>(model_->pieces.encode_masked(text).size());
  return std::max<std::int64_t>(0, pieces - max_pieces());
}

Info BertSystem::info() const {
  const BertModel& m = *model_;
  const BertConfig& c = m.network.bert.config;
  const Bert::Parts parts = m.network.parts();
  Info info = describe("mlm", m.preset,
                       fmt::format("{}{}{}", family_text(c.family),
                                   parts.words ? ", hidden words" : ", encoder alone",
                                   parts.next ? ", next sentence" : ""),
                       m);
  info.facts.emplace_back(
      "sizes", fmt::format("width {}, {} heads, feed-forward {}, {} layers, {} positions",
                           c.hidden_size, c.num_attention_heads, c.intermediate_size,
                           c.num_hidden_layers, c.max_position_embeddings));
  info.facts.emplace_back("vocabulary",
                          fmt::format("{} pieces ({})", grouped(c.vocab_size), m.pieces.kind()));
  tell_vectors(m, info);
  tell_options(c, info);
  info.notes = m.notes;
  return info;
}

Encoder::Encoder(BertModel model, const LoadOptions& options)
    : BertSystem(std::move(model), options) {}
Encoder Encoder::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return Encoder(load_bert_model(directory), options);
}

Tensor Encoder::embed(std::span<const std::string> texts, const EmbedOptions& options) const {
  const ThreadScope threads(load_options().threads);
  const BertModel& m = model();
  const std::int64_t width = m.vector_width();
  Tensor all = Tensor::empty({static_cast<std::int64_t>(texts.size()), width});
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, options.batch_sentences));
  for (std::size_t begin = 0; begin < texts.size(); begin += most) {
    const auto part = texts.subspan(begin, std::min(most, texts.size() - begin));
    const Tensor vectors = embed_texts(m, part, options);
    std::ranges::copy(vectors.values(),
                      all.values().begin() + static_cast<std::int64_t>(begin) * width);
  }
  return all;
}

std::vector<float> Encoder::embed(std::string_view text, const EmbedOptions& options) const {
  const std::string one(text);
  const Tensor row = embed(std::span(&one, 1), options);
  return {row.values().begin(), row.values().end()};
}

Similarity Encoder::similarity() const { return model().sentence.similarity; }

MaskedModel::MaskedModel(BertModel model, const LoadOptions& options)
    : BertSystem(std::move(model), options) {
  if (!this->model().network.parts().words) fail("the model has no head for hidden words");
}
MaskedModel MaskedModel::load(const std::filesystem::path& directory, const LoadOptions& options) {
  BertModel model = load_bert_model(directory);
  if (!model.network.parts().words) {
    throw DataError(directory.string(), 0, "has no head for hidden words; qkv embed can use it");
  }
  return MaskedModel(std::move(model), options);
}

FilledText MaskedModel::fill(std::string_view text, int count) const {
  const ThreadScope threads(load_options().threads);
  const BertModel& m = model();
  const std::string one(text);
  const BertRows rows = rows_of(m, std::span(&one, 1), true);
  const auto masks = fill_masks(m, rows, std::max(1, count));
  FilledText filled{.text = one, .masks = {}};
  if (masks.empty()) return filled;
  std::vector<std::int32_t> ids = rows.ids;
  std::size_t n = 0;
  for (std::int32_t& id : ids) {
    if (id == m.pieces.mask()) id = masks[n++].front().id;
  }
  filled.text = m.pieces.decode(ids);
  for (const auto& candidates : masks) {
    filled.masks.emplace_back();
    for (const BertCandidate& c : candidates) {
      filled.masks.back().push_back({m.pieces.piece(c.id), c.id, c.probability});
    }
  }
  return filled;
}

std::vector<FilledText> MaskedModel::fill(std::span<const std::string> texts, int count) const {
  std::vector<FilledText> filled;
  filled.reserve(texts.size());
  for (const std::string& text : texts) filled.push_back(fill(text, count));
  return filled;
}

}  // namespace qkv
