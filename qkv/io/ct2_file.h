// model.bin, the weights of CTranslate2: named variables, little-endian, as its versions 2 to 6
// write them.
//
//   u32            version of this layout
//   text           name of the network ("TransformerSpec"); u16 length with the NUL, then the bytes
//   u32            revision of the network's names
//   u32            number of variables; each: text name, u8 rank, u32 sides,
//                  u8 type and u32 bytes, or before version 4 u8 bytes a number and u32 numbers,
//                  then the numbers
//   u32            from version 3 on, aliases: text name, text variable
// int8 and int16 variables stand with another, NAME_scale, by which numbers are divided: one, or
// one a row. Source: CTranslate2 4 (its writer in Python and its reader).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

class Ct2File {
 public:
  /// `owner` keeps the bytes alive, `name` is for messages. Errors are DataError with it, the
  /// variable and the byte.
  Ct2File(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, std::string name);

  const std::string& path() const { return path_; }
  const std::string& network() const { return network_; }
  std::uint32_t revision() const { return revision_; }
  /// Of variables and aliases, sorted.
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return variables_.contains(name); }
  /// Whether both names are one variable.
  bool same(std::string_view a, std::string_view b) const;
  /// "float32", "int8", "int16", "int32", "float16", "bfloat16"
  std::string_view type(std::string_view name) const;
  const std::vector<std::int64_t>& shape(std::string_view name) const;
  /// Numbers of all variables.
  std::int64_t numbers() const { return numbers_; }

  /// As f32, divided by its scale where it has one; all numbers are finite.
  Tensor tensor(std::string_view name) const;
  /// The value of a scalar; nothing when there is no such variable.
  std::optional<double> scalar(std::string_view name) const;

 private:
  struct Variable {
    std::vector<std::int64_t> shape;
    std::uint8_t type = 0;
    std::int64_t count = 0;
    std::size_t begin = 0;
  };
  void parse();
  const Variable& find(std::string_view name) const;
  double number(const Variable& v, std::int64_t i) const;
  void divide(std::string_view name, const Variable& v, Tensor& numbers) const;
  [[noreturn]] void refuse(std::string_view name, std::string_view reason) const;

  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  std::string path_, network_;
  std::uint32_t revision_ = 0;
  std::int64_t numbers_ = 0;
  std::map<std::string, Variable, std::less<>> variables_;
};

}  // namespace qkv
