// Any bytes as a safetensors file.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/io/safetensors.h"

namespace qkv {

inline bool readable(const SafetensorsFile& file, const std::string& name) {
  const std::string_view type = file.dtype(name);
  return type == "F32" || type == "F64" || type == "F16" || type == "BF16";
}

inline void read_safetensors(std::string_view bytes) {
  const auto copy = std::make_shared<const std::vector<char>>(bytes.begin(), bytes.end());
  try {
    const SafetensorsFile file(std::as_bytes(std::span(*copy)), copy, "fuzz");
    std::vector<NamedTensor> tensors;
    for (const std::string& name : file.names()) {
      fuzz_require(file.contains(name), "a name is not contained");
      if (!readable(file, name)) continue;
      const Tensor view = file.tensor(name), own = file.tensor_copy(name);
      fuzz_require(view.shape() == file.shape(name) && own.shape() == view.shape(),
                   "shapes differ");
      fuzz_require(static_cast<std::size_t>(view.count()) <= bytes.size(),
                   "more numbers than bytes");
      const auto size = static_cast<std::size_t>(own.count());
      if (size > 0 && own.dtype() == DType::f32) {
        fuzz_require(std::memcmp(view.data(), own.data(), 4 * size) == 0, "view and copy differ");
      }
      tensors.push_back({name, own});
    }
    // What was read can be written, and reads as the same again.
    std::string again;
    write_safetensors([&](std::string_view piece) { again += piece; }, tensors, file.metadata());
    const SafetensorsFile second(std::as_bytes(std::span(again)), nullptr, "again");
    fuzz_require(second.verify(), "no checksum");
    for (const NamedTensor& t : tensors) {
      fuzz_require(second.shape(t.name) == t.tensor.shape(), "another shape after writing");
    }
    try {
      file.check_finite();
    } catch (const DataError&) {
    }
    (void)file.verify();
  } catch (const Error&) {
  }
}

/// The bytes with the length of the header put right: damage inside it then reaches the checks
/// behind the first one.
inline std::string with_right_length(std::string_view bytes) {
  std::string out(bytes);
  const auto brace = bytes.rfind('}');
  if (brace == bytes.npos || brace < 8) return out;
  const auto end = std::min(bytes.find_first_not_of(' ', brace + 1), bytes.size());
  const std::uint64_t length = end - 8;
  std::memcpy(out.data(), &length, sizeof length);
  return out;
}

inline void fuzz_safetensors(std::string_view bytes) {
  read_safetensors(bytes);
  read_safetensors(with_right_length(bytes));
}

inline std::vector<std::string> safetensors_seeds() {
  std::vector<std::string> seeds;
  const auto add = [&](const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata, bool checksum) {
    write_safetensors(
        [&, first = true](std::string_view piece) mutable {
          if (first) seeds.emplace_back();
          first = false;
          seeds.back() += piece;
        },
        tensors, metadata, {.checksum = checksum});
  };
  const Tensor f32 = Tensor::zeros({2, 3}), f64 = Tensor::zeros({2}, DType::f64);
  add({}, {}, false);
  add({{"w", f32}}, {}, false);
  add({{"a", f32}, {"b", f64}, {"c", Tensor::zeros({0})}, {"d", Tensor::zeros({})}}, {{"k", "v"}},
      true);
  const std::string halves = R"({"h":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]},)"
                             R"("i":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(halves.size());
  seeds.push_back(bytes + halves + std::string(16, '\x7c'));
  return seeds;
}

}  // namespace qkv
