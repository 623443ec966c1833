// qkv bench action: how long a model of actions takes for one clip, from its features to the
// probabilities, as a share of the FMA peak. 10 runs to warm up and 100 measured, as published.
#include "app/action.h"

#include <algorithm>
#include <chrono>

#include "app/bench/bench.h"
#include "app/output.h"
#include "app/train/training.h"
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/peak.h"
#include "qkv/train/action.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchAction {
  std::string model, preset = "act-micro", architecture;
  int warm_up = 10, runs = 100;
};

ActionNetwork network_of(const BenchAction& b) {
  if (!b.model.empty()) return load_action_model(b.model).network;
  ActionArchitecture architecture = ActionArchitecture::act;
  set_choice(
      "--arch", b.architecture,
      {std::pair{"act", ActionArchitecture::act}, std::pair{"mlp", ActionArchitecture::mlp},
       std::pair{"conv", ActionArchitecture::conv}, std::pair{"lstm", ActionArchitecture::lstm}},
      architecture);
  return ActionNetwork::make(of_equal_size(action_preset(b.preset).model, architecture), 1);
}

/// Of one clip; a multiply-add counts two.
double operations(const ActionNetwork::Config& c) {
  const auto t = static_cast<double>(c.frames), w = static_cast<double>(c.width);
  const auto f = static_cast<double>(c.features), k = static_cast<double>(c.classes);
  const auto layers = static_cast<double>(c.layers), kernel = static_cast<double>(c.kernel);
  switch (c.architecture) {
    case ActionArchitecture::act: {
      const double rows = t + 1, head = static_cast<double>(c.head);
      return 2 * (t * f * w + layers * rows * (12 * w * w + 2 * rows * w) + head * (w + k));
    }
    case ActionArchitecture::mlp:
      return 2 * (t * f * w + (layers - 1) * w * w + w * k);
    case ActionArchitecture::conv:
      return 2 * (t * kernel * w * (f + (layers - 1) * w) + w * k);
    case ActionArchitecture::lstm:
      return 2 * (t * 4 * w * (f + w + (layers - 1) * 2 * w) + w * k);
  }
  return 0;
}

void bench_action(const BenchAction& b, Program& program) {
  const ActionNetwork network = network_of(b);
  const ActionNetwork::Config& c = network.config;
  ActionBatch batch;
  batch.segments = Segments::one(c.frames);
  batch.features = Tensor::empty({c.frames, c.features});
  Philox random(1);
  for (float& x : batch.features.values()) x = static_cast<float>(random.normal());
  std::vector<double> seconds;
  const double before = kernels::measure_fma_peak(threads());
  for (int run = -b.warm_up; run < b.runs; ++run) {
    const Clock::time_point start = Clock::now();
    (void)network.probabilities(batch);
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    if (run >= 0) seconds.push_back(taken);
  }
  const double peak = std::max(before, kernels::measure_fma_peak(threads()));
  const double typical = median(seconds), share = operations(c) / typical / peak;
  const nlohmann::json result = {{"bench", "action"},
                                 {"model", b.model.empty() ? b.preset : b.model},
                                 {"architecture", name_of(c.architecture)},
                                 {"parameters", c.parameters()},
                                 {"operations", operations(c)},
                                 {"threads", threads()},
                                 {"runs", b.runs},
                                 {"seconds", typical},
                                 {"fastest", *std::ranges::min_element(seconds)},
                                 {"share_of_fma_peak", share}};
  if (program.json) {
    print_output("{}\n", result.dump());
    return;
  }
  print_output(
      "action: {} of {} parameters, a clip of {} frames, {} threads: {:.3f} ms ({:.1f} MFLOP, "
      "{:.1f} % of the FMA peak)\n",
      name_of(c.architecture), grouped(c.parameters()), c.frames, threads(), 1e3 * typical,
      1e-6 * operations(c), 100 * share);
}

}  // namespace

void add_bench_action(CLI::App& bench, Program& program) {
  auto b = std::make_shared<BenchAction>();
  CLI::App* c = bench.add_subcommand("action", "The time of one clip, from features to action");
  c->add_option("--model", b->model, "Model directory; default: random weights of --preset");
  c->add_option("--preset", b->preset, "act-micro, act-small, act-medium or act-large")
      ->capture_default_str();
  c->add_option("--arch", b->architecture, "act (default), or as large: mlp, conv or lstm");
  c->add_option("--warm-up", b->warm_up, "Runs before those measured")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  c->add_option("--runs", b->runs, "Runs measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    bench_action(*b, program);
  });
}

}  // namespace qkv::app
