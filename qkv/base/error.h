// Throwing the exceptions of qkv with a formatted message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "qkv/base/exceptions.h"

namespace qkv {

/// `throw E(fmt::format(...))` in one word: fail<ShapeError>("attend: H is {}", h).
template <class E = Error, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace qkv
