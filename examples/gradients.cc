// Training by hand: a tape, a loss, an optimiser. Learns to attend to the key that equals the
// query.
#include <fmt/core.h>

#include "qkv/attention/attend.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/loss.h"
#include "qkv/ops/shape.h"
#include "qkv/train/optimiser.h"

using namespace qkv;

struct Finder {  // a module is an aggregate with one list of its members
  Linear query, key, value, output;
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("query", m.query);
    visit("key", m.key);
    visit("value", m.value);
    visit("output", m.output);
  }
};

int main() {
  constexpr std::int64_t kSymbols = 8, kWidth = 16;
  Initialiser init(1);
  Finder model{Linear::make(init, kSymbols, kWidth), Linear::make(init, kSymbols, kWidth),
               Linear::make(init, kSymbols, kWidth), Linear::make(init, kWidth, kSymbols)};
  Optimiser optimiser(model, {});
  Tensor symbols = Tensor::zeros({kSymbols, kSymbols});  // one-hot rows
  std::vector<std::int32_t> wanted;
  for (std::int64_t i = 0; i < kSymbols; ++i) {
    symbols.data()[i * kSymbols + i] = 1;
    wanted.push_back(static_cast<std::int32_t>(i));
  }
  for (int step = 1; step <= 200; ++step) {
    optimiser.clear_gradients();
    Tape tape;
    CrossEntropyResult result;
    {
      const Recording on(tape);
      const auto head = [&](const Linear& f) { return reshape(f(symbols), {kSymbols, 1, kWidth}); };
      const Tensor found = attend(head(model.query), head(model.key), head(model.value));
      result = cross_entropy(reshape(found, {kSymbols, kWidth}), model.output.weight,
                             VocabularyMatrix::projection, model.output.bias, wanted,
                             {.scale = 1.0 / kSymbols});
    }
    tape.backward(result.loss);
    optimiser.step(0.01);
    if (step % 50 == 0) {
      fmt::print("step {:3}  loss {:.4f}  right {}/{}\n", step, result.loss.item(), result.correct,
                 result.tokens);
    }
  }
}
