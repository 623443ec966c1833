#include "qkv/systems/system.h"

namespace qkv {

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (int i = static_cast<int>(text.size()) - 3; i > (number < 0 ? 1 : 0); i -= 3) {
    text.insert(static_cast<std::size_t>(i), ",");
  }
  return text;
}

std::vector<std::string> next_lines(const LineSource& source, std::int64_t most) {
  std::vector<std::string> lines;
  while (static_cast<std::int64_t>(lines.size()) < most) {
    if (!lines.empty() && source.ready && !source.ready()) break;
    std::optional<std::string> line = source.next();
    if (!line) break;
    lines.push_back(std::move(*line));
  }
  return lines;
}

}  // namespace qkv
