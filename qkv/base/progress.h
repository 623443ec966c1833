// How long work reports: the library calls a sink, the command line draws a bar or prints lines.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace qkv {

struct Progress {
  std::int64_t done = 0;
  std::int64_t total = 0;  // 0: unknown
  std::string what;        // "reading", "step", "translating"
  std::string detail;      // "loss 3.21  14.2k tok/s"
};

/// An empty function means: nobody looks.
using ProgressSink = std::function<void(const Progress&)>;

/// "1:02:05", "12:31"
std::string duration_text(double seconds);
/// "2,568,192"
std::string grouped(std::int64_t number);

}  // namespace qkv
