#include <algorithm>

#include "qkv/kernels/attention/general.h"

namespace qkv::kernels {

TaskParameters::TaskParameters(const AttendBackward<float>& a, const Task& task) {
  const std::int64_t group = a.heads / a.kv_heads, first = task.head * group;
  const AttendPlan::Segment& s = a.plan->segments[static_cast<std::size_t>(task.segment)];
  const bool alone =
      a.plan->segments.size() == 1 && task.first == s.q_begin && task.last == s.q_end;
  const AttendForm<float>& form = *a.form;
  for (const BiasTerm<float>& b : form.biases) parts_.push_back(bias(a, task, b));
  Part weight, sink;
  if (form.dweight) {
    weight.target = form.dweight + first * form.weight_stride;
    weight.extent[0] = form.weight_stride != 0 ? group : 1;
    weight.extent[2] = a.dim;
    weight.stride[0] = form.weight_stride;
    weight.stride[2] = 1;
    weight.shared = !alone || form.weight_stride == 0;
  }
  if (form.norm.dsink) {
    sink.target = form.norm.dsink + first;
    sink.extent[0] = group;
    sink.stride[0] = 1;
    sink.shared = !alone;
  }
  parts_.push_back(weight);
  parts_.push_back(sink);
}

TaskParameters::Part TaskParameters::bias(const AttendBackward<float>& a, const Task& task,
                                          const BiasTerm<float>& b) const {
  using Kind = BiasTerm<float>::Kind;
  Part part;
  if (!b.gradient) return part;
  const AttendPlan::Segment& s = a.plan->segments[static_cast<std::size_t>(task.segment)];
  const std::int64_t queries = s.q_end - s.q_begin, keys = s.k_end - s.k_begin;
  const std::int64_t group = a.heads / a.kv_heads, first = task.head * group;
  const bool whole = task.first == s.q_begin && task.last == s.q_end;
  const bool alone = a.plan->segments.size() == 1;
  if (b.kind == Kind::row_table) {  // a row belongs to one task
    part.target = b.gradient;
    part.shared = false;
  } else if (b.kind == Kind::distance) {
    // Only the buckets that this segment can reach.
    const std::int64_t corner = b.top_left ? 0 : keys - queries;
    part.bucket = b.bucket(-(queries - 1 + corner));
    part.target = b.gradient + first * b.head_stride + part.bucket;
    part.extent[0] = b.head_stride != 0 ? group : 1;
    part.extent[2] = std::max(part.bucket, b.bucket(keys - 1 - corner)) - part.bucket + 1;
    part.stride[0] = b.head_stride;
    part.stride[2] = 1;
    part.shared = !alone || !whole || b.head_stride == 0;
  } else if (b.kind == Kind::tensor) {
    const std::int64_t entry = first / b.group;
    part.target = b.gradient + entry * b.head_stride;
    if (b.packed) part.target += s.q_begin * b.row_stride + s.k_begin * b.key_stride;
    part.extent[0] = b.head_stride != 0 ? (first + group - 1) / b.group - entry + 1 : 1;
    part.extent[1] = b.row_stride != 0 ? queries : 1;
    part.extent[2] = b.key_stride != 0 ? keys : 1;
    part.stride[0] = b.head_stride;
    part.stride[1] = b.row_stride;
    part.stride[2] = b.key_stride;
    const bool own_heads = b.head_stride != 0 && group % b.group == 0;
    const bool own_places = alone || (b.packed && (b.row_stride != 0 || b.key_stride != 0));
    const bool own_rows = whole || b.row_stride != 0;
    part.shared = !(own_heads && own_places && own_rows);
  }
  return part;
}

std::int64_t TaskParameters::floats() const {
  std::int64_t sum = 0;
  for (const Part& part : parts_) sum += part.floats();
  return sum;
}

GradientPlaces TaskParameters::places(float* memory) const {
  GradientPlaces places;
  for (const Part& part : parts_) {
    GradientPlace place{part.target, part.stride[0], part.stride[1], part.stride[2], part.bucket};
    if (part.target && part.shared) {
      place.at = memory;
      place.head_stride = part.extent[0] > 1 ? part.extent[1] * part.extent[2] : 0;
      place.row_stride = part.extent[1] > 1 ? part.extent[2] : 0;
      place.column_stride = part.extent[2] > 1 ? 1 : 0;
      memory += part.floats();
    }
    places.biases.push_back(place);
  }
  places.sink = places.biases.back();
  places.biases.pop_back();
  places.weight = places.biases.back();
  places.biases.pop_back();
  return places;
}

void TaskParameters::merge(const float* memory) const {
  for (const Part& part : parts_) {
    if (part.floats() == 0) continue;
    for (std::int64_t h = 0; h < part.extent[0]; ++h) {
      for (std::int64_t r = 0; r < part.extent[1]; ++r) {
        float* to = part.target + h * part.stride[0] + r * part.stride[1];
        for (std::int64_t c = 0; c < part.extent[2]; ++c) to[c * part.stride[2]] += *memory++;
      }
    }
  }
}

}  // namespace qkv::kernels
