// What the program settles with the system: descriptors, signals, how idle threads wait.
#pragma once

#include <atomic>

namespace qkv::app {

/// To be called first in main, before any file opens and any thread starts. Closed standard
/// descriptors get a place; writes that fail (a reader that went away, a limit on file sizes)
/// become errors, not signals; waiting threads sleep; one thread takes SIGINT and SIGTERM for all
/// others.
void prepare_process(char** argv);

/// While it lives, the first SIGINT or SIGTERM sets `flag` to 1 and the second, a tenth of a second
/// later or more, ends the program at once with exit code 130, whatever it is doing. Without one
/// they end it as they do any program. One at a time.
class StopSignals {
 public:
  explicit StopSignals(std::atomic<int>& flag);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
};

}  // namespace qkv::app
