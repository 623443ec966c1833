// Sounds with what is said in them, and when.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qkv/media/media_sets.h"

namespace qkv {

/// A stretch of a sound and what it is.
struct SoundSpan {
  double begin = 0, end = 0;  // seconds
  std::string label;
};

/// A sound of a list with the stretches that it names, which ascend and do not overlap.
struct SpannedSound {
  std::filesystem::path path;
  std::vector<SoundSpan> spans;
};

/// Lines "path TAB begin:end:label TAB begin:end:label …" (seconds, any number of stretches, none
/// too); paths are relative to the list. Gzip, a byte order mark and Windows line ends are
/// understood. Throws FileError, and DataError with the line for stretches that overlap, do not
/// ascend or are empty, and for what is no such line; an empty list is an error.
std::vector<SpannedSound> read_spans(const std::filesystem::path& path);
/// The same from a list's bytes; `folder` is what paths are relative to.
std::vector<SpannedSound> parse_spans(std::string_view bytes, std::string_view name,
                                      const std::filesystem::path& folder);

/// Sounds of several lists of stretches.
struct SpannedSet {
  std::vector<Sound> sounds;
  std::vector<SpannedSound> items;
  std::int64_t skipped = 0;
};
/// A broken or too short sound is an error that names it; with skip_broken it is left out, counted
/// and said. Throws DataError for a stretch that begins behind the end of its sound.
SpannedSet read_spanned_sounds(const std::vector<std::filesystem::path>& lists,
                               const SoundSetReading& how = {});

}  // namespace qkv
