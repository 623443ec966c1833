// Bytes as printable characters, so that a vocabulary of texts can hold any of them (Radford et al.
// 2019): printable ASCII and Latin-1 stand for themselves, the other 68 for U+0100 and up.
#pragma once

#include <string>
#include <string_view>

namespace qkv::pipeline {

/// The character of a byte, in UTF-8.
std::string_view character_of_byte(unsigned char byte);
/// Appends the bytes that the characters stand for; false, with nothing appended, when one of them
/// stands for none.
bool append_bytes_of(std::string_view characters, std::string& bytes);

}  // namespace qkv::pipeline
