// The general path of attention in float: every score, bias and normaliser of form.h, tile by tile.
// Here: where a task of the backward pass puts the gradients of parameters. Segments and heads
// share parameters, so a task adds to memory of its own, which is merged in the order of the tasks;
// where no other task touches the same elements it adds to the gradient itself.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/schedule.h"

namespace qkv::kernels {

/// Query rows of a strip: all scores of few rows, for normalisers that need them at once.
inline constexpr std::int64_t kStripRows = 16;
/// Query rows a tile. A key is prepared again for each tile that meets it, which costs the additive
/// score as much as five query rows do. So tiles of scores by units are tall; of their rows no more
/// than one vector's are in use at a time.
inline std::int64_t general_query_tile(const AttendForm<float>& form, std::int64_t dim,
                                       std::int64_t value_dim) {
  if (!form.norm.streams()) return kStripRows;
  const bool by_units = form.score == ScoreForm::additive || form.score == ScoreForm::l1;
  return by_units ? kTallestTile : query_tile(dim < value_dim ? value_dim : dim);
}

/// Element (head, row, column) of one parameter's gradient as a task counts them: heads from its
/// first (of a tensor: entries of the head axis), rows and keys from the beginnings of its segment,
/// buckets from `bucket`. Null: not wanted.
struct GradientPlace {
  float* at = nullptr;
  std::int64_t head_stride = 0, row_stride = 0, column_stride = 0;
  std::int64_t bucket = 0;
};

struct GradientPlaces {
  std::vector<GradientPlace> biases;
  GradientPlace weight, sink;
};

/// The parameters as one task, a key head of a segment, sees them.
class TaskParameters {
 public:
  TaskParameters(const AttendBackward<float>& a, const Task& task);
  /// Floats of private memory.
  std::int64_t floats() const;
  GradientPlaces places(float* memory) const;
  /// Adds the private memory to the gradients.
  void merge(const float* memory) const;

 private:
  struct Part {
    float* target = nullptr;  // of the task's first element
    std::int64_t extent[3] = {1, 1, 1};
    std::int64_t stride[3] = {0, 0, 0};
    std::int64_t bucket = 0;
    bool shared = true;
    std::int64_t floats() const { return target && shared ? extent[0] * extent[1] * extent[2] : 0; }
  };
  Part bias(const AttendBackward<float>& a, const Task& task, const BiasTerm<float>& bias) const;

  std::vector<Part> parts_;  // the biases, the weight, the sink
};

}  // namespace qkv::kernels
