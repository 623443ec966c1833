// How an operation reaches its kernels: by type, and definition or fast form.
#pragma once

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// Calls f(T{}) with T = float or double, the type of x.
template <class F>
void dispatch(const Tensor& x, F&& f) {
  if (x.dtype() == DType::f64) {
    f(double{});
  } else {
    f(float{});
  }
}

/// All tensors of a call that are defined must have one type.
inline void check_types(const char* call, const Tensor& first,
                        std::initializer_list<const Tensor*> others) {
  for (const Tensor* other : others) {
    if (other->defined() && other->dtype() != first.dtype()) {
      fail<ShapeError>("{}: types {} and {} together", call, name_of(first.dtype()),
                       name_of(other->dtype()));
    }
  }
}

template <class T>
const T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

}  // namespace qkv

/// Runs kernels::name(args) fast where there is a fast form and nobody asked for the definition.
#define QKV_RUN(name, T, ...)                      \
  do {                                             \
    if constexpr (std::is_same_v<T, float>) {      \
      if (!::qkv::definition_only()) {             \
        ::qkv::kernels::name(__VA_ARGS__);         \
        break;                                     \
      }                                            \
    }                                              \
    ::qkv::kernels::definition::name(__VA_ARGS__); \
  } while (false)
