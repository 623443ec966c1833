// State of modules that training changes and nobody differentiates: moving statistics, the vector
// of a spectral norm. A module names it in `each` beside its parameters:
//
//   Tensor weight;
//   Buffer running_mean;   // for_each_parameter() passes it by, for_each_buffer() finds it
//
// so that it is neither counted, nor optimised, nor averaged; but whoever saves a module saves it
// too, with for_each_saved().
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "qkv/nn/module.h"

namespace qkv {

struct Buffer {
  Tensor value;  // no tape node; copies of a module share the numbers, as those of its parameters

  template <class Self, class Visit>
  static void each(Self&, Visit&&) {}
};

/// Whether modules are to move their buffers now: while a tape records, outside of KeepBuffers.
bool buffers_move();

/// While it lives no buffer of this thread's modules changes, though a tape records: a second pass
/// over the same network in one update, a check of gradients.
class KeepBuffers {
 public:
  KeepBuffers();
  ~KeepBuffers();
  KeepBuffers(const KeepBuffers&) = delete;
  KeepBuffers& operator=(const KeepBuffers&) = delete;

 private:
  bool outer_;
};

namespace detail {

template <class M, class F>
void visit_buffers(M& member, const std::string& path, F& f) {
  using Plain = std::remove_const_t<M>;
  if constexpr (std::is_same_v<Plain, Buffer>) {
    if (member.value.defined()) f(std::string_view(path), member.value);
  } else if constexpr (IsVector<Plain>::value) {
    for (std::size_t i = 0; i < member.size(); ++i) {
      visit_buffers(member[i], path + "." + std::to_string(i), f);
    }
  } else if constexpr (!std::is_same_v<Plain, Tensor>) {
    Plain::each(member, [&](std::string_view name, auto& child) {
      visit_buffers(child, path.empty() ? std::string(name) : path + "." + std::string(name), f);
    });
  }
}

}  // namespace detail

/// f(path, tensor) for every buffer, in the order of `each`: "layers.0.running_mean".
template <class M, class F>
void for_each_buffer(M& module, F&& f) {
  detail::visit_buffers(module, "", f);
}

/// All that a file of the module must hold: its parameters, then its buffers.
template <class M, class F>
void for_each_saved(M& module, F&& f) {
  for_each_parameter(module, f);
  for_each_buffer(module, f);
}

}  // namespace qkv
