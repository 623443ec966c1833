// The exceptions of qkv. Library code throws these and nothing else of its own; it never prints and
// never aborts. The command line turns each into one line on stderr and an exit code.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace qkv {

/// Base of all errors that the library reports on purpose.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A tensor has the wrong shape or type; the message names the call, the letter and all shapes.
struct ShapeError : Error {
  using Error::Error;
};

/// Outside bytes are wrong. Prints as "file:line: reason" (or "file: reason" when line is 0).
struct DataError : Error {
  DataError(std::string_view path, std::int64_t line, std::string_view reason);
};

/// A file cannot be opened, read, written or renamed; the message carries the system's reason.
struct FileError : Error {
  using Error::Error;
};

/// A number became NaN or infinite where it must not.
struct NumericError : Error {
  using Error::Error;
};

/// An option's value is none: the message names the option, the value and what would do.
struct UsageError : Error {
  using Error::Error;
};

}  // namespace qkv
