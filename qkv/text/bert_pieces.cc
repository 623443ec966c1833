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
