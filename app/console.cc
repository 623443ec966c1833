#include "app/console.h"

#include <algorithm>
#include <cmath>

#include "app/output.h"
#include <sys/ioctl.h>
#include <unistd.h>

namespace qkv::app {

Console::Console() : terminal_(::isatty(STDERR_FILENO) == 1) {}

int Console::width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void Console::clear() {
  if (drawn_) write_error("\r\033[K");
  drawn_ = false;
}

void Console::line(std::string_view text) {
  clear();
  if (!quiet) print_error("{}\n", text);
}

ProgressSink Console::progress() {
  return [this](const Progress& p) { update(p); };
}

void Console::update(const Progress& p) {
  if (quiet) return;
  const Clock::time_point now = Clock::now();
  if (p.what != what_ || p.done < first_done_) {
    what_ = p.what;
    first_done_ = p.done;
    started_ = shown_ = now;
  }
  const double elapsed = std::chrono::duration<double>(now - started_).count();
  const double since = std::chrono::duration<double>(now - shown_).count();
  const bool last = p.total > 0 && p.done >= p.total;
  if (elapsed < 2.0 || since < (terminal_ ? 0.1 : 10.0)) {
    if (last) clear();
    return;
  }
  shown_ = now;
  const double rate = static_cast<double>(p.done - first_done_) / elapsed;
  std::string text = p.total > 0 ? fmt::format("{} {}/{}", p.what, p.done, p.total)
                                 : fmt::format("{} {}", p.what, p.done);
  if (!p.detail.empty()) text += "  " + p.detail;
  if (p.total > p.done && rate > 0) {
    text += "  left " + duration_text(static_cast<double>(p.total - p.done) / rate);
  } else if (rate > 0) {
    text += fmt::format("  {:.0f}/s", rate);
  }
  if (!terminal_) {
    return print_error("{}\n", text);
  }
  if (last) return clear();
  const int columns = width() - 1;
  const int bar = columns - static_cast<int>(text.size()) - 3;
  if (p.total > 0 && bar >= 8) {
    const int filled = static_cast<int>(static_cast<double>(bar) * static_cast<double>(p.done) /
                                        static_cast<double>(p.total));
    text += " [" + std::string(static_cast<std::size_t>(filled), '=') +
            std::string(static_cast<std::size_t>(bar - filled), ' ') + "]";
  }
  print_error("\r\033[K{}", text.substr(0, static_cast<std::size_t>(std::max(8, columns))));
  drawn_ = true;
}

}  // namespace qkv::app
