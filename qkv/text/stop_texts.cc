#include "qkv/text/stop_texts.h"

#include <algorithm>
#include <utility>

namespace qkv {

StopTexts::StopTexts(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& s) { return s.empty(); });
}

std::string StopTexts::add(std::string_view piece) {
  if (stopped_) return "";
  if (stops_.empty()) return std::string(piece);
  held_ += piece;
  std::size_t begin = std::string::npos, end = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    if (at + stop.size() < end || (at + stop.size() == end && at < begin)) {
      begin = at;
      end = at + stop.size();
    }
  }
  stopped_ = begin != std::string::npos;
  std::size_t told = stopped_ ? begin : held_.size();
  for (const std::string& stop : stops_) {
    if (stopped_) break;
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > held_.size() - told; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) told = held_.size() - n;
    }
  }
  std::string text = held_.substr(0, told);
  stopped_ ? held_.clear() : (void)held_.erase(0, told);
  return text;
}

std::string StopTexts::finish() { return std::exchange(held_, {}); }

}  // namespace qkv
