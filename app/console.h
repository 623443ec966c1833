// What the program shows: results on stdout, everything else on stderr; a bar on a terminal, plain
// lines into a pipe.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "qkv/base/progress.h"

namespace qkv::app {

class Console {
 public:
  Console();

  /// A line on stderr; clears a bar that stands there first.
  void line(std::string_view text);
  /// A sink that draws a bar (terminal) or prints a line every ten seconds (pipe). Work that takes
  /// less than two seconds shows nothing.
  ProgressSink progress();
  /// Removes the bar.
  void clear();

  bool quiet = false;
  bool error_is_terminal() const { return terminal_; }
  /// Columns of the terminal; 80 when there is none.
  static int width();

 private:
  void update(const Progress& p);

  using Clock = std::chrono::steady_clock;
  bool terminal_;
  bool drawn_ = false;
  std::string what_;
  std::int64_t first_done_ = 0;
  Clock::time_point started_, shown_;
};

}  // namespace qkv::app
