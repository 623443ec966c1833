#include "qkv/train/vectors.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "qkv/base/error.h"

namespace qkv {

namespace {

constexpr std::int64_t kLongestSentence = 1000;  // as in word2vec.c; longer lines are cut into such
constexpr std::int64_t kMeasureEvery = 64;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The pass over the corpus, place by place.
class VectorRun {
 public:
  VectorRun(VectorNetwork& model, const VectorCorpus& corpus, const VectorOptions& options,
            const ProgressSink& progress)
      : model_(model),
        corpus_(corpus),
        options_(options),
        progress_(progress),
        targets_(vector_targets(model.config, corpus.counts, options.negatives)),
        step_(model, targets_) {
    // word2vec.c begins with 1; a seed of 1 does so, too.
    random_.state = options.seed;
    start_ =
        options.rate > 0 ? options.rate : (model.config.task == VectorTask::cbow ? 0.05 : 0.025);
    total_ = static_cast<std::int64_t>(corpus.ids.size());
    for (const std::int64_t count : corpus.counts) {
      keep_.push_back(options.sample > 0 ? keep_probability(count, total_, options.sample) : 1.0);
    }
  }

  VectorReport run() {
    const auto began = std::chrono::steady_clock::now();
    for (std::int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
      loss_ = 0;
      measured_ = 0;
      for (std::size_t s = 0; s + 1 < corpus_.sentences.size(); ++s) {
        for (std::int64_t begin = corpus_.sentences[s]; begin < corpus_.sentences[s + 1];
             begin += kLongestSentence) {
          sentence(begin, std::min(begin + kLongestSentence, corpus_.sentences[s + 1]));
        }
      }
    }
    report_.loss = measured_ > 0 ? loss_ / static_cast<double>(measured_) : 0.0;
    report_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return report_;
  }

 private:
  void sentence(std::int64_t begin, std::int64_t end) {
    const double share =
        static_cast<double>(report_.words) / static_cast<double>(options_.epochs * total_ + 1);
    const auto rate = static_cast<float>(start_ * std::max(1.0 - share, 1e-4));
    words_.clear();
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int32_t word = corpus_.ids[at(t)];
      if (keep_[at(word)] >= 1.0 || random_.uniform() < keep_[at(word)]) words_.push_back(word);
    }
    for (std::int64_t t = 0; t < static_cast<std::int64_t>(words_.size()); ++t) place(t, rate);
    report_.words += end - begin;
    if (!std::isfinite(loss_)) {
      fail<NumericError>("word vectors: the loss is {} after {} words; lower the rate", loss_,
                         report_.words);
    }
    if (progress_) {
      progress_({.done = report_.words,
                 .total = options_.epochs * total_,
                 .what = "words",
                 .detail = fmt::format("loss {:.3f}  rate {:.4f}",
                                       measured_ > 0 ? loss_ / static_cast<double>(measured_) : 0.0,
                                       rate)});
    }
  }

  void place(std::int64_t t, float rate) {
    const auto size = static_cast<std::int64_t>(words_.size());
    const std::int64_t side =
        options_.window -
        static_cast<std::int64_t>(random_.bits() % static_cast<std::uint64_t>(options_.window));
    context_.clear();
    for (std::int64_t c = std::max<std::int64_t>(t - side, 0); c <= std::min(t + side, size - 1);
         ++c) {
      if (c != t) context_.push_back(words_[at(c)]);
    }
    if (model_.config.task == VectorTask::cbow) {
      if (!context_.empty()) example(context_, words_[at(t)], rate);
      return;
    }
    for (const std::int32_t& word : context_) example({&word, 1}, words_[at(t)], rate);
  }

  void example(std::span<const std::int32_t> context, std::int32_t word, float rate) {
    const bool measure = report_.examples++ % kMeasureEvery == 0;
    loss_ += step_(context, word, rate, random_, measure);
    measured_ += measure;
  }

  VectorNetwork& model_;
  const VectorCorpus& corpus_;
  const VectorOptions& options_;
  const ProgressSink& progress_;
  VectorTargets targets_;
  VectorStep step_;
  LinearCongruence random_;
  VectorReport report_;
  std::vector<double> keep_;
  std::vector<std::int32_t> words_, context_;
  double start_ = 0, loss_ = 0;
  std::int64_t total_ = 0, measured_ = 0;
};

}  // namespace

double keep_probability(std::int64_t count, std::int64_t total, double sample) {
  const double expected = sample * static_cast<double>(total), c = static_cast<double>(count);
  return std::min(1.0, (std::sqrt(c / expected) + 1) * expected / c);
}

VectorReport train_vectors(VectorNetwork& model, const VectorCorpus& corpus,
                           const VectorOptions& options, const ProgressSink& progress) {
  check_ranges(options);
  VectorReport report = VectorRun(model, corpus, options, progress).run();
  for (const Tensor& table : {model.input, model.output}) parameter_changed(table);
  return report;
}

}  // namespace qkv
