// A fuzz target is a function of any bytes that may throw nothing but qkv::Error:
//
//   void fuzz_NAME(std::string_view bytes);       runs the reader and checks what it accepted
//   std::vector<std::string> NAME_seeds();        small good inputs to start from
//
// To add one: tests/fuzz/NAME.h with both, NAME_fuzz.cc with QKV_FUZZ_MAIN(NAME), its name in
// CMakeLists.txt and one line in fuzz_test.cc. The reader needs a form that takes bytes, not a
// path. Every build runs the targets on mutations of their seeds (fuzz_test.cc); with
// QKV_BUILD_FUZZERS=ON and clang they become libFuzzer programs, which put their seeds into the
// folder that QKV_FUZZ_SEEDS names. `./run fuzz` builds and runs them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/file.h"

namespace qkv {

/// For what must hold after a reader accepted its input; no qkv::Error, so nobody swallows it.
inline void fuzz_require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

inline void write_seeds(const std::vector<std::string>& seeds) {
  const char* folder = std::getenv("QKV_FUZZ_SEEDS");
  if (folder == nullptr) return;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    write_file(std::filesystem::path(folder) / ("seed" + std::to_string(i)), seeds[i]);
  }
}

}  // namespace qkv

#define QKV_FUZZ_MAIN(name)                                                          \
  extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);                      \
  int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {                        \
    qkv::write_seeds(qkv::name##_seeds());                                           \
    return 0;                                                                        \
  }                                                                                  \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size); \
  int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {           \
    qkv::fuzz_##name({reinterpret_cast<const char*>(data), size});                   \
    return 0;                                                                        \
  }
