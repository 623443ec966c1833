#include "qkv/text/streaming.h"

#include <cstddef>

namespace qkv {
namespace {

// Context that decides what stands between two tokens: spaces and punctuation look at a neighbour,
// a character of bytes has at most four pieces.
constexpr std::size_t kKept = 8, kMost = 32;

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // what decoders write for half a character

}  // namespace

std::string StreamingText::add(std::int32_t id) {
  if (id == line_end_) {
    const std::string rest = finish();
    return rest + "\n";
  }
  tail_.push_back(id);
  const std::string text = tokeniser_.decode(tail_);
  if (text.ends_with(kReplacement) || !text.starts_with(told_)) return "";
  const std::string fresh = text.substr(told_.size());
  told_ = text;
  if (tail_.size() > kMost) {
    tail_.erase(tail_.begin(), tail_.end() - static_cast<std::ptrdiff_t>(kKept));
    told_ = tokeniser_.decode(tail_);
  }
  return fresh;
}

std::string StreamingText::finish() {
  const std::string text = tokeniser_.decode(tail_);
  const std::string rest = text.starts_with(told_) ? text.substr(told_.size()) : "";
  tail_.clear();
  told_.clear();
  return rest;
}

}  // namespace qkv
