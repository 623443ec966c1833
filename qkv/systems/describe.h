// How a model says what it is, for the systems' info().
#pragma once

#include <string>
#include <string_view>

#include "qkv/nn/module.h"
#include "qkv/systems/system.h"

namespace qkv {

/// Task, summary ("tiny Transformer"), parameters and tensors of a model that is a module.
template <class Model>
Info describe(std::string task, std::string_view preset, const std::string& what,
              const Model& model) {
  Info info{.task = std::move(task), .summary = {}};
  info.summary = std::string(preset.empty() ? "own" : preset) + " " + what;
  info.parameters = parameter_count(model);
  for_each_parameter(model, [&](std::string_view path, const Tensor& p) {
    info.tensors.push_back({std::string(path), {p.shape().begin(), p.shape().end()}});
  });
  return info;
}

}  // namespace qkv
