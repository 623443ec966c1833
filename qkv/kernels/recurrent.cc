#include "qkv/kernels/recurrent.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "qkv/base/parallel.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/gemm.h"

namespace qkv::kernels {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

using Buffer = std::unique_ptr<float[]>;
Buffer buffer(std::int64_t n) { return std::make_unique_for_overwrite<float[]>(at(n)); }

/// The rows of from [B width] in the order of the first step; null for null.
Buffer placed(const RecurrentPlan& plan, std::int64_t width, const float* from) {
  if (!from) return {};
  const std::int64_t alive = plan.alive(0);
  Buffer to = buffer(alive * width);
  for (std::int64_t i = 0; i < alive; ++i) {
    std::copy_n(from + plan.sequence[at(i)] * width, width, to.get() + i * width);
  }
  return to;
}

/// One step of the batch over memory that is laid out by steps.
CellForward<float> step_of(const RecurrentForward<float>& a, std::int64_t t, const float* initial_h,
                           const float* initial_c) {
  const RecurrentPlan& plan = *a.plan;
  const std::int64_t w = a.width, begin = plan.begin(t);
  const std::int64_t before = t == 0 ? 0 : plan.begin(t - 1);
  CellForward<float> step{};
  step.cell = a.cell;
  step.rows = plan.alive(t);
  step.width = w;
  step.x = a.x;
  step.x_rows = plan.row.data() + begin;
  step.weight = a.weight;
  step.bias = a.bias;
  step.h = t == 0 ? initial_h : a.hidden + before * w;
  step.gates = a.gates + begin * gates_of(a.cell) * w;
  step.inner = a.inner + begin * w;
  step.next_h = a.hidden + begin * w;
  if (a.cell == Cell::lstm) {
    step.c = t == 0 ? initial_c : a.cells + before * w;
    step.next_c = a.cells + begin * w;
  }
  return step;
}

/// final[sequence] = its last row of `stepped`; `initial` (or zeros) where it has none.
void take_final(const RecurrentPlan& plan, std::int64_t width, const float* stepped,
                const float* initial, float* final) {
  for (std::int64_t i = 0; i < plan.sequences(); ++i) {
    const std::int64_t b = plan.sequence[at(i)];
    const std::int64_t length = plan.offsets[at(b + 1)] - plan.offsets[at(b)];
    float* to = final + b * width;
    if (length > 0) {
      std::copy_n(stepped + (plan.begin(length - 1) + i) * width, width, to);
    } else if (initial) {
      std::copy_n(initial + b * width, width, to);
    } else {
      std::fill_n(to, width, 0.0f);
    }
  }
}

/// Rows [n, m) of the running gradient begin: these sequences end at the step at hand.
void begin_rows(const RecurrentPlan& plan, std::int64_t width, std::int64_t n, std::int64_t m,
                const float* dfinal, float* running) {
  for (std::int64_t i = n; i < m; ++i) {
    if (dfinal) {
      std::copy_n(dfinal + plan.sequence[at(i)] * width, width, running + i * width);
    } else {
      std::fill_n(running + i * width, width, 0.0f);
    }
  }
}

void add_output_gradient(const RecurrentBackward<float>& a, std::int64_t t, float* dh) {
  const RecurrentPlan& plan = *a.forward.plan;
  const std::int64_t w = a.forward.width;
  parallel_for(plan.alive(t), 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const float* from = a.dout + plan.row[at(plan.begin(t) + i)] * a.dout_stride;
      for (std::int64_t k = 0; k < w; ++k) dh[i * w + k] += from[k];
    }
  });
}

/// The states before each step, one under the other, as the product for dW reads them.
void states_before(const RecurrentForward<float>& a, const float* initial_h, float* all) {
  const RecurrentPlan& plan = *a.plan;
  const std::int64_t w = a.width;
  for (std::int64_t t = 0; t < plan.steps(); ++t) {
    float* to = all + plan.begin(t) * w;
    const std::int64_t n = plan.alive(t) * w;
    const float* from = t == 0 ? initial_h : a.hidden + plan.begin(t - 1) * w;
    if (from) {
      std::copy_n(from, n, to);
    } else {
      std::fill_n(to, n, 0.0f);
    }
  }
}

void weight_gradients(const RecurrentBackward<float>& a, const float* initial_h) {
  const RecurrentForward<float>& f = a.forward;
  const std::int64_t w = f.width, wide = gates_of(f.cell) * w, rows = f.plan->rows();
  if (a.dbias) column_sums(rows, wide, f.gates, 1.0f, a.dbias);
  if (!a.dweight) return;
  const std::int64_t split = f.cell == Cell::gru_reset_before ? 2 * w : wide;
  gemm_tn(w, wide - split, rows, f.inner, w, f.gates + split, wide, 1.0f, a.dweight + split, wide);
  states_before(f, initial_h, f.inner);  // of which nothing is needed any more
  gemm_tn(w, split, rows, f.inner, w, f.gates, wide, 1.0f, a.dweight, wide);
}

void take_initial(const RecurrentPlan& plan, std::int64_t width, const float* running,
                  const float* dfinal, float* dinitial) {
  if (!dinitial) return;
  for (std::int64_t i = 0; i < plan.sequences(); ++i) {
    const std::int64_t b = plan.sequence[at(i)];
    float* to = dinitial + b * width;
    if (i < plan.alive(0)) {
      std::copy_n(running + i * width, width, to);
    } else if (dfinal) {
      std::copy_n(dfinal + b * width, width, to);
    } else {
      std::fill_n(to, width, 0.0f);
    }
  }
}

}  // namespace

RecurrentPlan recurrent_plan(std::span<const std::int64_t> offsets, bool reverse) {
  RecurrentPlan plan;
  plan.offsets.assign(offsets.begin(), offsets.end());
  plan.reverse = reverse;
  plan.sequence.resize(offsets.size() - 1);
  std::iota(plan.sequence.begin(), plan.sequence.end(), std::int64_t{0});
  const auto length = [&](std::int64_t b) { return offsets[at(b + 1)] - offsets[at(b)]; };
  std::stable_sort(plan.sequence.begin(), plan.sequence.end(),
                   [&](std::int64_t a, std::int64_t b) { return length(a) > length(b); });
  plan.row.reserve(at(offsets.back()));
  plan.first.push_back(0);
  for (std::int64_t t = 0; plan.begin(t) < offsets.back(); ++t) {
    for (const std::int64_t b : plan.sequence) {
      if (length(b) <= t) break;
      plan.row.push_back(reverse ? offsets[at(b + 1)] - 1 - t : offsets[at(b)] + t);
    }
    plan.first.push_back(static_cast<std::int64_t>(plan.row.size()));
  }
  return plan;
}

void recurrent_forward(const RecurrentForward<float>& a) {
  const RecurrentPlan& plan = *a.plan;
  const std::int64_t w = a.width;
  const Buffer h0 = placed(plan, w, a.initial_h), c0 = placed(plan, w, a.initial_c);
  for (std::int64_t t = 0; t < plan.steps(); ++t) cell_forward(step_of(a, t, h0.get(), c0.get()));
  parallel_for(plan.rows(), 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t s = first; s < last; ++s) {
      std::copy_n(a.hidden + s * w, w, a.out + plan.row[at(s)] * a.out_stride);
    }
  });
  take_final(plan, w, a.hidden, a.initial_h, a.final_h);
  if (a.final_c) take_final(plan, w, a.cells, a.initial_c, a.final_c);
}

void recurrent_backward(const RecurrentBackward<float>& a) {
  const RecurrentForward<float>& f = a.forward;
  const RecurrentPlan& plan = *f.plan;
  const std::int64_t w = f.width, most = plan.alive(0);
  const bool lstm = f.cell == Cell::lstm;
  const Buffer h0 = placed(plan, w, f.initial_h), c0 = placed(plan, w, f.initial_c);
  const Buffer dh = buffer(most * w), dc = buffer(lstm ? most * w : 0);
  for (std::int64_t t = plan.steps() - 1; t >= 0; --t) {
    begin_rows(plan, w, plan.alive(t + 1), plan.alive(t), a.dfinal_h, dh.get());
    if (lstm) begin_rows(plan, w, plan.alive(t + 1), plan.alive(t), a.dfinal_c, dc.get());
    if (a.dout) add_output_gradient(a, t, dh.get());
    CellBackward<float> step{};
    step.forward = step_of(f, t, h0.get(), c0.get());
    step.weight_t = a.weight_t;
    step.dx = a.dx;
    step.dh = dh.get();
    step.dc = dc.get();
    cell_backward(step);
  }
  weight_gradients(a, h0.get());
  take_initial(plan, w, dh.get(), a.dfinal_h, a.dinitial_h);
  if (lstm) take_initial(plan, w, dc.get(), a.dfinal_c, a.dinitial_c);
}

}  // namespace qkv::kernels
