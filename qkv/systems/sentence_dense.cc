#include "qkv/systems/sentence_dense.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/options.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/heads.h"

namespace qkv {
namespace {

constexpr std::array<std::pair<Activation, std::string_view>, 7> kClasses = {
    {{Activation::none, "torch.nn.modules.linear.Identity"},
     {Activation::relu, "torch.nn.modules.activation.ReLU"},
     {Activation::gelu, "torch.nn.modules.activation.GELU"},
     {Activation::tanh, "torch.nn.modules.activation.Tanh"},
     {Activation::sigmoid, "torch.nn.modules.activation.Sigmoid"},
     {Activation::silu, "torch.nn.modules.activation.SiLU"},
     {Activation::elu, "torch.nn.modules.activation.ELU"}}};

const Tensor* find(const StateDict& state, const std::string& name) {
  const auto found = std::ranges::find(state, name, [](const auto& e) { return e.first; });
  return found == state.end() ? nullptr : &found->second;
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

}  // namespace

Tensor SentenceDense::operator()(const Tensor& given) const {
  const Tensor x = length_one ? unit_rows(given) : given;
  const Tensor y = linear(x, activation);
  if (!adds_residual) return y;
  return add(y, residual.weight.defined() ? residual(x) : x);
}

std::string SentenceDense::text() const {
  return fmt::format(
      "{}{} -> {}{}{}", length_one ? "of length 1, " : "", in(), out(),
      activation == Activation::none ? std::string() : " " + std::string(name_of(activation)),
      adds_residual ? " + input" : "");
}

std::optional<SentenceDense> blank_dense(const StateDict& state, const std::string& prefix) {
  const Tensor* weight = find(state, prefix + "linear.weight");
  const Tensor* residual = find(state, prefix + "residual.weight");
  if (weight == nullptr) return {};
  const Shape& shape = weight->shape();
  if (shape.rank() != 2 || weight->count() == 0) {
    fail<ShapeError>("tensor '{}linear.weight' is {}, no matrix [out_features, in_features]",
                     prefix, to_string(shape));
  }
  if (residual && residual->shape() != shape) {
    fail<ShapeError>("tensor '{0}residual.weight' is {1}, '{0}linear.weight' {2}", prefix,
                     to_string(residual->shape()), to_string(shape));
  }
  Initialiser blank = Initialiser::blank();
  SentenceDense dense;
  const bool bias = find(state, prefix + "linear.bias") != nullptr;
  dense.linear = Linear::make(blank, shape[1], shape[0], bias);
  if (residual) dense.residual = Linear::make(blank, shape[1], shape[0], false);
  return dense;
}

StateEntries dense_entries(const SentenceDense& dense) {
  StateEntries entries;
  for_each_parameter(dense, [&](std::string_view path, const Tensor& p) {
    entries.push_back({std::string(path), {p}});
  });
  return entries;
}

void check_dense(const std::vector<SentenceDense>& dense, std::int64_t width,
                 const std::string& path) {
  for (std::size_t i = 0; i < dense.size(); ++i) {
    if (dense[i].in() != width) {
      throw DataError(
          path, 0,
          fmt::format("Dense {} takes vectors of {} numbers, but {} gives {}", i + 1, dense[i].in(),
                      i == 0 ? "the pooling" : fmt::format("Dense {}", i), width));
    }
    width = dense[i].out();
    const bool needs = dense[i].adds_residual && dense[i].in() != width;
    if (dense[i].residual.weight.defined() == needs) continue;
    throw DataError(
        path, 0,
        fmt::format("Dense {} of {} numbers to {}, {} residual, {} tensor "
                    "'residual.weight'",
                    i + 1, dense[i].in(), width, dense[i].adds_residual ? "with" : "without",
                    needs ? "lacks a" : "has no use for a"));
  }
}

std::optional<Activation> torch_activation(std::string_view name) {
  if (!name.starts_with("torch.nn.")) return {};
  for (const auto& [activation, full] : kClasses) {
    if (name == full || name == fmt::format("torch.nn.{}", last_part(full))) return activation;
  }
  return {};
}

std::string_view torch_activation(Activation activation) {
  for (const auto& [known, full] : kClasses) {
    if (known == activation) return full;
  }
  fail("export: no class of PyTorch computes the activation '{}' of a Dense without arguments",
       name_of(activation));
}

Json dense_json(const std::vector<SentenceDense>& dense) {
  Json list = Json::array();
  for (const SentenceDense& d : dense) {
    list.push_back({{"activation", name_of(d.activation)}});
    if (d.length_one) list.back()["length_one"] = true;
    if (d.adds_residual) list.back()["adds_residual"] = true;
  }
  return list;
}

void read_dense_json(const Json& list, const std::string& path, std::vector<SentenceDense>& dense) {
  const std::size_t count = list.size();  // of null 0
  if (!list.is_null() && !list.is_array()) {
    throw DataError(path, 0, "field 'sentence.dense' is no list of modules");
  }
  if (count != dense.size()) {
    throw DataError(path, 0,
                    fmt::format("field 'sentence.dense' lists {} modules, the weights hold {}",
                                count, dense.size()));
  }
  for (std::size_t i = 0; i < count; ++i) {
    FieldReader said(list[i], path, fmt::format("sentence.dense.{}.", i));
    dense[i].activation =
        static_cast<Activation>(said.choice("activation", names_of<Activation>()));
    dense[i].length_one = said.boolean("length_one", false);
    dense[i].adds_residual = said.boolean("adds_residual", false);
    said.finish();
  }
}

}  // namespace qkv
