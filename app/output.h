// The only ways to write to standard output and standard error. Results go to stdout, where a write
// that fails ends the program; all else goes to stderr, where it never does.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace qkv::app {

/// Both throw ClosedPipe when the reader went away and FileError when the disk is full. What is
/// written may wait in a buffer; the program flushes it at its end.
void write_output(std::string_view text);
void flush_output();

template <class... Args>
void print_output(fmt::format_string<Args...> format, Args&&... args) {
  write_output(fmt::format(format, std::forward<Args>(args)...));
}

/// Text on stderr. What cannot be written is dropped: the work and its exit code do not depend on
/// who reads the messages.
void write_error(std::string_view text) noexcept;

template <class... Args>
void print_error(fmt::format_string<Args...> format, Args&&... args) {
  write_error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace qkv::app
