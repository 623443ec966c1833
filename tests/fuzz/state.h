// Any bytes as the state of a training run, then as the record beside it. Checksums are made to
// fit, so that damage reaches the checks behind them.
#pragma once

#include <cmath>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz/target.h"
#include "systems/tiny_models.h"
#include "text/temporary.h"

#include "qkv/base/error.h"
#include "qkv/nn/linear.h"
#include "qkv/train/run_record.h"
#include "qkv/train/state.h"

namespace qkv {

/// A run of a layer of six numbers, after a step.
struct FuzzRun {
  Initialiser init{1};
  Linear layer = Linear::make(init, 2, 2);
  Optimiser optimiser{layer, {}};
  std::deque<Tensor> snapshots;
};

inline const std::filesystem::path& fuzz_state_folder() {
  static const Temporary folder;
  return folder.path();
}

inline void fuzz_state(std::string_view bytes) {
  const std::filesystem::path file = fuzz_state_folder() / "state.safetensors";
  try {
    FuzzRun run;
    tiny::spill(file, tiny::with_right_checksums(std::string(bytes)));
    const Position at = load_state(file, run.optimiser, run.snapshots);
    fuzz_require(at.step >= 0 && at.best_step <= at.step && !std::isnan(at.best_score),
                 "a position that no run had");
    run.optimiser.check_finite();
    // What was taken can be saved, and says the same again.
    save_state(file, at, run.optimiser, run.snapshots);
    FuzzRun again;
    fuzz_require(load_state(file, again.optimiser, again.snapshots).step == at.step &&
                     again.snapshots.size() == run.snapshots.size(),
                 "another state after saving");
  } catch (const Error&) {
  }
  try {
    tiny::spill(fuzz_state_folder() / kRunFile, bytes);
    const RunRecord record = RunRecord::load(fuzz_state_folder());
    record.save(fuzz_state_folder());
    fuzz_require(RunRecord::load(fuzz_state_folder()).options == record.options,
                 "other options after saving");
  } catch (const Error&) {
  }
}

inline std::vector<std::string> state_seeds() {
  const std::filesystem::path file = fuzz_state_folder() / "seed";
  const auto saved = [&](const Position& at, const std::deque<Tensor>& snapshots) {
    FuzzRun run;
    save_state(file, at, run.optimiser, snapshots);
    return read_file(file);
  };
  return {saved({}, {}),
          saved({.step = 3, .epoch = 1, .best_step = 2, .validated = 2, .best_score = -1.5},
                {Tensor::zeros({6}), Tensor::zeros({6})}),
          R"({"options": {"dropout": "0.1"}, "data": {"train": "120 lines, 89abcdef"}})"};
}

}  // namespace qkv
