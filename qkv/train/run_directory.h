// The directory of a training run: whether a run may begin in it, and what it writes there.
//   config.json, …    the best model so far, by the task's `save`, which replaces it as a whole
//   state/            a model of the run's kind and state.safetensors: what resuming needs
//   metrics.jsonl     one line a report and one a validation
//   curve.svg         drawn at the end
// A run that is not resumed touches nothing before it has a state to put there. Then state/ is
// exchanged as a whole and the files of an older run go; the older run's model stays until the new
// run has one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "qkv/io/json.h"

namespace qkv {

constexpr const char* kCurveFile = "curve.svg";

/// How a run begins.
enum class Begin : std::uint8_t {
  fresh,   ///< in a directory that holds no run and no model
  over,    ///< in the place of whatever run or model of qkv is there
  resume,  ///< from the state that is there
};
/// To be asked before anything else is done. Throws Error for a directory that holds a run or a
/// model and is to be begun afresh, for one of another program (never overwritten), for a file, for
/// a folder that cannot be written to, for both flags together.
Begin begin_of(const std::filesystem::path& directory, bool resume, bool overwrite);
/// The same where nothing can be resumed, so that no message names it.
Begin begin_of(const std::filesystem::path& directory, bool overwrite);

/// Removes what an older run left beside a model that has just taken its place: state, metrics,
/// curve. For what trains without states.
void forget_run(const std::filesystem::path& directory);

class RunDirectory {
 public:
  /// `keep` writes the model that a resumed run is built from into a folder; may be empty.
  RunDirectory(std::filesystem::path directory, bool resume,
               std::function<void(const std::filesystem::path&)> keep);

  const std::filesystem::path& path() const { return directory_; }
  std::filesystem::path state_file() const;
  /// Whether the state there is one of this run.
  bool has_state() const { return begun_; }

  /// Adds a line; before the first state it waits in memory.
  void metrics(Json line);
  /// `write` writes the state to the path it is given.
  void save_state(const std::function<void(const std::filesystem::path&)>& write);
  /// Leaves out the lines of metrics after a step: that work is done again. DataError for a line
  /// that is none of metrics.
  void trim_metrics(std::int64_t step) const;

 private:
  void begin(const std::function<void(const std::filesystem::path&)>& write);

  std::filesystem::path directory_;
  std::function<void(const std::filesystem::path&)> keep_;
  bool begun_;
  std::vector<Json> waiting_;
};

}  // namespace qkv
