// Base64 (RFC 4648, §4), in which tokenizer.json holds binary tables.
#pragma once

#include <string>
#include <string_view>

namespace qkv::pipeline {

/// Throws Error for other characters.
std::string from_base64(std::string_view text);
std::string to_base64(std::string_view bytes);

}  // namespace qkv::pipeline
