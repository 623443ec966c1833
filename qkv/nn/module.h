// A module is an aggregate of tensors and modules with one list of its members:
//
//   struct Linear {
//     Tensor weight, bias;
//     template <class Self, class Visit>
//     static void each(Self& m, Visit&& visit) { visit("weight", m.weight); visit("bias", m.bias);
//     }
//   };
//
// Saving, loading, counting, optimising and printing follow from `each`. A member may also be a
// std::vector of modules; its elements are named by their index.
//
// Fresh ones come from `make`, everywhere in this order: what initialises, what is made, the rest.
// A part takes the Initialiser by reference, since parts draw one after another; a whole network
// takes its own, for which a seed will do:
//
//   Linear::make(init, 8, 4)    Mpt::make(1, config)    Mpt::make({1, DType::f64}, config)
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {

namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class M, class F>
void visit_parameters(M& member, const std::string& path, F& f) {
  using Plain = std::remove_const_t<M>;
  if constexpr (std::is_same_v<Plain, Tensor>) {
    if (member.defined()) f(std::string_view(path), member);
  } else if constexpr (IsVector<Plain>::value) {
    for (std::size_t i = 0; i < member.size(); ++i) {
      visit_parameters(member[i], path + "." + std::to_string(i), f);
    }
  } else {
    Plain::each(member, [&](std::string_view name, auto& child) {
      visit_parameters(child, path.empty() ? std::string(name) : path + "." + std::string(name), f);
    });
  }
}

}  // namespace detail

/// A member of one kind or another; its parameters are those of the kind that it holds.
template <class... Kinds>
struct OneOf {
  std::variant<Kinds...> kind;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    std::visit([&](auto& held) { std::remove_cvref_t<decltype(held)>::each(held, visit); }, m.kind);
  }
  Tensor operator()(const Tensor& x) const {
    return std::visit([&](const auto& held) { return held(x); }, kind);
  }
};

/// f(path, tensor) for every parameter, in the order of `each`: "encoder.layers.0.self.q.weight".
/// Undefined tensors (an absent bias) are skipped.
template <class M, class F>
void for_each_parameter(M& module, F&& f) {
  detail::visit_parameters(module, "", f);
}

/// Number of elements in all parameters.
template <class M>
std::int64_t parameter_count(const M& module) {
  std::int64_t count = 0;
  for_each_parameter(module, [&](std::string_view, const Tensor& p) { count += p.count(); });
  return count;
}

/// A model of a size that does not fit; see Initialiser::within().
class TooLarge : public Error {
 public:
  using Error::Error;
};

/// Where fresh parameters get their numbers: tensor i of a model draws from key (seed, i), so one
/// tensor's numbers do not depend on another's size. A seed is one, hence no `explicit`.
class Initialiser {
 public:
  Initialiser(std::uint64_t seed, DType type = DType::f32) : seed_(seed), type_(type) {}
  /// Leaves the numbers unset: for models whose weights are read from a file.
  static Initialiser blank(DType type = DType::f32) {
    Initialiser init(0, type);
    init.blank_ = true;
    return init;
  }
  /// Blank, for a model that a file says it holds: throws TooLarge, before it takes the memory,
  /// once there is more than twice as much as so many numbers or tensors (some networks draw a
  /// parameter anew). A hostile configuration must not take memory that its weights do not fill.
  static Initialiser within(std::int64_t numbers, std::int64_t tensors, DType type = DType::f32) {
    Initialiser init = blank(type);
    init.stored_ = numbers;
    init.numbers_ = 2 * numbers;
    init.tensors_ = 2 * tensors;
    return init;
  }

  /// One with numbers of its own: for a network inside another, which would otherwise draw from a
  /// copy of its owner's. Different keys give different numbers.
  Initialiser branch(std::uint64_t key) const;
  DType type() const { return type_; }

  Tensor zeros(const Shape& shape) { return constant(shape, 0); }
  Tensor ones(const Shape& shape) { return constant(shape, 1); }
  /// U(−a, a) with a = gain·√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010). The fans default to a
  /// matrix's two sides; a part of a fused matrix states the whole's.
  Tensor xavier(const Shape& shape, double gain = 1.0, std::int64_t fan_sum = 0);
  Tensor normal(const Shape& shape, double deviation);
  /// The same, drawn again while beyond twice the deviation.
  Tensor truncated_normal(const Shape& shape, double deviation);
  Tensor uniform(const Shape& shape, double limit);
  /// To be asked before a table is computed that no file holds, like that of positions: throws
  /// TooLarge beyond a few megabytes and 16 times what is stored.
  void require_table(std::int64_t rows, std::int64_t width) const;

 private:
  /// Counts a tensor of this shape.
  void take(const Shape& shape);
  Tensor constant(const Shape& shape, double value) {
    ++next_;
    take(shape);
    return parameter(blank_ ? Tensor::empty(shape, type_) : Tensor::full(shape, value, type_));
  }
  template <class Draw>
  Tensor drawn(const Shape& shape, Draw draw);

  static constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
  std::uint64_t seed_;
  std::uint64_t next_ = 0;
  DType type_;
  bool blank_ = false;
  // What may still be taken, and what there was.
  std::int64_t numbers_ = kAny, tensors_ = kAny, stored_ = kAny;
};

}  // namespace qkv
