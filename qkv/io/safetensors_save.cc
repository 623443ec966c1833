#include <algorithm>
#include <cstdint>
#include <set>

#include <nlohmann/json.hpp>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/quote.h"
#include "qkv/io/safetensors.h"
#include "qkv/io/safetensors_header.h"

namespace qkv {
namespace {

// A cache line and the widest vector: mapped weights are then as aligned as allocated ones.
constexpr std::size_t kAlign = 64;

std::string_view numbers_of(const Tensor& t) {
  const std::size_t bytes = static_cast<std::size_t>(t.count()) * bytes_of(t.dtype());
  return {t.dtype() == DType::f32 ? reinterpret_cast<const char*>(t.data<float>())
                                  : reinterpret_cast<const char*>(t.data<double>()),
          bytes};
}

/// In the order of writing.
std::vector<const NamedTensor*> arranged(std::span<const NamedTensor> tensors) {
  std::vector<const NamedTensor*> all;
  std::set<std::string_view> names;
  for (const NamedTensor& t : tensors) {
    if (t.name.empty() || t.name == "__metadata__" || std::ranges::any_of(t.name, [](char c) {
          return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        })) {
      fail("save: {} cannot be the name of a tensor", in_quotes(t.name));
    }
    if (!names.insert(t.name).second) fail("save: two tensors are named {}", in_quotes(t.name));
    if (!t.tensor.defined()) fail("save: tensor {} was never made", in_quotes(t.name));
    all.push_back(&t);
  }
  std::stable_partition(all.begin(), all.end(),
                        [](const NamedTensor* t) { return t->tensor.dtype() == DType::f64; });
  return all;
}

/// `text` as a JSON string. nlohmann-json escapes it; the header around it is written by hand, so
/// that tensors appear in their order, as the format's own writer does.
std::string json_text(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("save: a name or a metadata text is not UTF-8");
  }
}

std::string header_of(const std::vector<const NamedTensor*>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::string header;
  const auto field = [&](const std::string& name) {
    header += (header.empty() ? "{" : ",") + json_text(name) + ":";
  };
  if (!metadata.empty()) {
    field("__metadata__");
    char before = '{';
    for (const auto& [key, value] : metadata) {
      header += before + json_text(key) + ":" + json_text(value);
      before = ',';
    }
    header += '}';
  }
  std::size_t at = 0;
  for (const NamedTensor* t : tensors) {
    field(t->name);
    std::string sizes;
    for (const std::int64_t size : t->tensor.shape()) {
      sizes += fmt::format("{}{}", sizes.empty() ? "" : ",", size);
    }
    const std::size_t end = at + numbers_of(t->tensor).size();
    header += fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          t->tensor.dtype() == DType::f32 ? "F32" : "F64", sizes, at, end);
    at = end;
  }
  header += header.empty() ? "{}" : "}";
  const std::size_t used = sizeof(std::uint64_t) + header.size();
  header.append((kAlign - used % kAlign) % kAlign, ' ');
  return header;
}

}  // namespace

void write_safetensors(const std::function<void(std::string_view)>& append,
                       std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata,
                       SafetensorsOptions options) {
  const std::vector<const NamedTensor*> all = arranged(tensors);
  std::map<std::string, std::string> notes = metadata;
  for (const char* key : {kNumbersChecksum, kHeaderChecksum}) {
    notes.erase(key);  // of the file that the metadata came from
  }
  if (options.checksum) {
    auto sum = ::crc32_z(0, nullptr, 0);
    for (const NamedTensor* t : all) {
      const std::string_view bytes = numbers_of(t->tensor);
      if (bytes.empty()) continue;
      sum = ::crc32_z(sum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    }
    notes[kNumbersChecksum] = fmt::format("{:08x}", sum);
    notes[kHeaderChecksum] = "00000000";
  }
  std::string header = header_of(all, notes);
  if (const std::size_t at = header_digits(header); at != header.npos) {
    const std::string digits = header_checksum(header);
    header.replace(at, digits.size(), digits);
  }
  std::string length(sizeof(std::uint64_t), '\0');
  for (std::size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<char>(static_cast<std::uint8_t>(std::uint64_t{header.size()} >> 8 * i));
  }
  append(length);
  append(header);
  for (const NamedTensor* t : all) append(numbers_of(t->tensor));
}

void save_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata,
                      SafetensorsOptions options) {
  write_file(path,
             [&](const auto& append) { write_safetensors(append, tensors, metadata, options); });
}

}  // namespace qkv
