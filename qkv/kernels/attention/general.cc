#include "qkv/kernels/attention/general.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/schedule.h"
#include "qkv/kernels/attention/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/attention/general.cc"
#include "qkv/kernels/targets.h"
// foreach_target must come before highway.h
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "qkv/kernels/attention/general-backward-inl.h"
#include "qkv/kernels/attention/general-forward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels {
namespace HWY_NAMESPACE {

void GeneralForwardTask(const Attend<float>& a, const Task& t) {
  GeneralForward pass(a, t);
  if (!pass.run(false)) pass.run(true);
}

void GeneralBackwardTask(const AttendBackward<float>& a, const Task& t,
                         const GradientPlaces& places) {
  GeneralBackward pass(a, t, places);
  if (!pass.run(false, true)) pass.run(true, false);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels {
HWY_EXPORT(GeneralForwardTask);
HWY_EXPORT(GeneralBackwardTask);
namespace {

/// Floats of private gradients that may be held at a time, unless a thread needs more for one task:
/// 16 MiB.
constexpr std::int64_t kPrivateFloats = 1 << 22;

const AttendForm<float>& form_or_plain(const AttendForm<float>* form) {
  static const AttendForm<float> plain;
  return form ? *form : plain;
}

std::int64_t backward_cost(const AttendPlan& plan, const Task& t, std::int64_t group) {
  const AttendPlan::Segment& s = plan.segments[static_cast<std::size_t>(t.segment)];
  return 4 * group * (t.last - t.first + 8) * (s.k_end - s.k_begin + 8);
}

/// Where a task leaves the gradients of its keys: where they belong if it has all rows of its
/// segment, else in `memory`, to be added up with those of the other rows.
class TaskKeys {
 public:
  TaskKeys(const AttendBackward<float>& a, const Task& t)
      : a_(&a), t_(t), s_(a.plan->segments[static_cast<std::size_t>(t.segment)]) {}

  std::int64_t floats() const {
    return whole() ? 0 : (s_.k_end - s_.k_begin) * (a_->dim + a_->value_dim);
  }
  KeyGradients places(float* memory) const {
    if (whole()) return target();
    return {memory, a_->dim, memory + (s_.k_end - s_.k_begin) * a_->dim, a_->value_dim};
  }
  void merge(float* memory) const {
    if (whole()) return;
    const KeyGradients from = places(memory), to = target();
    parallel_for(s_.k_end - s_.k_begin, 256, [&](std::int64_t k, std::int64_t end) {
      for (; k < end; ++k) {
        add(from.dk + k * from.dk_stride, a_->dim, to.dk + k * to.dk_stride);
        add(from.dv + k * from.dv_stride, a_->value_dim, to.dv + k * to.dv_stride);
      }
    });
  }

 private:
  bool whole() const { return t_.first == s_.q_begin && t_.last == s_.q_end; }
  KeyGradients target() const {
    const std::int64_t row = s_.k_begin * a_->kv_heads + t_.head;
    return {a_->dk + row * a_->dim, a_->kv_heads * a_->dim, a_->dv + row * a_->value_dim,
            a_->kv_heads * a_->value_dim};
  }
  void add(const float* from, std::int64_t n, float* to) const {
    if (t_.first == s_.q_begin) {
      std::copy_n(from, n, to);
      return;
    }
    for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
  }

  const AttendBackward<float>* a_;
  Task t_;
  AttendPlan::Segment s_;
};

}  // namespace

void attend_general(const Attend<float>& call) {
  Attend<float> a = call;
  a.form = &form_or_plain(call.form);
  const AttendPlan& plan = *a.plan;
  each_gap(plan, false, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.out + begin * a.heads * a.value_dim, a.out + end * a.heads * a.value_dim, 0.0f);
    std::fill(a.lse + begin * a.heads, a.lse + end * a.heads,
              -std::numeric_limits<float>::infinity());
    if (a.entropy) std::fill(a.entropy + begin * a.heads, a.entropy + end * a.heads, 0.0f);
  });
  const std::int64_t tile = general_query_tile(*a.form, a.dim, a.value_dim);
  std::vector<Task> tasks;
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    const AttendPlan::Segment& s = plan.segments[b];
    for (std::int64_t first = s.q_begin; first < s.q_end; first += tile) {
      for (std::int64_t h = 0; h < a.heads; ++h) {
        tasks.push_back({static_cast<std::int64_t>(b), h, first, std::min(first + tile, s.q_end)});
      }
    }
  }
  const auto run = HWY_DYNAMIC_DISPATCH(GeneralForwardTask);
  run_tasks(
      tasks,
      [&](const Task& t) {
        const AttendPlan::Segment& s = plan.segments[static_cast<std::size_t>(t.segment)];
        return (t.last - t.first + 8) * (s.k_end - s.k_begin + 8);
      },
      [&](const Task& t) { run(a, t); });
}

void attend_general_backward(const AttendBackward<float>& call) {
  AttendBackward<float> a = call;
  a.form = &form_or_plain(call.form);
  const AttendPlan& plan = *a.plan;
  each_gap(plan, false, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.dq + begin * a.heads * a.dim, a.dq + end * a.heads * a.dim, 0.0f);
  });
  each_gap(plan, true, [&](std::int64_t begin, std::int64_t end) {
    std::fill(a.dk + begin * a.kv_heads * a.dim, a.dk + end * a.kv_heads * a.dim, 0.0f);
    std::fill(a.dv + begin * a.kv_heads * a.value_dim, a.dv + end * a.kv_heads * a.value_dim, 0.0f);
  });
  std::vector<Task> tasks;
  std::vector<TaskParameters> parameters;
  std::vector<TaskKeys> keys;
  std::vector<std::int64_t> floats;
  for (std::size_t b = 0; b < plan.segments.size(); ++b) {
    const AttendPlan::Segment& s = plan.segments[b];
    const std::int64_t rows = backward_rows(s.q_end - s.q_begin, a.kv_heads);
    for (std::int64_t g = 0; g < a.kv_heads; ++g) {
      std::int64_t first = s.q_begin;
      do {  // once without rows: its keys still have gradients, of 0
        const std::int64_t last = std::min(first + rows, s.q_end);
        tasks.push_back({static_cast<std::int64_t>(b), g, first, last});
        parameters.emplace_back(a, tasks.back());
        keys.emplace_back(a, tasks.back());
        floats.push_back(parameters.back().floats() + keys.back().floats());
        first = last;
      } while (first < s.q_end);
    }
  }
  // As many tasks at a time as there is memory for; what they leave is added up in their order, so
  // where the waves end makes no difference.
  const auto run = HWY_DYNAMIC_DISPATCH(GeneralBackwardTask);
  std::vector<float> memory;
  for (std::size_t first = 0; first < tasks.size();) {
    std::vector<std::int64_t> offsets;  // of first, first + 1, …
    std::int64_t sum = 0;
    std::size_t last = first;
    while (last < tasks.size() && (static_cast<std::int64_t>(last - first) < threads() ||
                                   sum + floats[last] <= kPrivateFloats)) {
      offsets.push_back(sum);
      sum += floats[last++];
    }
    memory.assign(static_cast<std::size_t>(sum), 0.0f);
    std::vector<Task> wave(tasks.begin() + static_cast<std::ptrdiff_t>(first),
                           tasks.begin() + static_cast<std::ptrdiff_t>(last));
    run_tasks(
        wave, [&](const Task& t) { return backward_cost(plan, t, a.heads / a.kv_heads); },
        [&](const Task& t) {
          const auto n = static_cast<std::size_t>(&t - wave.data());
          float* own = memory.data() + offsets[n];
          GradientPlaces places = parameters[first + n].places(own);
          places.keys = keys[first + n].places(own + parameters[first + n].floats());
          run(a, t, places);
        });
    for (std::size_t n = first; n < last; ++n) {
      float* own = memory.data() + offsets[n - first];
      parameters[n].merge(own);
      keys[n].merge(own + parameters[n].floats());
    }
    first = last;
  }
}

}  // namespace qkv::kernels
#endif  // HWY_ONCE
