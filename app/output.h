// Results on standard output, as filters write them.
#pragma once

#include <string_view>

namespace qkv::app {

/// Both throw ClosedPipe when the reader went away and FileError when the disk is full.
void write_output(std::string_view text);
void flush_output();

}  // namespace qkv::app
