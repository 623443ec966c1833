// Any bytes as a model.bin of CTranslate2, and as the network that it holds.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/io/ct2_file.h"
#include "qkv/systems/import/ct2_translator.h"

namespace qkv {

inline void fuzz_ct2(std::string_view bytes) {
  const auto copy = std::make_shared<const std::vector<char>>(bytes.begin(), bytes.end());
  try {
    const Ct2File file(std::as_bytes(std::span(*copy)), copy, "fuzz");
    for (const std::string& name : file.names()) {
      fuzz_require(file.contains(name), "a name is not contained");
      try {
        fuzz_require(static_cast<std::size_t>(file.tensor(name).count()) <= bytes.size(),
                     "more numbers than bytes");
      } catch (const Error&) {
      }
    }
    std::vector<std::string> notes;
    const Transformer network = ct2_network(file, 1e-5, notes);
    fuzz_require(static_cast<std::size_t>(network.source_embedding.count()) <= bytes.size(),
                 "more numbers than bytes");
  } catch (const Error&) {
  }
}

/// Writes a model.bin of the given version with all variables of a network of one layer each.
class Ct2Bytes {
 public:
  /// With `seed` numbers in [−0.5, 0.5), otherwise five that come again and again.
  explicit Ct2Bytes(std::uint32_t version, std::uint64_t seed = 0)
      : version_(version), seed_(seed) {}

  void put(const std::string& name, std::vector<std::uint32_t> shape) {
    std::uint32_t count = 1;
    begin(name, shape);
    for (const std::uint32_t side : shape) count *= side;
    if (version_ >= 4) number(std::uint8_t{0}), number(4 * count);
    if (version_ < 4) number(std::uint8_t{4}), number(count);
    Philox draw(key_of(seed_, count_));
    for (std::uint32_t i = 0; i < count; ++i) {
      number(seed_ == 0 ? 0.25f * static_cast<float>(i % 5)
                        : static_cast<float>(draw.uniform(-0.5, 0.5)));
    }
  }
  void put_byte(const std::string& name, std::uint8_t value) {
    begin(name, {});
    number(std::uint8_t{1});  // int8: its type, and its size
    number(std::uint32_t{1});
    number(value);
  }
  void put_linear(const std::string& at, std::uint32_t out, std::uint32_t in) {
    put(at + "/weight", {out, in});
    put(at + "/bias", {out});
  }
  void put_norm(const std::string& at) {
    put(at + "/layer_norm/gamma", {8});
    put(at + "/layer_norm/beta", {8});
  }
  std::string whole() {
    std::string head;
    std::swap(head, bytes_);
    number(version_);
    text("TransformerSpec");
    number(std::uint32_t{7});
    number(count_);
    bytes_ += head;
    if (version_ >= 3)
      number(std::uint32_t{1}), text("decoder/projection/weight"),
          text("decoder/embeddings/weight");
    return bytes_;
  }

 private:
  void begin(const std::string& name, const std::vector<std::uint32_t>& shape) {
    ++count_;
    text(name);
    number(static_cast<std::uint8_t>(shape.size()));
    for (const std::uint32_t side : shape) number(side);
  }
  void text(const std::string& t) {
    number(static_cast<std::uint16_t>(t.size() + 1));
    bytes_ += t;
    bytes_ += '\0';
  }
  template <class T>
  void number(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes_.append(raw, sizeof(T));
  }
  std::uint32_t version_, count_ = 0;
  std::uint64_t seed_;
  std::string bytes_;
};

inline std::string ct2_seed(std::uint32_t version) {
  Ct2Bytes b(version);
  b.put("encoder/embeddings_0/weight", {6, 8});
  b.put("decoder/embeddings/weight", {5, 8});
  if (version < 3) b.put("decoder/projection/weight", {5, 8});
  b.put("decoder/projection/bias", {5});
  b.put_byte("encoder/num_heads", 2);
  b.put_byte("decoder/num_heads", 2);
  for (const char* stack : {"encoder", "decoder"}) {
    const std::string at = std::string(stack) + "/layer_0/";
    b.put_linear(at + "self_attention/linear_0", 24, 8);
    b.put_linear(at + "self_attention/linear_1", 8, 8);
    b.put_norm(at + "self_attention");
    if (std::string(stack) == "decoder") {
      b.put_linear(at + "attention/linear_0", 8, 8);
      b.put_linear(at + "attention/linear_1", 16, 8);
      b.put_linear(at + "attention/linear_2", 8, 8);
      b.put_norm(at + "attention");
    }
    b.put_linear(at + "ffn/linear_0", 12, 8);
    b.put_linear(at + "ffn/linear_1", 8, 12);
    b.put_norm(at + "ffn");
    b.put_norm(stack);
  }
  return b.whole();
}

inline std::vector<std::string> ct2_seeds() { return {ct2_seed(2), ct2_seed(6)}; }

}  // namespace qkv
