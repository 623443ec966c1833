// What a run was begun with, kept beside its state (state/run.json): a resumed run goes on with the
// same options and the same text, and whoever asks for others is told both values.
//
//   {"options": {"dropout": "0.1", …}, "data": {"train": "120 lines, 89abcdef"}}
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "qkv/base/options.h"

namespace qkv {

constexpr const char* kRunFile = "run.json";

struct RunRecord {
  std::map<std::string, std::string> options;  // by flag, as they read
  std::map<std::string, std::string> data;     // by flag, fingerprint()

  /// Empty when the state is one of a version that kept none. Throws DataError.
  static RunRecord load(const std::filesystem::path& state_folder);
  void save(const std::filesystem::path& folder) const;
};

/// Adds what a resumed run goes on with: all that people can set, and of the changeable options
/// those that were `given`, since a preset's value may still follow from others.
template <class Options, class Given>
void keep_options(const Options& options, const Given& given, RunRecord& record) {
  Options copy = options;
  for (const OptionField& f : fields_of(copy)) {
    if (*f.about.help == '\0' || (f.about.free && !given(f.flag))) continue;
    record.options[f.flag] = f.get();
  }
}

/// What tells two texts apart: the number of lines and a checksum.
std::string fingerprint(std::span<const std::string> lines);
/// Both sides of pairs, words and labels: several texts as one.
std::string fingerprint(std::span<const std::vector<std::string>> texts);

/// Throws Error when `now` was read from other text than `begun`; `directory` is for the message.
void require_same_data(const RunRecord& begun, const RunRecord& now,
                       const std::filesystem::path& directory);

}  // namespace qkv
