#include "qkv/train/optimiser.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/optimise.h"

namespace qkv {

void OptimiserOptions::check() const {
  const auto fraction = [](const char* name, double value) {
    if (!(value >= 0 && value < 1)) {
      fail("optimiser: {} is {}, must be at least 0 and below 1", name, value);
    }
  };
  const auto positive = [](const char* name, double value) {
    if (!(value >= 0 && std::isfinite(value))) {
      fail("optimiser: {} is {}, must be finite and not negative", name, value);
    }
  };
  fraction("beta1", beta1);
  fraction("beta2", beta2);
  fraction("momentum", momentum);
  fraction("ema", ema);
  positive("eps", eps);
  positive("decay", decay);
  positive("clip_norm", clip_norm);
}

void Optimiser::adopt(std::string_view path, const Tensor& p, double factor) {
  if (!is_parameter(p)) fail("optimiser: '{}' is no parameter", path);
  if (!(factor >= 0 && std::isfinite(factor))) {
    fail("optimiser: the rate of '{}' is to be {} times the others'", path, factor);
  }
  set_frozen(p, factor == 0);
  if (factor == 0) return;
  if (p.dtype() != DType::f32)
    fail("optimiser: '{}' is {}, trains f32 only", path, name_of(p.dtype()));
  slots_.push_back({.path = std::string(path), .weight = p, .factor = factor});
}

void Optimiser::lay_out() {
  if (slots_.empty()) fail("optimiser: nothing is left to train");
  std::int64_t total = 0;
  for (Slot& slot : slots_) {
    slot.offset = total;
    total += (slot.weight.count() + 15) / 16 * 16;  // every tensor begins on a cache line
  }
  weights_ = Tensor::zeros({total});
  gradients_ = Tensor::zeros({total});
  const bool adam = options_.kind == OptimiserOptions::Kind::adam;
  if (adam || options_.momentum > 0) m_ = Tensor::zeros({total});
  if (adam) v_ = Tensor::zeros({total});
  for (Slot& slot : slots_) {
    const std::int64_t count = slot.weight.count();
    const Shape shape = slot.weight.shape();
    Tensor view = weights_.rows(slot.offset, slot.offset + count).reshaped(shape);
    std::ranges::copy(slot.weight.values(), view.data());
    view.set_tape_node(slot.weight.tape_node());
    auto* node = static_cast<Node*>(view.tape_node().get());
    node->gradient = gradients_.rows(slot.offset, slot.offset + count).reshaped(shape);
    node->present = false;
    slot.weight = view;
  }
  if (options_.ema > 0) ema_ = weights_.clone();
  changed();
}

void Optimiser::changed() {
  for (const Slot& slot : slots_) parameter_changed(slot.weight);
}

void Optimiser::clear_gradients() {
  for (const Slot& slot : slots_) clear_gradient(slot.weight);
}

Optimiser::Pace Optimiser::pace_of(const Slot& slot) const {
  const bool decays = options_.decay_vectors || slot.weight.shape().rank() > 1;
  return {.factor = slot.factor, .decay = decays ? options_.decay : 0.0};
}

template <class F>
void Optimiser::for_each_run(F&& f) const {
  for (std::size_t first = 0, last = 0; first < slots_.size(); first = last) {
    const Pace pace = pace_of(slots_[first]);
    while (last < slots_.size() && pace_of(slots_[last]) == pace) ++last;
    const std::int64_t begin = slots_[first].offset;
    f(pace, begin, (last < slots_.size() ? slots_[last].offset : weights_.count()) - begin);
  }
}

void Optimiser::adam(double rate, double gradient_scale, double ema_decay) {
  kernels::AdamStep a{};
  a.gradient_scale = gradient_scale;
  a.beta1 = options_.beta1;
  a.beta2 = options_.beta2;
  a.eps = options_.eps;
  a.ema_decay = ema_decay;
  if (options_.bias_correction) {
    const double t = static_cast<double>(steps_);
    a.correction1 = 1.0 / (1.0 - std::pow(options_.beta1, t));
    a.correction2 = 1.0 / (1.0 - std::pow(options_.beta2, t));
  }
  for_each_run([&](const Pace& pace, std::int64_t begin, std::int64_t count) {
    a.rate = rate * pace.factor;
    a.decay = pace.decay;
    a.count = count;
    a.gradient = gradients_.data() + begin;
    a.weight = weights_.data() + begin;
    a.m = m_.data() + begin;
    a.v = v_.data() + begin;
    a.ema = ema_.defined() ? ema_.data() + begin : nullptr;
    kernels::adam_step(a);
  });
}

void Optimiser::sgd(double rate, double gradient_scale, double ema_decay) {
  kernels::SgdStep a{};
  a.gradient_scale = gradient_scale;
  a.momentum = options_.momentum;
  a.ema_decay = ema_decay;
  for_each_run([&](const Pace& pace, std::int64_t begin, std::int64_t count) {
    a.rate = rate * pace.factor;
    a.decay = pace.decay;
    a.count = count;
    a.gradient = gradients_.data() + begin;
    a.weight = weights_.data() + begin;
    a.buffer = m_.defined() ? m_.data() + begin : nullptr;
    a.ema = ema_.defined() ? ema_.data() + begin : nullptr;
    kernels::sgd_step(a);
  });
}

double Optimiser::step(double rate) {
  const double norm = check_gradients();
  update(rate, norm);
  return norm;
}

double Optimiser::check_gradients() {
  for (const Slot& slot : slots_) {
    if (!gradient_of(slot.weight).defined()) {
      std::fill_n(gradients_.data() + slot.offset, slot.weight.count(), 0.0f);
    }
  }
  const double norm = std::sqrt(kernels::sum_of_squares(gradients_.count(), gradients_.data()));
  if (!std::isfinite(norm)) {
    for (const Slot& slot : slots_) {
      const float* g = gradients_.data() + slot.offset;
      const std::int64_t bad = kernels::first_non_finite(slot.weight.count(), g);
      if (bad >= 0) {
        fail<NumericError>("the gradient of {} is {} at element {} (step {})", slot.path, g[bad],
                           bad, steps_ + 1);
      }
    }
    fail<NumericError>("the gradient norm overflows (step {})", steps_ + 1);
  }
  return norm;
}

void Optimiser::update(double rate, double norm) {
  const double scale =
      options_.clip_norm > 0 && norm > options_.clip_norm ? options_.clip_norm / norm : 1.0;
  ++steps_;
  // The average starts as a plain mean, so that a short run is not held back by the initial
  // weights.
  const double t = static_cast<double>(steps_);
  const double ema_decay = std::min(options_.ema, t / (t + 9.0));
  if (options_.kind == OptimiserOptions::Kind::adam) {
    adam(rate, scale, ema_decay);
  } else {
    sgd(rate, scale, ema_decay);
  }
  changed();
}

void Optimiser::check_finite() const {
  for (const auto& [name, flat] : state()) {
    if (kernels::first_non_finite(flat.count(), flat.data()) < 0) continue;
    for (const Slot& slot : slots_) {
      const float* numbers = flat.data() + slot.offset;
      const std::int64_t bad = kernels::first_non_finite(slot.weight.count(), numbers);
      if (bad < 0) continue;
      fail<NumericError>("{} is {} at element {}{}", slot.path, numbers[bad], bad,
                         name == "weights" ? "" : fmt::format(" (of the optimiser's {})", name));
    }
  }
}

std::vector<std::pair<std::string, Tensor>> Optimiser::state() const {
  std::vector<std::pair<std::string, Tensor>> parts = {{"weights", weights_}};
  if (m_.defined()) parts.emplace_back("m", m_);
  if (v_.defined()) parts.emplace_back("v", v_);
  if (ema_.defined()) parts.emplace_back("ema", ema_);
  return parts;
}

void Optimiser::restore(std::int64_t steps,
                        const std::vector<std::pair<std::string, Tensor>>& saved) {
  for (auto& [name, tensor] : state()) {
    bool found = false;
    for (const auto& [saved_name, numbers] : saved) {
      if (saved_name != name) continue;
      if (numbers.shape() != tensor.shape()) {
        fail<ShapeError>("optimiser state '{}': {} numbers, this model has {}", name,
                         numbers.count(), tensor.count());
      }
      std::ranges::copy(numbers.values(), tensor.data());
      found = true;
    }
    if (!found) fail("optimiser state: '{}' is missing", name);
  }
  steps_ = steps;
  changed();
}

void Optimiser::set_weights(const Tensor& flat) {
  if (flat.shape() != weights_.shape()) fail<ShapeError>("optimiser: weights of another model");
  std::ranges::copy(flat.values(), weights_.data());
  changed();
}

}  // namespace qkv
