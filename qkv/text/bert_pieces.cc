#include "qkv/text/bert_pieces.h"

#include <algorithm>
#include <utility>

#include "qkv/base/error.h"

namespace qkv {
namespace {

constexpr std::string_view kMask = "[MASK]";
constexpr std::string_view kMetaspace = "\u2581";  // SentencePiece's mark of a space
constexpr std::string_view kByteSpace = "\u0120";  // the byte-level one

/// The first of these names that is a token.
std::int32_t first_of(const TokenPipeline& t, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const std::int32_t id = t.id(name); id >= 0) return id;
  }
  return -1;
}

/// Shortens two texts to `most` pieces together; how many went. As tokenizers does: the shorter one
/// stays whole while the other is no shorter than it, else each has half, the longer the odd one.
std::int64_t cut_pair(std::vector<std::int32_t>& a, std::vector<std::int32_t>& b,
                      std::size_t most) {
  const std::size_t before = a.size() + b.size();
  if (before <= most) return 0;
  std::vector<std::int32_t>&shorter = a.size() <= b.size() ? a : b,
  &longer = a.size() <= b.size() ? b : a;
  if (shorter.size() <= most && most - shorter.size() >= shorter.size()) {
    longer.resize(most - shorter.size());
  } else {
    shorter.resize(most / 2);
    longer.resize(most - most / 2);
  }
  return static_cast<std::int64_t>(before - most);
}

}  // namespace

BertPieces::BertPieces(TokenPipeline pipeline, std::string_view path)
    : pipeline_(std::move(pipeline)) {
  const TokenPipeline& t = *pipeline_;
  const std::vector<std::int32_t> around = t.ids("", true), inner = t.ids("a", false),
                                  one = t.ids("a", true);
  if (around.size() != 2 || one.size() != inner.size() + 2 || one.front() != around[0] ||
      one.back() != around[1]) {
    throw DataError(std::string(path), 0,
                    "does not put one token before a text and one behind it, as a BERT reads it");
  }
  cls_ = around[0];
  sep_ = around[1];
  const auto role = [&t](std::int32_t id, std::initializer_list<std::string_view> names) {
    return id >= 0 ? id : first_of(t, names);
  };
  pad_ = role(t.roles().pad, {"<pad>", "[PAD]"});
  unk_ = role(t.roles().unk, {"<unk>", "[UNK]"});
  mask_ = role(t.roles().mask, {"<mask>", kMask});
  pair_ = template_of(t);
}

BertPieces::PairTemplate BertPieces::template_of(const TokenPipeline& pipeline) {
  const TokenEncoding two = pipeline.encode("a", "b");
  PairTemplate pair;
  std::size_t part = 0;  // 0 before A, 1 between, 2 behind B
  for (std::size_t i = 0; i < two.ids.size(); ++i) {
    if (two.texts[i] == 0) {
      if (part > 1) return {};  // B stands before A
      part = 1;
      pair.first_type = two.types[i];
    } else if (two.texts[i] == 1) {
      if (part == 0) return {};
      part = 2;
      pair.second_type = two.types[i];
    } else {
      pair.ids[part].push_back(two.ids[i]);
      pair.types[part].push_back(two.types[i]);
    }
  }
  pair.known = part == 2 && !pair.ids[1].empty();
  return pair;
}

std::string_view BertPieces::kind() const {
  if (pipeline_) return "own tokeniser";
  return pieces_.lower() ? "lower case" : "cased";
}

bool BertPieces::is_special(std::int32_t id) const {
  if (!pipeline_) return pieces_.is_special(id);
  return id == cls_ || id == sep_ || id == mask_ || id == pad_ || id == unk_ ||
         pipeline_->is_special(id);
}

std::string BertPieces::piece(std::int32_t id) const {
  if (!pipeline_) return pieces_.piece(id);
  if (id < 0 || id >= size()) fail("no piece {}, there are {}", id, size());
  try {
    return pipeline_->piece(id);
  } catch (const Error&) {
    return {};  // a hole
  }
}

bool BertPieces::continues(std::int32_t id) const {
  if (!pipeline_) return pieces_.continues(id);
  const std::string text = piece(id);
  return !is_special(id) && !text.starts_with(kMetaspace) && !text.starts_with(kByteSpace);
}

std::string BertPieces::text_of(std::int32_t id) const {
  if (!pipeline_) return continues(id) ? piece(id).substr(2) : piece(id);
  if (is_special(id)) return piece(id);
  const std::string text = pipeline_->surface(id);
  return text.substr(std::min(text.size(), text.find_first_not_of(' ')));
}

std::vector<std::int32_t> BertPieces::encode(std::string_view text) const {
  return pipeline_ ? pipeline_->ids(text, false) : pieces_.encode(text);
}

std::vector<std::int32_t> BertPieces::encode_masked(std::string_view text) const {
  if (!pipeline_) return pieces_.encode_masked(text);
  if (mask_ < 0) fail("the tokeniser has no token for a hidden word");
  const std::string& mask = pipeline_->piece(mask_);
  std::string with;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(kMask, begin);
    with += text.substr(begin, end - begin);
    if (end == std::string_view::npos) return encode(with);
    with += mask;
    begin = end + kMask.size();
  }
}

std::vector<std::int32_t> BertPieces::encode_word(std::string_view word, bool first) const {
  if (!pipeline_ || first) return encode(word);
  return encode(" " + std::string(word));
}

PiecePair BertPieces::encode_pair(std::string_view a, std::string_view b,
                                  std::int64_t longest) const {
  PairTemplate pair = pair_;
  if (!pipeline_) {
    pair.known = true;
    pair.ids[0] = {cls()}, pair.ids[1] = pair.ids[2] = {sep()};
    pair.types[0] = pair.types[1] = {0}, pair.types[2] = {1};
  }
  if (!pair.known) fail("the tokeniser has no form for two texts with a token between");
  const auto around =
      static_cast<std::int64_t>(pair.ids[0].size() + pair.ids[1].size() + pair.ids[2].size());
  if (longest < around + 2) {
    fail("the model reads {} tokens, which leaves no room for two texts", longest);
  }
  std::vector<std::int32_t> texts[2] = {encode(a), encode(b)};
  PiecePair out;
  out.left_out = cut_pair(texts[0], texts[1], static_cast<std::size_t>(longest - around));
  for (std::size_t part = 0; part < 3; ++part) {
    out.ids.insert(out.ids.end(), pair.ids[part].begin(), pair.ids[part].end());
    out.types.insert(out.types.end(), pair.types[part].begin(), pair.types[part].end());
    if (part == 2) break;
    (part == 0 ? out.first : out.second) = static_cast<std::int64_t>(out.ids.size());
    out.ids.insert(out.ids.end(), texts[part].begin(), texts[part].end());
    out.types.resize(out.ids.size(), part == 0 ? pair.first_type : pair.second_type);
  }
  return out;
}

std::string BertPieces::decode(std::span<const std::int32_t> ids) const {
  if (!pipeline_) return pieces_.decode(ids);
  std::vector<std::int32_t> inner;
  for (const std::int32_t id : ids) {
    if (id != cls_ && id != sep_ && id != pad_ && !piece(id).empty()) inner.push_back(id);
  }
  const std::string text = pipeline_->decode(inner, false);
  return text.substr(std::min(text.size(), text.find_first_not_of(' ')));
}

void BertPieces::require_words(std::string_view path) const {
  if (!pipeline_) return pieces_.require_words(path);
  for (std::int32_t id = 0; id < size(); ++id) {
    if (!is_special(id) && !piece(id).empty()) return;
  }
  throw DataError(std::string(path), 0, "knows no word, only special tokens");
}

}  // namespace qkv
