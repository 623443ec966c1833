// Any bytes as a file of a model directory: the first byte chooses the kind of model, the second
// the file that the rest replaces; all checksums are then made to fit.
#pragma once

#include <string>
#include <vector>

#include "fuzz/target.h"
#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <unistd.h>

#include "qkv/base/error.h"

namespace qkv {

/// The directories, made once.
inline const std::filesystem::path& fuzz_models() {
  static const Temporary folder;
  static const bool made = [] {
    for (std::size_t k = 0; k < tiny::kinds().size(); ++k) {
      tiny::kinds()[k].make(folder / std::to_string(k));
    }
    return true;
  }();
  (void)made;
  return folder.path();
}

inline void fuzz_directory(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const std::size_t k = static_cast<unsigned char>(bytes[0]) % tiny::kinds().size();
  const std::filesystem::path whole = fuzz_models() / std::to_string(k), m = fuzz_models() / "m";
  const std::vector<std::string> names = tiny::files_in(whole);
  std::filesystem::remove_all(m);
  std::filesystem::create_directories(m);
  for (const std::string& name : names) tiny::spill(m / name, read_file(whole / name));
  tiny::spill(m / names[static_cast<unsigned char>(bytes[1]) % names.size()], bytes.substr(2));
  tiny::put_checksums_right(m);
  try {
    (void)tiny::kinds()[k].ask(m);  // throws another exception for a number that is none
  } catch (const Error&) {
  }
}

inline std::vector<std::string> directory_seeds() {
  std::vector<std::string> seeds;
  for (std::size_t k = 0; k < tiny::kinds().size(); ++k) {
    const std::filesystem::path whole = fuzz_models() / std::to_string(k);
    const std::vector<std::string> names = tiny::files_in(whole);
    for (std::size_t f = 0; f < names.size(); ++f) {
      seeds.push_back(std::string{static_cast<char>(k), static_cast<char>(f)} +
                      read_file(whole / names[f]));
    }
  }
  return seeds;
}

}  // namespace qkv
