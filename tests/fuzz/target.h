// A fuzz target is a function of any bytes that may throw nothing but qkv::Error:
//
//   void fuzz_NAME(std::string_view bytes);       runs the reader and checks what it accepted
//   std::vector<std::string> NAME_seeds();        small good inputs to start from
//
// To add one: tests/fuzz/NAME.h with both, NAME_fuzz.cc with QKV_FUZZ_MAIN(fuzz_NAME), its name in
// CMakeLists.txt and one line in fuzz_test.cc. The reader needs a form that takes bytes, not a
// path. Every build runs the targets on mutations of their seeds (fuzz_test.cc); with
// QKV_BUILD_FUZZERS=ON and clang they become libFuzzer programs:
//   build/fuzz/tests/fuzz/safetensors_fuzz -max_total_time=60 CORPUS_DIRECTORY
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace qkv {

/// For what must hold after a reader accepted its input; no qkv::Error, so nobody swallows it.
inline void fuzz_require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace qkv

#define QKV_FUZZ_MAIN(target)                                                        \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size); \
  int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {           \
    target({reinterpret_cast<const char*>(data), size});                             \
    return 0;                                                                        \
  }
