#include "qkv/autograd/tape.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/gemm.h"

namespace qkv {
namespace {

thread_local Tape* g_tape = nullptr;
thread_local std::uint64_t g_noise_key = 0;
thread_local std::uint64_t g_noise_count = 0;
thread_local bool g_definition_only = false;

Node* node_of(const Tensor& tensor) { return static_cast<Node*>(tensor.tape_node().get()); }

void add_to(Tensor& sum, const Tensor& more) {
  if (sum.dtype() == DType::f64) {
    kernels::definition::add(sum.count(), sum.data<double>(), more.data<double>(),
                             sum.data<double>());
  } else {
    kernels::add(sum.count(), sum.data(), more.data(), sum.data());
  }
}

void copy_to(Tensor& to, const Tensor& from) {
  std::memcpy(
      to.dtype() == DType::f64 ? static_cast<void*>(to.data<double>()) : to.data(),
      from.dtype() == DType::f64 ? static_cast<const void*>(from.data<double>()) : from.data(),
      static_cast<std::size_t>(from.count()) * bytes_of(from.dtype()));
}

void transpose(const Tensor& from, Tensor& to) {
  if (from.dtype() == DType::f64) {
    kernels::transpose(from.dim(0), from.dim(1), from.data<double>(), to.data<double>());
  } else {
    kernels::transpose(from.dim(0), from.dim(1), from.data(), to.data());
  }
}

void check_shape(const Tensor& input, const Tensor& contribution) {
  if (input.shape() != contribution.shape() || input.dtype() != contribution.dtype()) {
    fail<ShapeError>("gradient {} {} for a tensor {} {}", name_of(contribution.dtype()),
                     to_string(contribution.shape()), name_of(input.dtype()),
                     to_string(input.shape()));
  }
}

}  // namespace

Tensor parameter(Tensor value) {
  auto node = std::make_shared<Node>();
  node->leaf = true;
  value.set_tape_node(std::move(node));
  return value;
}

bool is_parameter(const Tensor& tensor) {
  const Node* node = node_of(tensor);
  return node && node->leaf;
}

void set_frozen(const Tensor& parameter, bool frozen) {
  if (!is_parameter(parameter)) fail("set_frozen: a tensor that is no parameter");
  Node* node = node_of(parameter);
  node->frozen = frozen;
  if (!frozen) return;
  node->gradient = Tensor();
  node->present = false;
}

bool is_frozen(const Tensor& tensor) {
  const Node* node = node_of(tensor);
  return node && node->frozen;
}

Tensor gradient_of(const Tensor& parameter) {
  const Node* node = node_of(parameter);
  return node && node->present ? node->gradient : Tensor();
}

void clear_gradient(const Tensor& parameter) {
  if (Node* node = node_of(parameter)) node->present = false;
}

void parameter_changed(const Tensor& parameter) {
  Node* node = node_of(parameter);
  if (!node) return;
  const std::lock_guard lock(node->transposing);
  node->transposed_current = false;
}

Tensor transposed_parameter(const Tensor& weight) {
  Node* node = node_of(weight);
  if (!node || !node->leaf) {
    Tensor out = Tensor::empty({weight.dim(1), weight.dim(0)}, weight.dtype());
    transpose(weight, out);
    return out;
  }
  const std::lock_guard lock(node->transposing);
  if (!node->transposed_current) {
    if (!node->transposed.defined()) {
      node->transposed = Tensor::empty({weight.dim(1), weight.dim(0)}, weight.dtype());
    }
    transpose(weight, node->transposed);
    node->transposed_current = true;
  }
  return node->transposed;
}

void Tape::backward(const Tensor& output, const Tensor& gradient) {
  const NoRecording off;
  if (!output.tape_node()) fail("backward: the output was not recorded (no input is a parameter)");
  if (gradient.defined()) {
    check_shape(output, gradient);
    accumulate_shared(output, gradient);
  } else {
    if (output.count() != 1) {
      fail<ShapeError>("backward: output {} is no scalar; pass its gradient",
                       to_string(output.shape()));
    }
    accumulate(output, Tensor::full(output.shape(), 1.0, output.dtype()));
  }
  while (!steps_.empty()) {
    Step step = std::move(steps_.back());
    steps_.pop_back();
    std::vector<Tensor> gradients(step.outputs.size());
    bool any = false;
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      Node& node = *step.outputs[i];
      if (!node.present) continue;
      gradients[i] = std::move(node.gradient);
      node.gradient = Tensor();
      node.present = false;
      any = true;
    }
    if (any) step.backward(gradients);
  }
}

Recording::Recording(Tape& tape, std::uint64_t noise_key)
    : outer_tape_(std::exchange(g_tape, &tape)),
      outer_key_(std::exchange(g_noise_key, noise_key)),
      outer_count_(std::exchange(g_noise_count, 0)) {}

Recording::~Recording() {
  g_tape = outer_tape_;
  g_noise_key = outer_key_;
  g_noise_count = outer_count_;
}

NoRecording::NoRecording() : outer_tape_(std::exchange(g_tape, nullptr)) {}
NoRecording::~NoRecording() { g_tape = outer_tape_; }

bool recording() { return g_tape != nullptr; }

Dropout draw_dropout(double probability) {
  if (!recording() || probability <= 0.0) return {};
  if (probability >= 1.0) fail("dropout: probability {} is not below 1", probability);
  return Dropout::make(probability, key_of(g_noise_key, g_noise_count++));
}

DefinitionOnly::DefinitionOnly() : outer_(std::exchange(g_definition_only, true)) {}
DefinitionOnly::~DefinitionOnly() { g_definition_only = outer_; }
bool definition_only() { return g_definition_only; }

bool needs_gradient(const Tensor& input) {
  const Node* node = node_of(input);
  return node && !node->frozen;
}

void record(std::span<Tensor* const> outputs, std::span<const Tensor* const> inputs,
            std::function<void(std::span<const Tensor>)> backward) {
  if (!g_tape) return;
  bool needed = false;
  for (const Tensor* input : inputs) needed = needed || needs_gradient(*input);
  if (!needed) return;
  Tape::Step step;
  step.backward = std::move(backward);
  for (Tensor* output : outputs) {
    auto node = std::make_shared<Node>();
    output->set_tape_node(node);
    step.outputs.push_back(std::move(node));
  }
  g_tape->steps_.push_back(std::move(step));
}

void record(Tensor& output, std::initializer_list<const Tensor*> inputs,
            std::function<void(const Tensor&)> backward) {
  record({&output}, inputs, [f = std::move(backward)](std::span<const Tensor> g) { f(g[0]); });
}

void accumulate(const Tensor& input, Tensor&& contribution) {
  Node* node = node_of(input);
  if (!node || node->frozen) return;
  check_shape(input, contribution);
  if (node->present || (node->leaf && node->gradient.defined())) {
    // A parameter's buffer may be a slice of the optimiser's flat memory: write into it.
    const GradientBuffer buffer = gradient_buffer(input);
    Tensor sum = buffer.tensor;
    return buffer.add ? add_to(sum, contribution) : copy_to(sum, contribution);
  }
  node->gradient = std::move(contribution);
  node->present = true;
}

void accumulate_shared(const Tensor& input, const Tensor& contribution) {
  const Node* node = node_of(input);
  if (!node || node->frozen) return;
  const bool becomes_the_gradient = !node->present && !node->gradient.defined();
  accumulate(input,
             Tensor(becomes_the_gradient && node->leaf ? contribution.clone() : contribution));
}

GradientBuffer gradient_buffer(const Tensor& input) {
  Node* node = node_of(input);
  if (!node || node->frozen) fail("gradient_buffer: the tensor needs no gradient");
  if (!node->gradient.defined()) {
    node->gradient = Tensor::empty(input.shape(), input.dtype());
  } else if (!node->leaf && !node->gradient.unique()) {
    node->gradient = node->gradient.clone();
  }
  return {node->gradient, std::exchange(node->present, true)};
}

Tensor gradient_sum(const Tensor& input) {
  GradientBuffer buffer = gradient_buffer(input);
  if (!buffer.add) {
    if (input.dtype() == DType::f64) {
      std::ranges::fill(buffer.tensor.values<double>(), 0.0);
    } else {
      std::ranges::fill(buffer.tensor.values<float>(), 0.0f);
    }
  }
  return buffer.tensor;
}

}  // namespace qkv
