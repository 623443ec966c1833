#include "qkv/data/batching.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

const ExampleLength& at(std::span<const ExampleLength> lengths, std::int64_t i) {
  return lengths[static_cast<std::size_t>(i)];
}

std::vector<std::int64_t> all_of(std::span<const ExampleLength> lengths) {
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

// Sorts by target, then source; equal examples stay in their order.
void sort_by_length(std::span<std::int64_t> order, std::span<const ExampleLength> lengths,
                    bool longest_first) {
  std::stable_sort(order.begin(), order.end(), [=](std::int64_t a, std::int64_t b) {
    const ExampleLength& x = at(lengths, longest_first ? b : a);
    const ExampleLength& y = at(lengths, longest_first ? a : b);
    return std::pair(x.target, x.source) < std::pair(y.target, y.source);
  });
}

// Cuts an order into batches: the current one ends where the next example would not fit.
BatchPlan cut(std::span<const std::int64_t> order, std::span<const ExampleLength> lengths,
              std::int64_t max_tokens, std::int64_t max_examples) {
  if (max_tokens < 1) fail("batches: max_tokens is {}, must be at least 1", max_tokens);
  BatchPlan plan;
  ExampleLength sum;
  for (const std::int64_t i : order) {
    const ExampleLength& length = at(lengths, i);
    if (length.source < 0 || length.target < 0) fail("batches: example {} has length < 0", i);
    const bool full =
        plan.empty() || sum.source + length.source > max_tokens ||
        sum.target + length.target > max_tokens ||
        (max_examples > 0 && static_cast<std::int64_t>(plan.back().size()) >= max_examples);
    if (full) {
      plan.emplace_back();
      sum = {};
    }
    plan.back().push_back(i);
    sum.source += length.source;
    sum.target += length.target;
  }
  return plan;
}

}  // namespace

BatchPlan plan_epoch(std::span<const ExampleLength> lengths, const BatchOptions& options,
                     std::int64_t epoch) {
  Philox random(key_of(options.seed, hash_name("batches"), epoch));
  std::vector<std::int64_t> order = all_of(lengths);
  shuffle(std::span<std::int64_t>(order), random);
  if (options.bucket <= 1) return cut(order, lengths, options.max_tokens, options.max_examples);

  const auto bucket = static_cast<std::size_t>(options.bucket);
  for (std::size_t begin = 0; begin < order.size(); begin += bucket) {
    const std::size_t size = std::min(bucket, order.size() - begin);
    sort_by_length(std::span(order).subspan(begin, size), lengths, false);
  }
  BatchPlan plan = cut(order, lengths, options.max_tokens, options.max_examples);
  shuffle(std::span<std::vector<std::int64_t>>(plan), random);
  return plan;
}

BatchPlan plan_in_order(std::span<const ExampleLength> lengths, std::int64_t max_tokens,
                        std::int64_t max_examples) {
  return cut(all_of(lengths), lengths, max_tokens, max_examples);
}

BatchPlan plan_by_length(std::span<const ExampleLength> lengths, std::int64_t max_tokens,
                         std::int64_t max_examples) {
  std::vector<std::int64_t> order = all_of(lengths);
  sort_by_length(order, lengths, true);
  return cut(order, lengths, max_tokens, max_examples);
}

}  // namespace qkv
