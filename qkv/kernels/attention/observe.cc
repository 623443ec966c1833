#include "qkv/kernels/attention/observe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/base/parallel.h"

namespace qkv::kernels {
namespace {

/// One row of attention: the keys it sees, their scores, then their weights.
struct Row {
  std::vector<std::int64_t> keys;
  std::vector<double> scores, weights;
  double top = -std::numeric_limits<double>::infinity();
  double lse = -std::numeric_limits<double>::infinity();

  void read(const AttendObserved& a, std::int64_t i, std::int64_t head) {
    keys.clear();
    scores.clear();
    const float* q = a.q + (i * a.heads + head) * a.dim;
    const std::int64_t kv_head = head / (a.heads / a.kv_heads);
    const auto row = static_cast<std::size_t>(i);
    for (std::int64_t x = a.plan->row_offsets[row]; x < a.plan->row_offsets[row + 1]; ++x) {
      const Interval seen = a.plan->intervals[static_cast<std::size_t>(x)];
      for (std::int64_t j = seen.begin; j < seen.end; ++j) {
        const float* k = a.k + (j * a.kv_heads + kv_head) * a.dim;
        double sum = 0;
        for (std::int64_t d = 0; d < a.dim; ++d) {
          sum += static_cast<double>(q[d]) * static_cast<double>(k[d]);
        }
        keys.push_back(j);
        scores.push_back(a.scale * sum);
      }
    }
    top = lse = -std::numeric_limits<double>::infinity();
    weights.resize(scores.size());
    if (scores.empty()) return;
    top = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double s : scores) sum += std::exp(s - top);
    lse = top + std::log(sum);
    for (std::size_t n = 0; n < scores.size(); ++n) weights[n] = std::exp(scores[n] - lse);
  }
};

void write_strongest(const Row& row, std::int64_t count, std::vector<std::size_t>& order,
                     std::int32_t* keys, float* weights) {
  order.resize(row.keys.size());
  for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
  const auto kept = std::min(order.size(), static_cast<std::size_t>(count));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    [&](std::size_t x, std::size_t y) {
                      return row.weights[x] != row.weights[y] ? row.weights[x] > row.weights[y]
                                                              : x < y;
                    });
  for (std::size_t n = 0; n < static_cast<std::size_t>(count); ++n) {
    if (keys) keys[n] = n < kept ? static_cast<std::int32_t>(row.keys[order[n]]) : -1;
    if (weights) weights[n] = n < kept ? static_cast<float>(row.weights[order[n]]) : 0.0f;
  }
}

}  // namespace

void attend_weights(const AttendObserved& a, std::int64_t head, std::int64_t first,
                    std::int64_t last, float* weights) {
  parallel_for(last - first, 16, [&](std::int64_t begin, std::int64_t end) {
    Row row;
    for (std::int64_t r = begin; r < end; ++r) {
      row.read(a, first + r, head);
      float* out = weights + r * a.plan->keys;
      std::fill_n(out, a.plan->keys, 0.0f);
      for (std::size_t n = 0; n < row.keys.size(); ++n) {
        out[row.keys[n]] = static_cast<float>(row.weights[n]);
      }
    }
  });
}

void attend_summary(const AttendObserved& a, const AttendSummary& s) {
  // A head is one task: what its keys receive is summed over the rows in order.
  parallel_for(a.heads, 1, [&](std::int64_t head, std::int64_t) {
    Row row;
    std::vector<std::size_t> order;
    std::vector<double> received(static_cast<std::size_t>(s.received ? a.plan->keys : 0), 0.0);
    for (std::int64_t i = 0; i < a.plan->queries; ++i) {
      const std::int64_t at = i * a.heads + head;
      row.read(a, i, head);
      double mean = 0;  // Σ p·S, over visible weights: 0 · −inf must not arise
      for (std::size_t n = 0; n < row.keys.size(); ++n) {
        if (row.weights[n] > 0) mean += row.weights[n] * row.scores[n];
        if (s.received) received[static_cast<std::size_t>(row.keys[n])] += row.weights[n];
      }
      if (s.entropy) {
        s.entropy[at] = row.keys.empty() ? 0.0f : static_cast<float>(std::max(0.0, row.lse - mean));
      }
      if (s.max_logit) s.max_logit[at] = static_cast<float>(row.top);
      if (s.lse) s.lse[at] = static_cast<float>(row.lse);
      if (s.top > 0) {
        write_strongest(row, s.top, order, s.top_keys ? s.top_keys + at * s.top : nullptr,
                        s.top_weights ? s.top_weights + at * s.top : nullptr);
      }
    }
    for (std::size_t j = 0; j < received.size(); ++j) {
      s.received[static_cast<std::int64_t>(j) * a.heads + head] = static_cast<float>(received[j]);
    }
  });
}

}  // namespace qkv::kernels
