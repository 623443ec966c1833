#include "qkv/systems/system.h"

namespace qkv {

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
