// Damage to an input, a pure function of the random numbers: what a broken disk, a torn download or
// somebody with bad intentions makes of a file.
#pragma once

#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "qkv/base/random.h"

namespace qkv {

inline std::string mutated(std::string bytes, const std::vector<std::string>& seeds,
                           Philox& random) {
  static constexpr std::array<const char*, 16> kOdd = {"0",
                                                       "-1",
                                                       "4294967296",
                                                       "9223372036854775807",
                                                       "18446744073709551615",
                                                       "1e999",
                                                       "{",
                                                       "}",
                                                       "[",
                                                       "]",
                                                       "\"",
                                                       ",",
                                                       "\\u0000",
                                                       "null",
                                                       "\n",
                                                       "\t"};
  const auto place = [&] { return static_cast<std::size_t>(random.below(bytes.size() + 1)); };
  const std::uint64_t steps = 1 + random.below(4);
  for (std::uint64_t step = 0; step < steps; ++step) {
    const std::size_t at = place();
    const auto length = static_cast<std::size_t>(1 + random.below(random.below(4) == 0 ? 64 : 4));
    switch (random.below(8)) {
      case 0:  // a flipped bit
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
        break;
      case 1:  // another byte
        if (at < bytes.size()) bytes[at] = static_cast<char>(random.below(256));
        break;
      case 2:
        bytes.resize(at);
        break;  // cut short
      case 3:
        bytes.erase(at, length);
        break;  // a piece lost
      case 4:   // a piece twice
        bytes.insert(at, bytes.substr(place(), length));
        break;
      case 5:
        bytes.insert(at, kOdd[random.below(kOdd.size())]);
        break;
      case 6: {  // another number in the place of one
        std::size_t begin = at;
        while (begin < bytes.size() && !std::isdigit(static_cast<unsigned char>(bytes[begin]))) {
          ++begin;
        }
        std::size_t end = begin;
        while (end < bytes.size() && std::isdigit(static_cast<unsigned char>(bytes[end]))) ++end;
        bytes.replace(begin, end - begin,
                      random.below(2) ? kOdd[random.below(6)] : std::to_string(random.below(64)));
        break;
      }
      default: {  // the end of another input
        const std::string& other = seeds[random.below(seeds.size())];
        bytes = bytes.substr(0, at) + other.substr(random.below(other.size() + 1));
      }
    }
  }
  return bytes;
}

}  // namespace qkv
