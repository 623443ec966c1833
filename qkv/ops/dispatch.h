// How an operation reaches its kernels: by device and type, and definition or fast form. Nothing
// above ops and attention does (tools/check_layers).
#pragma once

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/kernels/table.h"
#include "qkv/tensor/numbers.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// Calls f(T{}) with T = float or double, the type of x.
template <class F>
void dispatch(const Tensor& x, F&& f) {
  with_type(x.dtype(), std::forward<F>(f));
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

/// The kernels for numbers of type T, in the form this thread asks for (DefinitionOnly).
template <class T>
const kernels::Table<T>& kernels_for() {
  return kernels::table<T>(kernels::Device::cpu, definition_only());
}

}  // namespace qkv
