// A model small enough to be searched exhaustively: the next-token probabilities of a prefix are a
// softmax over numbers drawn from a hash of source and prefix.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "qkv/base/random.h"
#include "qkv/decode/step_model.h"

namespace qkv::test {

struct ToyModel final : StepModel {
  std::int64_t words = 5;
  double sharpness = 2.0;
  double eos_bonus = 0.0;
  std::int64_t longest = 100;
  mutable std::int64_t rows_computed = 0;

  std::int64_t vocabulary() const override { return words; }
  std::int64_t max_source() const override { return longest; }
  std::int64_t max_target() const override { return longest; }

  std::vector<float> log_probabilities(const Tokens& source, const Tokens& prefix) const {
    std::uint64_t hash = 17;
    for (std::int32_t id : source) hash = mix(hash, static_cast<std::uint64_t>(id));
    hash = mix(hash, 1000);
    for (std::int32_t id : prefix) hash = mix(hash, static_cast<std::uint64_t>(id));
    std::vector<double> logits;
    double sum = 0;
    for (std::int64_t v = 0; v < words; ++v) {
      const std::uint64_t bits = mix(hash, static_cast<std::uint64_t>(v));
      logits.push_back(sharpness * static_cast<double>(bits >> 11) * 0x1p-53 +
                       (v == 2 ? eos_bonus : 0.0));
      sum += std::exp(logits.back());
    }
    std::vector<float> result;
    for (double z : logits) result.push_back(static_cast<float>(z - std::log(sum)));
    return result;
  }

  struct State final : StepState {
    const ToyModel* model = nullptr;
    std::vector<Tokens> sources;
    struct Row {
      std::size_t source;
      Tokens prefix;
    };
    std::vector<Row> rows;
    std::vector<float> look;

    void advance(std::span<const std::int32_t> parents,
                 std::span<const std::int32_t> tokens) override {
      std::vector<Row> next;
      for (std::size_t r = 0; r < parents.size(); ++r) {
        const auto parent = static_cast<std::size_t>(parents[r]);
        next.push_back(rows.empty() ? Row{parent, {}} : rows.at(parent));
        next.back().prefix.push_back(tokens[r]);
      }
      rows = std::move(next);
      model->rows_computed += static_cast<std::int64_t>(rows.size());
    }

    void choose(const Choice& choice, std::int32_t* ids, float* scores) override {
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const auto all = model->log_probabilities(sources[rows[r].source], rows[r].prefix);
        std::vector<std::int32_t> order(all.size());
        std::iota(order.begin(), order.end(), 0);
        std::ranges::stable_sort(order, std::greater<>(), [&](std::int32_t id) {
          return all[static_cast<std::size_t>(id)];
        });
        std::erase_if(order, [&](std::int32_t id) {
          return std::ranges::find(choice.suppressed, id) != choice.suppressed.end();
        });
        if (!choice.forced.empty() && choice.forced[r] >= 0) order = {choice.forced[r]};
        for (std::size_t c = 0; c < static_cast<std::size_t>(choice.count); ++c) {
          *ids++ = c < order.size() ? order[c] : -1;
          *scores++ = c < order.size() ? all[static_cast<std::size_t>(order[c])] : 0.0f;
        }
      }
    }

    Tensor logits() override {
      Tensor z = Tensor::empty({static_cast<std::int64_t>(rows.size()), model->words});
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const auto all = model->log_probabilities(sources[rows[r].source], rows[r].prefix);
        std::ranges::copy(all, z.data() + static_cast<std::int64_t>(r) * model->words);
      }
      return z;
    }

    // The row looks at source token `last token mod length`: recognisable in the results.
    std::span<const float> attention(std::int64_t r) const override {
      const Row& row = rows[static_cast<std::size_t>(r)];
      auto& out = const_cast<State*>(this)->look;
      out.assign(sources[row.source].size() + 1, 0.0f);
      out[static_cast<std::size_t>(row.prefix.back()) % out.size()] = 1.0f;
      return out;
    }
  };

  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources, bool) const override {
    auto state = std::make_unique<State>();
    state->model = this;
    for (const Tokens* source : sources) state->sources.push_back(*source);
    return state;
  }

 private:
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t x = a * 0x9E3779B97F4A7C15u + b + 0x7F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  }
};

}  // namespace qkv::test
