#include "qkv/text/token_pipeline.h"

#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/text/pipeline/parts.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv {
namespace {

using pipeline::kVisibleSpace;
using pipeline::Parts;
using pipeline::Stretch;
using pipeline::Token;
using pipeline::TracedText;

/// token(token, stretch) for each token of the text; an added one is the whole of its stretch.
template <class F>
void for_each_token(const Parts& parts, TracedText& traced, F&& token) {
  parts.added.find(traced, false);
  for (const auto& n : parts.normalisers) apply(n, traced);
  parts.added.find(traced, true);
  for (const auto& p : parts.pre_tokenisers) apply(p, traced);
  std::vector<Token> tokens;
  for (const Stretch& s : traced.stretches()) {
    tokens.clear();
    if (s.token >= 0) {
      tokens.push_back({s.token, 0, static_cast<std::uint32_t>(s.end - s.begin)});
    } else {
      parts.model.cut(traced.text(s), tokens);
    }
    for (const Token& t : tokens) token(t, s);
  }
}

/// A piece of SentencePiece as its model spells it: a space, or the beginning of a text, is a sign.
std::string with_visible_spaces(std::string_view text, bool first) {
  std::string piece;
  if (first && !text.starts_with(' ')) piece = kVisibleSpace;
  for (const char c : text) {
    if (c == ' ') {
      piece += kVisibleSpace;
    } else {
      piece += c;
    }
  }
  return piece;
}

/// What a token is called: its piece, but what stands in the text for an added token and for what a
/// unigram model does not know.
std::string name_of_token(const Parts& parts, const Token& t, std::string_view stretch,
                          bool added) {
  const std::string text(stretch.substr(t.begin, t.end - t.begin));
  if (const auto* sp = std::get_if<pipeline::SentencePieceModel>(&parts.model.kind())) {
    if (!added && t.id == sp->unk) return with_visible_spaces(text, t.begin == 0);
  }
  const auto* unigram = std::get_if<pipeline::UnigramModel>(&parts.model.kind());
  if (added || (unigram && t.id == unigram->unk)) {
    return text;
  }
  const std::string* piece = parts.table.piece(t.id);
  return piece ? *piece : std::string();
}

TokenEncoding encode_one(const Parts& parts, std::string_view text) {
  TracedText traced(text);
  TokenEncoding encoding;
  for_each_token(parts, traced, [&](const Token& t, const Stretch& s) {
    encoding.ids.push_back(t.id);
    encoding.pieces.push_back(name_of_token(parts, t, traced.text(s), s.token >= 0));
    encoding.spans.push_back(traced.span(s, t.begin, t.end));
  });
  for (const pipeline::SpanTrim& trim : parts.trims) trim_spans(trim, text, encoding);
  return encoding;
}

/// Whether a part asks where in the text a stretch begins.
bool needs_traces(const Parts& parts) {
  return std::ranges::any_of(parts.pre_tokenisers, [](const pipeline::PreTokeniser& p) {
    const auto* spaces = std::get_if<pipeline::VisibleSpaces>(&p);
    return spaces != nullptr && spaces->prefix == pipeline::Prefix::first;
  });
}

std::vector<std::int32_t> ids_of(const Parts& parts, std::string_view text) {
  TracedText traced(text, needs_traces(parts));
  std::vector<std::int32_t> ids;
  for_each_token(parts, traced, [&](const Token& t, const Stretch&) { ids.push_back(t.id); });
  return ids;
}

/// One or two texts with what stands around them.
TokenEncoding put_together(const Parts& parts, std::span<TokenEncoding> texts, bool special) {
  TokenEncoding whole;
  const auto& items = texts.size() > 1 ? parts.around.pair : parts.around.single;
  for (const pipeline::TemplateItem& item : items) {
    if (item.text >= 0) {
      TokenEncoding& text = texts[static_cast<std::size_t>(item.text)];
      const std::size_t n = text.ids.size();
      whole.ids.insert(whole.ids.end(), text.ids.begin(), text.ids.end());
      whole.pieces.insert(whole.pieces.end(), text.pieces.begin(), text.pieces.end());
      whole.spans.insert(whole.spans.end(), text.spans.begin(), text.spans.end());
      whole.types.insert(whole.types.end(), n, item.type);
      whole.special.insert(whole.special.end(), n, 0);
      whole.texts.insert(whole.texts.end(), n, static_cast<std::int8_t>(item.text));
      continue;
    }
    if (!special) continue;
    for (const std::int32_t id : item.ids) {
      const std::string* piece = parts.table.piece(id);
      whole.ids.push_back(id);
      whole.pieces.push_back(piece ? *piece : std::string());
      whole.spans.push_back({});
      whole.types.push_back(item.type);
      whole.special.push_back(1);
      whole.texts.push_back(-1);
    }
  }
  return whole;
}

}  // namespace

TokenPipeline::TokenPipeline(std::shared_ptr<const Parts> parts)
    : parts_(std::move(parts)), roles_(parts_->roles) {}

const std::string& TokenPipeline::json() const { return parts_->json; }

TokenEncoding TokenPipeline::encode(std::string_view text, bool special) const {
  TokenEncoding texts[] = {encode_one(*parts_, text)};
  return put_together(*parts_, texts, special);
}

TokenEncoding TokenPipeline::encode(std::string_view text, std::string_view pair,
                                    bool special) const {
  TokenEncoding texts[] = {encode_one(*parts_, text), encode_one(*parts_, pair)};
  return put_together(*parts_, texts, special);
}

std::vector<std::int32_t> TokenPipeline::ids(std::string_view text, bool special) const {
  const std::vector<std::int32_t> inner = ids_of(*parts_, text);
  std::vector<std::int32_t> ids;
  for (const pipeline::TemplateItem& item : parts_->around.single) {
    if (item.text < 0 && !special) continue;
    const auto& part = item.text < 0 ? item.ids : inner;
    ids.insert(ids.end(), part.begin(), part.end());
  }
  return ids;
}

std::vector<std::vector<std::int32_t>> TokenPipeline::ids(std::span<const std::string> texts,
                                                          bool special) const {
  constexpr std::int64_t kGrain = 16;
  std::vector<std::vector<std::int32_t>> result(texts.size());
  parallel_for(
      static_cast<std::int64_t>(texts.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          result[i] = ids(texts[i], special);
        }
      });
  return result;
}

std::string TokenPipeline::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> pieces;
  for (const std::int32_t id : ids) {
    const std::string& text = piece(id);
    if (!skip_special || !is_special(id)) pieces.push_back(text);
  }
  return join(std::move(pieces));
}

std::string TokenPipeline::join(std::vector<std::string> pieces) const {
  if (parts_->decoders && !pieces.empty()) {
    for (const auto& decoder : *parts_->decoders) apply(decoder, pieces);
  }
  std::string text;
  for (const std::string& part : pieces) {
    if (!parts_->decoders && &part != pieces.data()) text += ' ';
    text += part;
  }
  return text;
}

std::int32_t TokenPipeline::size() const { return parts_->table.size(); }

const std::string& TokenPipeline::piece(std::int32_t id) const {
  const std::string* piece = parts_->table.piece(id);
  if (!piece) fail("tokeniser: no token has the number {}; they end at {}", id, size() - 1);
  return *piece;
}

bool TokenPipeline::has(std::int32_t id) const { return parts_->table.piece(id) != nullptr; }

std::int32_t TokenPipeline::id(std::string_view piece) const { return parts_->table.id(piece); }

bool TokenPipeline::is_special(std::int32_t id) const {
  return id >= 0 && id < size() && parts_->special[static_cast<std::size_t>(id)];
}

std::string TokenPipeline::surface(std::int32_t id) const {
  if (is_special(id) || !parts_->decoders) return piece(id);
  // Decoders treat the first piece of a text in ways of their own: put another one there.
  std::vector<std::string> pieces = {"x", piece(id)};
  for (const auto& decoder : *parts_->decoders) apply(decoder, pieces);
  std::string text;
  for (const std::string& part : pieces) text += part;
  return text.empty() ? text : text.substr(1);
}

TokenPipeline TokenPipeline::with_roles(const TokenRoles& roles) const {
  TokenRoles::each(roles, [this](std::string_view name, std::int32_t id) {
    if (id != -1 && !has(id)) {
      fail("tokeniser: {} is {}, a number without a token", name, id);
    }
  });
  TokenPipeline pipeline = *this;
  pipeline.roles_ = roles;
  return pipeline;
}

const std::optional<TruncationNote>& TokenPipeline::truncation() const {
  return parts_->truncation;
}

std::vector<TextSpan> code_point_spans(std::string_view text, std::span<const TextSpan> bytes) {
  std::vector<std::uint32_t> points(text.size() + 1);  // by byte
  std::uint32_t point = 0;
  for (std::size_t at = 0; at < text.size(); ++point) {
    const std::size_t next = at + first_code_point(text.substr(at)).bytes.size();
    std::fill(points.begin() + static_cast<std::ptrdiff_t>(at),
              points.begin() + static_cast<std::ptrdiff_t>(next), point);
    at = next;
  }
  points[text.size()] = point;
  std::vector<TextSpan> spans;
  spans.reserve(bytes.size());
  for (const TextSpan& s : bytes) {
    if (s.end > text.size() || s.begin > s.end) fail("tokeniser: a span outside the text");
    spans.push_back({points[s.begin], points[s.end]});
  }
  return spans;
}

}  // namespace qkv
