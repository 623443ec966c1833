// Training a sentence encoder from pairs of texts: a BERT that goes on from other weights, taught
// that the vectors of like texts are alike (models/sentence_losses.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "qkv/data/hold_out.h"
#include "qkv/data/sentence_pairs.h"
#include "qkv/models/sentence_losses.h"
#include "qkv/systems/bert_model.h"
#include "qkv/train/fine_tuning.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a sentence encoder besides the pairs (docs/models.md).
struct EmbeddingRecipe {
  std::string init;                   // directory of the BERT to go on from
  std::optional<TextVector> pooling;  // unset: as that directory says, else the mean
  std::optional<bool> normalise;      // of the vectors it gives in the end; likewise, else not
  std::int64_t max_length = 0;        // tokens of a text; 0: as that directory says
  std::optional<SentenceLoss> loss;   // unset: ranking, of pairs with scores cosent
  double scale = 20;                  // λ, of cosines in a softmax
  std::int64_t batch_pairs = 32;      // each is a negative of all others
  FineTuning tuning;                  // Dense modules stand above the encoder, and learn with it
  TrainOptions train;

  /// Without the lists of `tuning` and `train`.
  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"init", "The BERT to go on from (of qkv, Hugging Face or sentence-transformers)"},
          r.init);
    visit({"pooling", "How states become a vector; default: as --init says, else mean"}, r.pooling);
    visit({"normalise", "The encoder gives vectors of length 1; default: as --init says"},
          r.normalise);
    visit({"max_length", "Tokens of a text, at most; default: as --init says", between(0, 1e9)},
          r.max_length);
    visit({"loss",
           "ranking: texts find their partner in the batch; cosent: the order of scores; cosine: "
           "the scores themselves; default: ranking, with scores cosent"},
          r.loss);
    visit({"scale", "Of cosines, in ranking and cosent", positive()}, r.scale);
    visit({"batch_pairs", "Pairs of a batch", between(1, 1e6)}, r.batch_pairs);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
EmbeddingRecipe embedding_recipe();

/// A BERT without heads, with the recipe's wishes among its settings for sentences. Throws Error
/// when it cannot pool so.
BertModel make_sentence_encoder(const EmbeddingRecipe& recipe, BertModel begin);

/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be. The best model is the one with the highest PairScores::score().
TrainReport train_embedding(const EmbeddingRecipe& recipe, const Split<SentencePairs>& pairs,
                            TrainingRun& run, const TrainWatch& watch);

struct EmbeddingTraining {
  const SentencePairs& train;
  const SentencePairs& valid;
  SentenceLoss loss = SentenceLoss::ranking;
  double scale = 20;
  std::int64_t batch_pairs = 32;
  std::uint64_t seed = 1;
};
/// The task of train() for `model`; both must outlive it. A text is cut into pieces once and for
/// all.
TrainTask embedding_task(BertModel& model, const EmbeddingTraining& training);

}  // namespace qkv
