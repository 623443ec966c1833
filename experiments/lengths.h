// The experiment that attention was invented for: sequences of symbols to be written backwards (or
// copied), learnt from short ones and tried on longer ones. A model with one fixed vector loses
// more of a sequence the longer it is; one that attends looks up what it needs, and its weights lie
// on the anti-diagonal (on the diagonal for copies).
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/base/progress.h"
#include "qkv/models/rnn_translator.h"

namespace qkv {

struct LengthTask {
  std::int64_t symbols = 20;
  std::int64_t shortest = 5, longest = 20;  // of the training sequences
  bool copy = false;                        // instead of reversing

  /// Throws with the field's name when a value makes no task.
  void check() const;
  std::int64_t vocabulary() const { return 3 + symbols; }  // <pad>, <bos>, <eos> come first
};

struct LengthTraining {
  std::int64_t steps = 3000;
  std::int64_t batch = 32;  // sequences
  double rate = 5e-3;       // falls to 0 along half a cosine
  std::uint64_t seed = 1;   // of weights and sequences
};

/// Trains a model from the seed's weights; sizes of the vocabularies are set here. The same bits
/// for any number of threads.
RnnTranslator train_on_lengths(RnnTranslator::Config config, const LengthTask& task,
                               const LengthTraining& training, const ProgressSink& progress = {});

/// How a model does at one length, over sequences that training did not see.
struct LengthScore {
  std::int64_t length = 0;
  double exact = 0;    // share of the sequences that come out right as a whole
  double symbols = 0;  // share of the places that hold the right symbol
  /// Mean distance of the attention, in symbols, from where it belongs; NaN for a model without
  /// attention. Weights spread evenly over n symbols give about n/3.
  double distance = 0;
};
std::vector<LengthScore> score_lengths(const RnnTranslator& model, const LengthTask& task,
                                       std::int64_t first, std::int64_t last, std::int64_t step,
                                       std::int64_t sequences, std::uint64_t seed);

}  // namespace qkv
