// A training step of a GRU translator with Bahdanau attention at the shapes of
// bench/peers/torch_rnn.py, and where its time goes.
#pragma once

#include "bench/run/bench.h"

namespace qkv::bench {

struct RnnOptions {
  std::int64_t vocabulary = 10000, embedding = 256, width = 512, batch = 64, length = 14;
  int steps = 5;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"vocabulary", "Words on either side", between(8, 1e6)}, o.vocabulary);
    visit({"embedding", "Width of the embeddings", side_bounds()}, o.embedding);
    visit({"width", "Width of the cells", side_bounds()}, o.width);
    visit({"batch", "Sentences", between(1, 1e6)}, o.batch);
    visit({"length", "Tokens a sentence, both sides", between(1, 1000)}, o.length);
    visit({"steps", "Steps measured", runs_bounds()}, o.steps);
  }
};
Report rnn(const RnnOptions& options, const Say& say);

}  // namespace qkv::bench
