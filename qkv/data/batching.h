// Which examples make up which batch. Batches are packed, never padded, so a budget of tokens is
// all that counts. A plan is a pure function of lengths, options and epoch: a run that stopped at
// (epoch, batch) finds the very same batches again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qkv {

/// Tokens of one example as the model will see them (with bos or eos where these are added).
/// Tasks with one side leave target 0.
struct ExampleLength {
  std::int64_t source = 0;
  std::int64_t target = 0;
};

struct BatchOptions {
  std::int64_t max_tokens = 4096;  // neither the source nor the target tokens of a batch exceed it
  std::int64_t max_examples = 0;   // 0: no limit
  std::uint64_t seed = 1;
  // Examples of like length share a batch: within every `bucket` shuffled examples they are sorted
  // by length, and the batches shuffled again. 0 or 1 leaves batches fully random, which trains
  // best; packing loses nothing by it.
  std::int64_t bucket = 0;
};

using BatchPlan = std::vector<std::vector<std::int64_t>>;  // indices of examples, by batch

/// One pass in random order: each example exactly once. An example above the budget gets a batch of
/// its own. Throws Error when max_tokens < 1 or a length is negative.
BatchPlan plan_epoch(std::span<const ExampleLength> lengths, const BatchOptions& options,
                     std::int64_t epoch);

/// The same budget, examples in their order: for validation and for answering a stream in order.
BatchPlan plan_in_order(std::span<const ExampleLength> lengths, std::int64_t max_tokens,
                        std::int64_t max_examples = 0);

/// Longest first, ties in their order: for decoding, where batch mates should end together.
BatchPlan plan_by_length(std::span<const ExampleLength> lengths, std::int64_t max_tokens,
                         std::int64_t max_examples = 0);

}  // namespace qkv
