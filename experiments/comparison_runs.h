// The runs of a comparison, whatever is compared: which are asked for, which of them are done
// already, what of them is kept, and where two curves cross.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/comparison.h"

#include "qkv/io/json.h"

namespace qkv {

/// "500", "all" -> numbers, ascending, each once. Throws UsageError for other words, Error for more
/// than there are; `what` they are: "sentences".
std::vector<std::int64_t> sizes_of(const std::vector<std::string>& words, std::int64_t all,
                                   const std::string& what);

struct ComparisonPlan {
  std::filesystem::path directory;
  std::vector<std::string> names;  // the contestants
  std::vector<std::int64_t> sizes;
  std::int64_t seeds = 1;
  std::string what = "sentences";
};
/// Runs what directory/runs.jsonl lacks, smallest first, so that an early stop leaves whole
/// columns; `run` is given the place of a name.
std::vector<ComparisonRun> run_missing(
    const ComparisonPlan& plan,
    const std::function<ComparisonRun(std::size_t, std::int64_t, std::uint64_t)>& run,
    const TrainWatch& watch);

/// Writes what all runs of a directory have in common, or throws Error where those that are there
/// had something else.
void check_settings(const std::filesystem::path& path, const Json& now);

Json json_of(const ComparisonRun& run);
Json json_of(const ComparisonCell& cell);
template <class T>
Json list_of(const std::vector<T>& all) {
  Json list = Json::array();
  for (const T& one : all) list.push_back(json_of(one));
  return list;
}

/// Where the curves of two contestants cross: for each seed the first size, on the logarithmic axis
/// between two sizes, from which on the other one is ahead; seeds without one are left out.
struct Crossing {
  std::string ahead, behind;  // with little data
  std::int64_t seeds = 0;     // all of them
  std::vector<double> at;     // one a seed that has one
  double mean = 0;            // of their logarithms, back on the axis
  double factor = 1;          // exp of their logarithms' deviation: mean ÷ and × it
};
Crossing crossing_of(std::span<const ComparisonRun> runs, std::string_view a, std::string_view b);
/// "cnn ahead of vit up to 1,230 pictures (÷× 1.4; 4 of 5 seeds)", or that they do not cross.
std::string to_string(const Crossing& crossing, const std::string& what);

}  // namespace qkv
