// Lines of a file or of stdin, for the verbs that answer line by line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "qkv/data/lines.h"
#include "qkv/systems/system.h"

namespace qkv::app {

/// The reader as a system takes it; it must outlive the source.
LineSource source_of(LineReader& reader);

/// f(lines, number of the first) for all lines, as many at once as are there, at most `most`; what
/// f wrote is flushed each time.
void by_lines(LineReader& reader, std::int64_t most,
              const std::function<void(const std::vector<std::string>&, std::int64_t)>& f);

/// "qkv: FILE:LINE: …" on stderr, for what was left out of an answer.
std::string cut_note(const LineReader& reader, std::int64_t line, std::int64_t cut,
                     std::string_view what, std::int64_t most);

}  // namespace qkv::app
