#include "qkv/nn/state_dict.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <type_traits>

#include "qkv/base/error.h"
#include "qkv/ops/dispatch.h"
#include "qkv/ops/features.h"

namespace qkv {
namespace {

bool present(const StateEntry& entry) { return !entry.parts.empty() && entry.parts[0].defined(); }

/// Rows and columns of a part as it is kept here; a vector is one row.
struct Sides {
  std::int64_t rows, cols;
  explicit Sides(const Tensor& part)
      : rows(part.count() / std::max<std::int64_t>(part.dim(-1), 1)), cols(part.dim(-1)) {}
};

Shape shape_of(const StateEntry& entry) {
  const Tensor& first = entry.parts[0];
  if (entry.layout == StateLayout::same) return first.shape();
  if (entry.layout == StateLayout::row) return {1, first.dim(0)};
  if (entry.layout == StateLayout::kernel) {
    const int rank = first.shape().rank();
    if (rank != 3 && rank != 4) {
      fail<ShapeError>("state dict: '{}' {} is no kernel", entry.name, to_string(first.shape()));
    }
    Shape shape{first.dim(-1), first.dim(-2)};
    for (int axis = 0; axis < rank - 2; ++axis) shape.push_back(first.dim(axis));
    return shape;
  }
  std::int64_t out = 0;
  for (const Tensor& part : entry.parts) out += part.dim(-1);
  if (first.shape().rank() != 2) return {out};
  return entry.layout == StateLayout::columns ? Shape{first.dim(0), out} : Shape{out, first.dim(0)};
}

/// Parts beside each other: f(whole, part, numbers) for each row of each part.
template <class T, class F>
void for_columns(const StateEntry& entry, T* whole, F&& f) {
  std::int64_t total = 0, before = 0;
  for (const Tensor& part : entry.parts) total += part.dim(-1);
  for (Tensor part : entry.parts) {
    const Sides sides(part);
    auto* numbers = part.data<std::remove_const_t<T>>();
    for (std::int64_t r = 0; r < sides.rows; ++r) {
      f(whole + r * total + before, numbers + r * sides.cols, sides.cols);
    }
    before += sides.cols;
  }
}

/// Parts below each other: f(rows of the whole, part) for each part.
template <class F>
void for_rows(const StateEntry& entry, const Tensor& whole, F&& f) {
  std::int64_t before = 0;
  for (const Tensor& part : entry.parts) {
    f(whole.rows(before, before + part.dim(-1)), part);
    before += part.dim(-1);
  }
}

/// f(there, here) for each number of a kernel, by its places in [O I K] and in [K I O].
template <class F>
void for_kernel(const Tensor& part, F&& f) {
  const std::int64_t out = part.dim(-1), in = part.dim(-2);
  const std::int64_t entries = part.count() / std::max<std::int64_t>(in * out, 1);
  for (std::int64_t here = 0; here < part.count(); ++here) {
    const std::int64_t entry = here / (in * out), i = here / out % in, o = here % out;
    f((o * in + i) * entries + entry, here);
  }
}

bool alone(const StateEntry& entry) {
  return entry.layout == StateLayout::same || entry.layout == StateLayout::row;
}

Tensor joined(const StateEntry& entry) {
  if (alone(entry)) return entry.parts[0].clone().reshaped(shape_of(entry));
  Tensor whole = Tensor::empty(shape_of(entry), entry.parts[0].dtype());
  dispatch(whole, [&](auto zero) {
    using T = decltype(zero);
    T* to = whole.data<T>();
    if (entry.layout == StateLayout::kernel) {
      const T* from = entry.parts[0].data<T>();
      return for_kernel(entry.parts[0],
                        [=](std::int64_t there, std::int64_t here) { to[there] = from[here]; });
    }
    if (entry.layout == StateLayout::columns) {
      return for_columns(
          entry, to, [](T* there, const T* here, std::int64_t n) { std::copy_n(here, n, there); });
    }
    for_rows(entry, whole, [](Tensor there, const Tensor& here) {
      if (here.shape().rank() == 2) return transpose_into(here, there);
      std::copy_n(here.data<T>(), here.count(), there.data<T>());
    });
  });
  return whole;
}

void split(const Tensor& whole, const StateEntry& entry) {
  dispatch(whole, [&](auto zero) {
    using T = decltype(zero);
    if (alone(entry)) {
      Tensor part = entry.parts[0];
      std::copy_n(whole.data<T>(), part.count(), part.data<T>());
    } else if (entry.layout == StateLayout::kernel) {
      Tensor part = entry.parts[0];
      const T* from = whole.data<T>();
      T* to = part.data<T>();
      for_kernel(part, [=](std::int64_t there, std::int64_t here) { to[here] = from[there]; });
    } else if (entry.layout == StateLayout::columns) {
      for_columns(entry, whole.data<T>(),
                  [](const T* there, T* here, std::int64_t n) { std::copy_n(there, n, here); });
    } else {
      for_rows(entry, whole, [](const Tensor& there, Tensor here) {
        if (here.shape().rank() == 2) return transpose_into(there, here);
        std::copy_n(there.data<T>(), here.count(), here.data<T>());
      });
    }
  });
  for (const Tensor& part : entry.parts) parameter_changed(part);
}

/// Whether a tensor of a state can be the one part of the entry itself.
bool is_part(const Tensor& tensor, const StateEntry& entry) {
  return entry.parts.size() == 1 && entry.parts[0].tape_node() &&
         tensor.dtype() == entry.parts[0].dtype() &&
         (alone(entry) || entry.parts[0].shape().rank() == 1);
}

}  // namespace

StateDict read_state(const StateEntries& entries) {
  StateDict state;
  for (const StateEntry& entry : entries) {
    if (present(entry)) state.emplace_back(entry.name, joined(entry));
  }
  return state;
}

namespace detail {

void write_state(const StateEntries& entries, const StateDict& state, TakenParts* taken) {
  std::map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : state) {
    if (!given.emplace(name, &tensor).second) fail("state dict: '{}' is there twice", name);
  }
  std::map<std::string_view, const Tensor*> unknown = given;
  for (const StateEntry& entry : entries) {
    if (!present(entry)) continue;
    const auto found = given.find(entry.name);
    if (found == given.end()) fail("state dict: '{}' is missing", entry.name);
    if (!(found->second->shape() == shape_of(entry))) {
      fail<ShapeError>("state dict: '{}' is {}, must be {}", entry.name,
                       to_string(found->second->shape()), to_string(shape_of(entry)));
    }
    unknown.erase(entry.name);
  }
  if (!unknown.empty()) {
    fail("state dict: '{}' has no place in the model", unknown.begin()->first);
  }
  for (const StateEntry& entry : entries) {
    if (!present(entry)) continue;
    const Tensor& tensor = *given.at(entry.name);
    if (taken != nullptr && is_part(tensor, entry)) {
      const Tensor& part = entry.parts[0];
      taken->emplace(part.tape_node().get(), parameter(tensor.reshaped(part.shape())));
    } else {
      split(tensor.to(entry.parts[0].dtype()), entry);
    }
  }
}

}  // namespace detail

void write_state(const StateEntries& entries, const StateDict& state) {
  detail::write_state(entries, state, nullptr);
}

}  // namespace qkv
