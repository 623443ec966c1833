#include "experiments/comparison_runs.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "qkv/base/error.h"
#include "qkv/base/progress.h"

namespace qkv {
namespace {

constexpr const char* kRunsFile = "runs.jsonl";

std::int64_t size_of(const std::string& word, std::int64_t all, const std::string& what) {
  if (word == "all") return all;
  std::int64_t size = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, size);
  if (error != std::errc() || stop != end || size < 1) {
    throw UsageError(fmt::format("--sizes: '{}' is neither a number of {} nor 'all'", word, what));
  }
  return size;
}

std::vector<ComparisonRun> finished_runs(const std::filesystem::path& path) {
  std::vector<ComparisonRun> runs;
  if (!std::filesystem::exists(path)) return runs;
  for (const Json& line : read_jsonl(path)) {
    FieldReader r(line, path.string());
    ComparisonRun run{.encoder = r.text("encoder"), .size = r.integer("size", {.least = 1})};
    run.seed = static_cast<std::uint64_t>(r.integer("seed", {.least = 0}));
    run.score = r.number("score");
    run.valid_score = r.number("valid_score");
    run.best_step = r.integer("best_step");
    run.steps = r.integer("steps");
    run.seconds = r.number("seconds");
    r.finish();
    runs.push_back(run);
  }
  return runs;
}

}  // namespace

std::vector<std::int64_t> sizes_of(const std::vector<std::string>& words, std::int64_t all,
                                   const std::string& what) {
  std::vector<std::int64_t> sizes;
  for (const std::string& word : detail::split_list(words))
    sizes.push_back(size_of(word, all, what));
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  if (sizes.empty()) throw UsageError("--sizes: takes at least one value");
  if (sizes.back() > all) fail("--sizes {}: there are {} training {}", sizes.back(), all, what);
  return sizes;
}

std::vector<ComparisonRun> run_missing(
    const ComparisonPlan& plan,
    const std::function<ComparisonRun(std::size_t, std::int64_t, std::uint64_t)>& run,
    const TrainWatch& watch) {
  const std::vector<ComparisonRun> before = finished_runs(plan.directory / kRunsFile);
  std::vector<ComparisonRun> runs;
  const auto total = static_cast<std::int64_t>(plan.sizes.size() * plan.names.size()) * plan.seeds;
  const auto one = [&](std::size_t i, std::int64_t size, std::uint64_t seed) {
    const auto found = std::find_if(before.begin(), before.end(), [&](const ComparisonRun& r) {
      return r.encoder == plan.names[i] && r.size == size && r.seed == seed;
    });
    if (found != before.end()) return runs.push_back(*found);
    runs.push_back(run(i, size, seed));
    const ComparisonRun& r = runs.back();
    append_jsonl(plan.directory / kRunsFile, json_of(r));
    watch.line(fmt::format("{}/{}  {:<10} {} {}, seed {}: {:.2f} (best at {}, {})", runs.size(),
                           total, r.encoder, r.size, plan.what, r.seed, r.score, r.best_step,
                           duration_text(r.seconds)));
  };
  for (const std::int64_t size : plan.sizes) {
    for (std::uint64_t seed = 1; seed <= static_cast<std::uint64_t>(plan.seeds); ++seed) {
      for (std::size_t i = 0; i < plan.names.size(); ++i) one(i, size, seed);
    }
  }
  std::filesystem::remove_all(plan.directory / "current");
  return runs;
}

void check_settings(const std::filesystem::path& path, const Json& now) {
  if (!std::filesystem::exists(path)) return write_json(path, now);
  const Json before = read_json(path);
  if (!before.is_object()) throw DataError(path.string(), 0, "holds no settings of qkv compare");
  const auto told = [](const Json& json, const std::string& name) {
    return json.contains(name) ? json[name].dump() : std::string("none");
  };
  for (const Json* settings : {&now, &before}) {
    for (const auto& [name, unused] : settings->items()) {
      if (before.contains(name) && now.contains(name) && before[name] == now[name]) continue;
      fail("{}: the runs there had {} {}, not {}; give another --output",
           path.parent_path().string(), name, told(before, name), told(now, name));
    }
  }
}

Json json_of(const ComparisonRun& r) {
  return {{"encoder", r.encoder},
          {"size", r.size},
          {"seed", r.seed},
          {"score", r.score},
          {"best_step", r.best_step},
          {"steps", r.steps},
          {"valid_score", r.valid_score},
          {"seconds", r.seconds}};
}

Json json_of(const ComparisonCell& c) {
  return {{"encoder", c.encoder},     {"size", c.size}, {"runs", c.runs}, {"mean", c.mean},
          {"deviation", c.deviation}, {"low", c.low},   {"high", c.high}};
}

Crossing crossing_of(std::span<const ComparisonRun> runs, std::string_view a, std::string_view b) {
  // Score of a − score of b, by seed and size.
  std::map<std::uint64_t, std::map<std::int64_t, std::array<std::optional<double>, 2>>> scores;
  for (const ComparisonRun& r : runs) {
    if (r.encoder == a) scores[r.seed][r.size][0] = r.score;
    if (r.encoder == b) scores[r.seed][r.size][1] = r.score;
  }
  double first = 0;  // all seeds together, at their smallest size
  std::vector<std::vector<std::pair<double, double>>> curves;
  for (const auto& [seed, sizes] : scores) {
    std::vector<std::pair<double, double>>& curve = curves.emplace_back();
    for (const auto& [size, both] : sizes) {
      if (!both[0] || !both[1]) continue;
      curve.emplace_back(std::log(static_cast<double>(size)), *both[0] - *both[1]);
    }
    if (!curve.empty()) first += curve.front().second;
  }
  Crossing c{.ahead = std::string(first >= 0 ? a : b), .behind = std::string(first >= 0 ? b : a)};
  const double sign = first >= 0 ? 1 : -1;
  std::vector<double> logs;
  for (const auto& curve : curves) {
    ++c.seeds;
    // The last size where the first one was not behind, and the next.
    std::size_t last = curve.size();
    for (std::size_t i = 0; i < curve.size(); ++i) {
      if (sign * curve[i].second >= 0) last = i;
    }
    if (last + 1 >= curve.size()) continue;
    const auto [x0, y0] = curve[last];
    const auto [x1, y1] = curve[last + 1];
    logs.push_back(x0 + (x1 - x0) * y0 / (y0 - y1));
    c.at.push_back(std::exp(logs.back()));
  }
  if (logs.empty()) return c;
  double mean = 0, squares = 0;
  for (const double x : logs) mean += x / static_cast<double>(logs.size());
  for (const double x : logs) squares += (x - mean) * (x - mean);
  c.mean = std::exp(mean);
  if (logs.size() > 1)
    c.factor = std::exp(std::sqrt(squares / static_cast<double>(logs.size() - 1)));
  return c;
}

std::string to_string(const Crossing& c, const std::string& what) {
  if (c.at.empty()) {
    return fmt::format("{} stays ahead of {} at every size ({} seeds)", c.ahead, c.behind, c.seeds);
  }
  return fmt::format("{} ahead of {} up to {:.0f} {} (÷× {:.2f}; {} of {} seeds cross)", c.ahead,
                     c.behind, c.mean, what, c.factor, c.at.size(), c.seeds);
}

}  // namespace qkv
