#include "qkv/decode/bans.h"

#include <algorithm>

#include "qkv/base/error.h"

namespace qkv {

std::vector<std::int32_t> Bans::after(std::span<const std::int32_t> before) const {
  if (no_repeat_ngram_size < 0) fail("no_repeat_ngram_size is {}", no_repeat_ngram_size);
  std::vector<std::int32_t> banned;
  const std::size_t size = before.size();
  if (const auto n = static_cast<std::size_t>(no_repeat_ngram_size); n > 0 && size >= n) {
    const auto last = before.last(n - 1);  // what would be the beginning of a repetition
    for (std::size_t at = 0; at + n <= size; ++at) {
      if (std::ranges::equal(before.subspan(at, n - 1), last)) {
        banned.push_back(before[at + n - 1]);
      }
    }
  }
  for (const auto& sequence : sequences) {
    if (sequence.size() < 2) fail("a banned sequence has {} tokens, not two", sequence.size());
    const auto begin = std::span(sequence).first(sequence.size() - 1);
    if (size >= begin.size() && std::ranges::equal(before.last(begin.size()), begin)) {
      banned.push_back(sequence.back());
    }
  }
  return banned;
}

}  // namespace qkv
