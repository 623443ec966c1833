// The shape of a tensor: up to five sizes, a plain value without allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "qkv/base/exceptions.h"

namespace qkv {

class Shape {
 public:
  static constexpr int kMaxRank = 5;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes) {
    for (std::int64_t size : sizes) push_back(size);
  }

  int rank() const { return rank_; }
  /// Size of axis i; negative i counts from the end.
  std::int64_t operator[](int i) const { return sizes_[index(i)]; }
  std::int64_t& operator[](int i) { return sizes_[index(i)]; }
  const std::int64_t* begin() const { return sizes_.data(); }
  const std::int64_t* end() const { return sizes_.data() + rank_; }

  /// Number of elements; 1 for a scalar (rank 0).
  std::int64_t count() const {
    std::int64_t n = 1;
    for (std::int64_t size : *this) n *= size;
    return n;
  }

  void push_back(std::int64_t size) {
    if (rank_ == kMaxRank || size < 0) refuse(size);
    sizes_[static_cast<std::size_t>(rank_++)] = size;
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::size_t index(int i) const {
    const int axis = i < 0 ? i + rank_ : i;
    if (axis < 0 || axis >= rank_) no_axis(i);
    return static_cast<std::size_t>(axis);
  }
  [[noreturn]] void refuse(std::int64_t size) const;
  [[noreturn]] void no_axis(int i) const;

  std::array<std::int64_t, kMaxRank> sizes_{};
  int rank_ = 0;

  friend std::string to_string(const Shape& shape);
};

/// "[2, 3, 17]"
std::string to_string(const Shape& shape);

}  // namespace qkv
