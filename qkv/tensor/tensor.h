// Tensor: a contiguous, row-major block of numbers with a shape. Copies share the numbers (like a
// shared pointer); clone() copies them. It knows nothing of gradients: `tape_node()` is an opaque
// slot in which the autograd room keeps its own record.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "qkv/base/shape.h"

namespace qkv {

/// f32 is what models run in; f64 is for the definitions and the finite-difference checks.
enum class DType : std::uint8_t { f32, f64 };

constexpr std::size_t bytes_of(DType type) { return type == DType::f32 ? 4 : 8; }
std::string_view name_of(DType type);

template <class T>
constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>);
  return std::is_same_v<T, float> ? DType::f32 : DType::f64;
}

class Tensor {
 public:
  /// No tensor at all: defined() is false. Used for "no bias", never for "size zero".
  Tensor() = default;

  /// Uninitialised numbers. Tests fill them with signalling NaN (see set_poison).
  static Tensor empty(const Shape& shape, DType type = DType::f32);
  static Tensor zeros(const Shape& shape, DType type = DType::f32);
  static Tensor full(const Shape& shape, double value, DType type = DType::f32);
  /// values.size() must equal shape.count().
  template <class T>
  static Tensor of(std::span<const T> values, const Shape& shape);
  template <class T>
  static Tensor of(const std::vector<T>& values, const Shape& shape) {
    return of(std::span<const T>(values), shape);
  }
  /// A view of numbers that somebody else owns (a mapped file); `owner` keeps them alive.
  static Tensor borrow(const float* data, const Shape& shape, std::shared_ptr<const void> owner);

  bool defined() const { return data_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(int axis) const { return shape_[axis]; }
  /// Number of elements.
  std::int64_t count() const { return shape_.count(); }
  DType dtype() const { return type_; }

  /// The numbers; throws ShapeError when T is not the tensor's type.
  template <class T = float>
  T* data() {
    check_type(dtype_of<T>());
    return static_cast<T*>(data_);
  }
  template <class T = float>
  const T* data() const {
    check_type(dtype_of<T>());
    return static_cast<const T*>(data_);
  }
  template <class T = float>
  std::span<const T> values() const {
    return {data<T>(), static_cast<std::size_t>(count())};
  }
  template <class T = float>
  std::span<T> values() {
    return {data<T>(), static_cast<std::size_t>(count())};
  }
  /// The single element of a tensor with count() == 1, as double.
  double item() const;

  /// Same numbers, other shape (same count). Views carry no tape node: differentiable reshaping is
  /// in ops/shape.h.
  Tensor reshaped(const Shape& shape) const;
  /// Rows [begin, end) of the first axis, sharing the numbers.
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  Tensor clone() const;
  /// A copy in another type (the tensor itself when it already has it).
  Tensor to(DType type) const;

  /// Whether no other tensor shares these numbers: then they may be changed in place unseen.
  bool unique() const { return owner_.use_count() == 1; }

  const std::shared_ptr<void>& tape_node() const { return node_; }
  void set_tape_node(std::shared_ptr<void> node) { node_ = std::move(node); }

 private:
  void check_type(DType wanted) const;

  std::shared_ptr<void> owner_;
  void* data_ = nullptr;
  Shape shape_;
  DType type_ = DType::f32;
  std::shared_ptr<void> node_;
};

/// Fill fresh `empty` tensors with signalling NaN (for tests: nothing may read them). Returns the
/// old value.
bool set_poison(bool on);

/// What the tensor pool holds. In the steady state of training `system_allocations` stands still.
struct PoolStatistics {
  std::int64_t bytes_in_use = 0;
  std::int64_t bytes_held = 0;  // in use + kept for reuse
  std::int64_t peak_bytes_in_use = 0;
  std::int64_t system_allocations = 0;  // since the program began
};
PoolStatistics pool_statistics();
/// Gives unused blocks back to the system.
void release_pool();

}  // namespace qkv
