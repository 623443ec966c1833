// An input of one's own: sets of points in the plane, packed end to end. A row is a point, the mask
// keeps the sets apart, nothing says an order. Is a set a ring or a disc?
#include <cmath>
#include <complex>

#include <fmt/core.h>

#include "qkv/nn/transformer_layers.h"
#include "qkv/ops/loss.h"
#include "qkv/ops/sequence.h"
#include "qkv/train/optimiser.h"
using namespace qkv;
struct Network {
  Linear in, head;
  EncoderLayer layer;
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("in", m.in), visit("layer", m.layer), visit("head", m.head);
  }
  /// Of `count` sets of 5 to 24 points, in turn rings and discs of any size.
  CrossEntropyResult loss(std::uint64_t seed, int count) const {
    Philox random(seed);
    std::vector<std::int64_t> lengths;
    std::vector<std::int32_t> classes;
    std::vector<float> xy;  // of each point, one after the other
    for (int b = 0; b < count; ++b) {
      classes.push_back(b % 2);
      lengths.push_back(5 + static_cast<std::int64_t>(random.below(20)));
      const double size = 0.5 + random.uniform();
      for (std::int64_t n = 0; n < lengths.back(); ++n) {
        const double r = size * (b % 2 == 0 ? 1.0 : std::sqrt(random.uniform()));
        const std::complex<double> point = std::polar(r, 6.2831853 * random.uniform());
        for (const double x : {point.real(), point.imag()}) xy.push_back(static_cast<float>(x));
      }
    }
    const Segments sets(lengths);
    ResidualStream stream(in(Tensor::of(xy, {sets.total(), 2})), NormPlacement::pre, 0.0);
    layer(stream, segments(sets));
    return cross_entropy(segment_mean(stream.finish(LayerNorm{}), sets), head.weight,
                         VocabularyMatrix::projection, head.bias, classes, {.scale = 1.0 / count});
  }
};

int main() {
  Initialiser init(1);
  const LayerConfig layer{.attention = {.width = 32, .heads = 4}, .feed_forward = 64};
  Network model{.in = Linear::make(init, 2, 32), .head = Linear::make(init, 32, 2), .layer = {}};
  model.layer = EncoderLayer::make(init, layer);
  Optimiser optimiser(model, {});
  for (std::uint64_t step = 1; step <= 300; ++step, optimiser.clear_gradients()) {
    Tape tape;
    Tensor loss;
    if (const Recording on(tape, step); true) loss = model.loss(step, 32).loss;
    tape.backward(loss);
    optimiser.step(3e-3);
  }
  const CrossEntropyResult found = model.loss(0, 500);
  fmt::print("rings and discs told apart: {} of {} new ones\n", found.correct, found.tokens);
  return found.correct > 400 ? 0 : 1;
}
