#include "app/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "app/command.h"
#include <unistd.h>

#include "qkv/base/error.h"

namespace qkv::app {
namespace {

[[noreturn]] void stdout_failed() {
  if (errno == EPIPE) throw ClosedPipe{};
  fail<FileError>("<stdout>: cannot write: {}", std::strerror(errno));
}

}  // namespace

void write_output(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) stdout_failed();
}

void flush_output() {
  if (std::fflush(stdout) != 0) stdout_failed();
}

void write_error(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace qkv::app
