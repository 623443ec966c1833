#include "qkv/tensor/segments.h"

#include <algorithm>
#include <limits>

#include "qkv/base/error.h"

namespace qkv {

Segments::Segments(std::span<const std::int64_t> lengths) {
  auto offsets = std::make_shared<std::vector<std::int64_t>>();
  offsets->reserve(lengths.size() + 1);
  offsets->push_back(0);
  for (std::int64_t length : lengths) {
    if (length < 0) fail<ShapeError>("segments: negative length {}", length);
    if (length > std::numeric_limits<std::int64_t>::max() - offsets->back()) {
      fail<ShapeError>("segments: the lengths add up to more than a number can hold, with {}",
                       length);
    }
    offsets->push_back(offsets->back() + length);
  }
  offsets_ = std::move(offsets);
}

std::int64_t Segments::longest() const {
  std::int64_t longest = 0;
  for (std::int64_t b = 0; b < count(); ++b) longest = std::max(longest, length(b));
  return longest;
}

}  // namespace qkv
