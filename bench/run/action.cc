#include "bench/run/action.h"

#include <algorithm>

#include <fmt/core.h>

#include "qkv/base/parallel.h"
#include "qkv/base/progress.h"
#include "qkv/kernels/peak.h"
#include "qkv/train/action.h"

namespace qkv::bench {
namespace {

ActionNetwork network_of(const ActionOptions& o) {
  if (!o.model.empty()) return load_action_model(o.model).network;
  return ActionNetwork::make(
      1, of_equal_size(action_recipe(name_of(o.preset)).network, o.architecture));
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

}  // namespace

Report action(const ActionOptions& o, const Say&) {
  const ActionNetwork network = network_of(o);
  const ActionNetwork::Config& c = network.config;
  const ActionBatch batch{.segments = Segments::one(c.frames),
                          .features = random_numbers({c.frames, c.features}, 1),
                          .classes = {}};
  std::vector<double> seconds;
  const double before = kernels::measure_fma_peak(threads());
  for (int run = -o.warm_up; run < o.runs; ++run) {
    const double taken = seconds_of([&] { (void)network.probabilities(batch); });
    if (run >= 0) seconds.push_back(taken);
  }
  const double peak = std::max(before, kernels::measure_fma_peak(threads()));
  const double typical = median(seconds), share = operations(c) / typical / peak;
  return {.json = {{"bench", "action"},
                   {"model", o.model.empty() ? std::string(name_of(o.preset)) : o.model},
                   {"architecture", name_of(c.architecture)},
                   {"parameters", c.parameters()},
                   {"operations", operations(c)},
                   {"threads", threads()},
                   {"runs", o.runs},
                   {"seconds", typical},
                   {"fastest", fastest(seconds)},
                   {"share_of_fma_peak", share}},
          .text = fmt::format("action: {} of {} parameters, a clip of {} frames, {} threads: "
                              "{:.3f} ms ({:.1f} MFLOP, {:.1f} % of the FMA peak)\n",
                              name_of(c.architecture), grouped(c.parameters()), c.frames, threads(),
                              1e3 * typical, 1e-6 * operations(c), 100 * share)};
}

}  // namespace qkv::bench
