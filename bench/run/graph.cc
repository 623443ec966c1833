#include "bench/run/graph.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/nn/graph_attention.h"
#include "qkv/tensor/tensor.h"

namespace qkv::bench {
namespace {

/// A line of /proc/self/status in bytes; 0 where the system does not tell.
double status_bytes(std::string_view name) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    double kilobytes = 0;
    if (word == name && file >> kilobytes) return 1024 * kilobytes;
  }
  return 0;
}

/// How far the process grows while `run` runs, over what it holds before, and for how long.
struct Grown {
  double seconds = 0, bytes = 0;
};
template <class Run>
Grown grown(Run&& run) {
  release_pool();
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const double before = status_bytes("VmRSS:");
  const double seconds = seconds_of(run);
  return {seconds, std::max(0.0, status_bytes("VmHWM:") - before)};
}

/// Every node sees itself and `degree` others at random.
Mask random_graph(std::int64_t nodes, std::int64_t degree) {
  Philox random(1);
  std::vector<std::vector<std::int64_t>> lists(static_cast<std::size_t>(nodes));
  for (std::int64_t i = 0; i < nodes; ++i) {
    auto& keys = lists[static_cast<std::size_t>(i)];
    keys.push_back(i);
    for (std::int64_t n = 0; n < degree; ++n) {
      keys.push_back(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(nodes))));
    }
  }
  return qkv::graph(lists);
}

struct Result {
  double forward = 0, both = 0;  // seconds
  double bytes = 0;              // of both, at most, over those before them
};

Result measure(const GraphOptions& o, std::int64_t nodes, GraphAttention::Match match) {
  Initialiser init(1);
  const GraphAttention layer = GraphAttention::make(
      init, {.features = o.features, .heads = o.heads, .width = o.width, .match = match});
  const Mask mask = random_graph(nodes, o.degree);
  const Tensor x = parameter(random_numbers({nodes, o.features}, 2));
  const Tensor above = random_numbers({nodes, o.heads * o.width}, 3);
  (void)layer(x, mask);  // compiles the mask
  Result r;
  std::vector<double> forward, both;
  for (int run = 0; run < o.runs; ++run) {
    forward.push_back(seconds_of([&] { (void)layer(x, mask); }));
    const Grown g = grown([&] {
      Tape tape;
      Tensor out;
      {
        const Recording on(tape);
        out = layer(x, mask);
      }
      tape.backward(out, above);
    });
    both.push_back(g.seconds);
    r.bytes = std::max(r.bytes, g.bytes);
    for_each_parameter(layer, [](std::string_view, const Tensor& p) { clear_gradient(p); });
    clear_gradient(x);
  }
  r.forward = median(forward);
  r.both = median(both);
  return r;
}

}  // namespace

Report graph(const GraphOptions& o, const Say& say) {
  Report report{.json = {{"bench", "graph"}, {"threads", threads()}, {"cases", Json::array()}},
                .text = ""};
  for (const auto match : {GraphAttention::Match::gat, GraphAttention::Match::gatv2}) {
    for (const std::int64_t part : {16, 4, 1}) {
      const std::int64_t nodes = std::max<std::int64_t>(1, o.edges / part / o.degree);
      const auto edges = static_cast<double>(nodes * o.degree);
      const Result r = measure(o, nodes, match);
      const std::string line = fmt::format(
          "{} {} nodes, {:.0f} edges: forward {:.1f} ms ({:.1f} ns an edge), forward and backward "
          "{:.1f} ms ({:.1f} ns), {:.0f} bytes an edge\n",
          name_of(match), nodes, edges, 1e3 * r.forward, 1e9 * r.forward / edges, 1e3 * r.both,
          1e9 * r.both / edges, r.bytes / edges);
      say(line.substr(0, line.size() - 1));
      report.text += line;
      report.json["cases"].push_back({{"layer", name_of(match)},
                                      {"nodes", nodes},
                                      {"edges", edges},
                                      {"forward_seconds", r.forward},
                                      {"forward_backward_seconds", r.both},
                                      {"bytes_an_edge", r.bytes / edges}});
    }
  }
  return report;
}

}  // namespace qkv::bench
