#include "qkv/tensor/tensor.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "qkv/base/error.h"
#include "qkv/tensor/pool.h"

namespace qkv {
namespace {
std::atomic<bool> g_poison = false;
}

std::string_view name_of(DType type) { return type == DType::f32 ? "f32" : "f64"; }

bool set_poison(bool on) { return g_poison.exchange(on); }

Tensor Tensor::empty(const Shape& shape, DType type) {
  Tensor t;
  const std::size_t bytes = static_cast<std::size_t>(shape.count()) * bytes_of(type);
  t.owner_ = pool_allocate(bytes);
  t.data_ = t.owner_.get();
  t.shape_ = shape;
  t.type_ = type;
  if (g_poison.load(std::memory_order_relaxed)) {
    if (type == DType::f32) {
      std::ranges::fill(t.values<float>(), std::numeric_limits<float>::signaling_NaN());
    } else {
      std::ranges::fill(t.values<double>(), std::numeric_limits<double>::signaling_NaN());
    }
  }
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType type) {
  Tensor t = empty(shape, type);
  std::memset(t.data_, 0, static_cast<std::size_t>(t.count()) * bytes_of(type));
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType type) {
  Tensor t = empty(shape, type);
  if (type == DType::f32) {
    std::ranges::fill(t.values<float>(), static_cast<float>(value));
  } else {
    std::ranges::fill(t.values<double>(), value);
  }
  return t;
}

template <class T>
Tensor Tensor::of(std::span<const T> values, const Shape& shape) {
  if (static_cast<std::int64_t>(values.size()) != shape.count()) {
    fail<ShapeError>("tensor: {} values for shape {}", values.size(), to_string(shape));
  }
  Tensor t = empty(shape, dtype_of<T>());
  std::ranges::copy(values, t.data<T>());
  return t;
}
template Tensor Tensor::of(std::span<const float>, const Shape&);
template Tensor Tensor::of(std::span<const double>, const Shape&);

Tensor Tensor::borrow(const float* data, const Shape& shape, std::shared_ptr<const void> owner) {
  Tensor t;
  t.owner_ = std::const_pointer_cast<void>(std::move(owner));
  t.data_ = const_cast<float*>(data);
  t.shape_ = shape;
  return t;
}

double Tensor::item() const {
  if (count() != 1) fail<ShapeError>("item: shape {} has not one element", to_string(shape_));
  return type_ == DType::f32 ? static_cast<double>(*data<float>()) : *data<double>();
}

Tensor Tensor::reshaped(const Shape& shape) const {
  if (shape.count() != count()) {
    fail<ShapeError>("reshape: {} to {}", to_string(shape_), to_string(shape));
  }
  Tensor t = *this;
  t.shape_ = shape;
  t.node_ = nullptr;
  return t;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  if (begin < 0 || end < begin || end > shape_[0]) {
    fail<ShapeError>("rows: [{}, {}) of shape {}", begin, end, to_string(shape_));
  }
  Tensor t = *this;
  const std::int64_t stride = shape_[0] == 0 ? 0 : count() / shape_[0];
  t.data_ =
      static_cast<std::byte*>(data_) + static_cast<std::size_t>(begin * stride) * bytes_of(type_);
  t.shape_[0] = end - begin;
  t.node_ = nullptr;
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, type_);
  if (count() > 0) std::memcpy(t.data_, data_, static_cast<std::size_t>(count()) * bytes_of(type_));
  return t;
}

Tensor Tensor::to(DType type) const {
  if (type == type_) return *this;
  Tensor t = empty(shape_, type);
  if (type == DType::f32) {
    std::ranges::transform(values<double>(), t.data<float>(),
                           [](double x) { return static_cast<float>(x); });
  } else {
    std::ranges::transform(values<float>(), t.data<double>(),
                           [](float x) { return static_cast<double>(x); });
  }
  return t;
}

void Tensor::check_type(DType wanted) const {
  if (!defined()) fail<ShapeError>("tensor: read of a tensor that was never made");
  if (wanted != type_) {
    fail<ShapeError>("tensor {}: is {}, asked for as {}", to_string(shape_), name_of(type_),
                     name_of(wanted));
  }
}

}  // namespace qkv
