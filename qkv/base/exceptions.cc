#include "qkv/base/exceptions.h"

#include <fmt/core.h>

namespace qkv {

DataError::DataError(std::string_view path, std::int64_t line, std::string_view reason)
    : Error(line > 0 ? fmt::format("{}:{}: {}", path, line, reason)
                     : fmt::format("{}: {}", path, reason)) {}

}  // namespace qkv
