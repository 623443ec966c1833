#include "app/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "app/command.h"
#include <fmt/core.h>

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

}  // namespace qkv::app
