// The training state of a run as one file, state/state.safetensors: where it stands, the numbers of
// the optimiser, the weights of the last validations. Nothing is saved that is not finite, and
// nothing loaded that is damaged.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "qkv/tensor/tensor.h"
#include "qkv/train/optimiser.h"

namespace qkv {

/// What a run must remember besides numbers. `batch` counts within the epoch.
struct Position {
  std::int64_t step = 0, epoch = 0, batch = 0, tokens = 0;
  std::int64_t best_step = 0, stale = 0;
  std::int64_t validated = -1;  // the step of the last validation: it must not be judged twice
  double best_score = -std::numeric_limits<double>::infinity();
  double best_second = -std::numeric_limits<double>::infinity();  // Validation::second
  double seconds = 0;
};

/// Tensors that a state holds besides the optimiser's, by names of their own (TrainTask::held).
using HeldTensors = std::span<const std::pair<std::string, Tensor>>;

/// Writes the file, the old one stays until the new one is whole. It remembers which config.json
/// stands beside it. Throws NumericError, naming the first number that is not finite, before
/// anything is touched.
void save_state(const std::filesystem::path& file, const Position& at, const Optimiser& optimiser,
                const std::deque<Tensor>& snapshots, HeldTensors held = {});
/// Puts the state back, what is held into the tensors themselves. Throws DataError for a file that
/// is damaged, of another model, or says what no run could have said; the optimiser's numbers are
/// then of no use.
Position load_state(const std::filesystem::path& file, Optimiser& optimiser,
                    std::deque<Tensor>& snapshots, HeldTensors held = {});

}  // namespace qkv
