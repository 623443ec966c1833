// What every `qkv train …` shares: the options of a run, stopping by signal, the curve, the lines
// at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "app/console.h"

#include "qkv/base/error.h"
#include "qkv/nn/recurrent.h"
#include "qkv/train/loop.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace qkv::app {

/// An unset option leaves the preset's value.
struct RunSettings {
  std::optional<std::int64_t> steps, epochs;
  std::optional<double> minutes;
  std::optional<std::int64_t> accumulate, warm_up, average, validate_every, patience;
  std::optional<double> rate, beta2, momentum, decay, clip, ema;
  std::string schedule, optimiser;
  std::uint64_t seed = 1;
  double save_minutes = 5;
  bool resume = false;
  bool overwrite = false;  // begin in the place of a run that is there
};

/// --steps … --resume, in this group of the help.
void add_run_options(CLI::App& command, RunSettings& settings, const char* group);

/// Lays the settings over a preset's options; throws Error for values that make no sense.
void set_run(const RunSettings& settings, TrainOptions& options);

template <class T, class U>
void set(const std::optional<T>& from, U& to) {
  if (from) to = static_cast<U>(*from);
}

/// The value that belongs to a word; throws with the list of words. No word: nothing changes.
template <class E>
void set_choice(const char* option, const std::string& word,
                std::initializer_list<std::pair<const char*, E>> choices, E& to) {
  if (word.empty()) return;
  std::string list;
  for (const auto& [name, value] : choices) {
    if (word == name) {
      to = value;
      return;
    }
    list += std::string(list.empty() ? "" : ", ") + name;
  }
  fail("{} '{}' is not one of {}", option, word, list);
}

/// The value of --cell: gru, gru_reset_before or lstm.
void set_cell(const std::string& word, Cell& cell);

/// Trains under the console's eyes: Ctrl-C and SIGTERM ask the loop to stop, a second one ends the
/// program at once; then writes curve.svg and says how it ended. `score` is the field of
/// metrics.jsonl that the curve shows beside the losses and the name it has there; empty: none.
/// Throws Interrupted after a saved interruption.
TrainReport run_training(const TrainTask& task, Optimiser& optimiser, const TrainOptions& options,
                         const std::filesystem::path& directory, bool resume,
                         std::pair<std::string_view, std::string_view> score, Console& console);

}  // namespace qkv::app
