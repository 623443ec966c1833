#include "qkv/attention/observer.h"

#include <algorithm>
#include <utility>

#include "qkv/attention/linear.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

thread_local AttentionObserver* t_observer = nullptr;
thread_local const ModuleScope* t_scope = nullptr;

/// x above y, [· H D] each; x may be undefined.
Tensor below_each_other(const Tensor& x, const Tensor& y) {
  if (!x.defined()) return y;
  Tensor both = Tensor::empty({x.dim(0) + y.dim(0), x.dim(1), x.dim(2)}, x.dtype());
  const Tensor a = x.to(DType::f32), b = y.to(DType::f32);
  std::copy_n(a.data(), a.count(), both.data());
  std::copy_n(b.data(), b.count(), both.data() + a.count());
  return both;
}

/// The calls of one module, put together.
struct Collected {
  std::string path;
  std::vector<Tensor> blocks;  // [H r c] each
  Tensor keys;                 // of linear attention, for the steps that follow

  void add(const AttentionCall& call) {
    if (call.texts != 1) {
      fail("attention of {} texts at once at {}; look at one at a time", call.texts, call.path);
    }
    if (call.linear) keys = below_each_other(keys, call.k.to(DType::f32));
    if (call.kind != AttentionKind::linear_step) {
      blocks.push_back(call.weights());
      return;
    }
    LinearAttention all;  // this row sees what came before it
    all.map = call.linear->map;
    all.eps = call.linear->eps;
    blocks.push_back(
        linear_weights(call.q.to(DType::f32), keys, all, {0, call.q.dim(0)}, {0, keys.dim(0)}));
  }

  Tensor joined() const {
    std::int64_t rows = 0, columns = 0;
    for (const Tensor& block : blocks) {
      rows += block.dim(1);
      columns = std::max(columns, block.dim(2));
    }
    const std::int64_t heads = blocks.front().dim(0);
    Tensor all = Tensor::zeros({heads, rows, columns});
    for (std::int64_t h = 0; h < heads; ++h) {
      float* to = all.data() + h * rows * columns;
      for (const Tensor& block : blocks) {
        const std::int64_t wide = block.dim(2);
        for (std::int64_t r = 0; r < block.dim(1); ++r, to += columns) {
          std::copy_n(block.data() + (h * block.dim(1) + r) * wide, wide, to);
        }
      }
    }
    return all;
  }
};

}  // namespace

Tensor AttentionCall::weights(kernels::Interval rows, kernels::Interval columns) const {
  const auto inside = [](const kernels::Interval& x, std::int64_t count) {
    return x.begin >= 0 && x.begin <= x.end && x.end <= count;
  };
  if (!inside(rows, q.dim(0)) || !inside(columns, keys)) {
    fail<ShapeError>("attention: rows [{}, {}) and keys [{}, {}) of {} and {}", rows.begin,
                     rows.end, columns.begin, columns.end, q.dim(0), keys);
  }
  return weights_of(rows, columns);
}

AttentionObserver::AttentionObserver(Look look)
    : look_(std::move(look)), outer_(std::exchange(t_observer, this)) {}
AttentionObserver::~AttentionObserver() { t_observer = outer_; }

bool attention_observed() { return t_observer != nullptr && t_observer->watches(); }

void tell_observer(AttentionCall call) {
  if (!attention_observed()) return;
  call.path = module_path();
  const AttentionObserver* const observer = t_observer;
  // What the observer computes is not for its own eyes.
  const AttentionObserver quiet({});
  observer->look_(call);
}

ModuleScope::ModuleScope(const char* name, std::int64_t index)
    : name_(name), index_(index), outer_(std::exchange(t_scope, this)) {}
ModuleScope::~ModuleScope() { t_scope = outer_; }

std::string module_path() {
  std::string path;
  for (const ModuleScope* scope = t_scope; scope; scope = scope->outer_) {
    std::string name = scope->name_;
    if (scope->index_ >= 0) name.append(".").append(std::to_string(scope->index_));
    if (!path.empty()) name.append(".").append(path);
    path = std::move(name);
  }
  return path;
}

std::vector<SeenAttention> attention_seen(const std::function<void()>& forward) {
  std::vector<Collected> modules;
  {
    const NoRecording off;
    const AttentionObserver observer([&](const AttentionCall& call) {
      auto at = std::ranges::find(modules, call.path, &Collected::path);
      if (at == modules.end()) at = modules.insert(at, {call.path, {}, {}});
      at->add(call);
    });
    forward();
  }
  std::vector<SeenAttention> seen;
  seen.reserve(modules.size());
  for (const Collected& m : modules) seen.push_back({m.path, m.joined()});
  return seen;
}

}  // namespace qkv
