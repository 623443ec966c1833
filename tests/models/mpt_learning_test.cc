// What an MPT learns shows which way round its positions go.
#include "models/tiny_mpt.h"
#include <gtest/gtest.h>

#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using testing::tiny_mpt;

/// Sequences that count up or down around a circle of seven, from any number on.
MptBatch circles(std::int64_t sequences, std::int64_t length, std::uint64_t seed) {
  MptBatch batch{
      .segments = Segments(std::vector<std::int64_t>(static_cast<std::size_t>(sequences), length))};
  Philox random(seed);
  for (std::int64_t b = 0; b < sequences; ++b) {
    const auto start = static_cast<std::int64_t>(random.uniform(0, 7));
    const std::int64_t step = random.uniform(0, 1) < 0.5 ? 1 : 6;
    for (std::int64_t t = 0; t < length; ++t) {
      batch.ids.push_back(static_cast<std::int32_t>((start + t * step) % 7));
    }
  }
  return batch;
}

double loss_of(const Mpt& m, const MptBatch& batch) {
  const CrossEntropyResult result = m.loss(batch);
  return result.nll_sum / static_cast<double>(result.tokens);
}

/// Plain gradient descent on fresh circles of this length.
Mpt trained(const Mpt::Config& config, std::int64_t length, int steps) {
  struct OneThread {  // nothing here is large enough for two
    int before = threads();
    OneThread() { set_threads(1); }
    ~OneThread() { set_threads(before); }
  } one;
  Mpt m = Mpt::make(1, config);
  for (int step = 0; step < steps; ++step) {
    const MptBatch batch = circles(16, length, static_cast<std::uint64_t>(step));
    Tape tape;
    CrossEntropyResult result;
    {
      const Recording on(tape);
      result = m.loss(batch, {.scale = 1.0 / static_cast<double>(16 * (length - 1))});
    }
    tape.backward(result.loss);
    for_each_parameter(m, [](std::string_view, Tensor& p) {
      const Tensor g = gradient_of(p);
      for (std::int64_t i = 0; i < p.count(); ++i) p.data()[i] -= 0.2f * g.data()[i];
      clear_gradient(p);
      parameter_changed(p);
    });
  }
  return m;
}

// Press et al. 2022: trained short, read long. Which way round shows from the second token on.
TEST(Mpt, AlibiReadsLongerSequencesThanItWasTrainedOn) {
  const MptBatch seen = circles(16, 8, 1'000), longer = circles(16, 32, 1'000);
  for (const bool alibi : {true, false}) {
    Mpt::Config c = tiny_mpt({.alibi = alibi});
    c.n_heads = 4;
    c.n_layers = 1;
    const Mpt m = trained(c, 8, 300);
    EXPECT_GT(loss_of(Mpt::make(1, c), seen), 2.0);
    EXPECT_LT(loss_of(m, seen), 0.3);
    if (alibi) {
      EXPECT_LT(loss_of(m, longer), 0.3);
    } else {
      EXPECT_GT(loss_of(m, longer), 1.0) << "places 8 to 31 were never learned";
    }
  }
}

}  // namespace
}  // namespace qkv
