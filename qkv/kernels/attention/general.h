// The general path of attention in float: every score, bias and normaliser of form.h, tile by tile.
// Here: where a task of the backward pass puts the gradients of parameters. Segments and heads
// share parameters, so a task adds to memory of its own, which is merged in the order of the tasks;
// where no other task touches the same elements it adds to the gradient itself.
#pragma once

#include <algorithm>
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

/// Query rows of a task of the backward pass. Where key heads are few, long sequences are cut, so
/// that threads have something to share; up to kBackwardParts tasks a sequence, and not below
/// kBackwardRows rows, since each prepares all keys and has their gradients added to the others'.
inline constexpr std::int64_t kBackwardParts = 8, kBackwardRows = 256;
constexpr std::int64_t backward_rows(std::int64_t rows, std::int64_t kv_heads) {
  const std::int64_t parts = std::min((rows + kBackwardRows - 1) / kBackwardRows,
                                      (kBackwardParts + kv_heads - 1) / kv_heads);
  if (parts <= 1) return rows;
  return ((rows + parts - 1) / parts + kTallestTile - 1) / kTallestTile * kTallestTile;
}

/// Gradients of the keys and values of one key head, from the first key of a segment on.
struct KeyGradients {
  float* dk = nullptr;
  std::int64_t dk_stride = 0;
  float* dv = nullptr;
  std::int64_t dv_stride = 0;
};

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
  KeyGradients keys;
};

/// The parameters as one task sees them: a key head of a segment, all of its rows or some.
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
