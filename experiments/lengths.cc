#include "experiments/lengths.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/decode/rnn_decoder.h"
#include "qkv/decode/search.h"
#include "qkv/train/optimiser.h"
#include "qkv/train/schedule.h"

namespace qkv {
namespace {

constexpr std::int32_t kBos = 1, kEos = 2, kFirst = 3;
// Sequences to learn from and to be tried on are drawn from streams of their own.
constexpr std::uint64_t kTraining = 1, kTrial = 2;

Tokens draw(Philox& random, const LengthTask& task, std::int64_t length) {
  Tokens symbols(static_cast<std::size_t>(length));
  for (std::int32_t& id : symbols) {
    id = kFirst + static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(task.symbols)));
  }
  return symbols;
}

Tokens answer(const LengthTask& task, const Tokens& symbols) {
  return task.copy ? symbols : Tokens(symbols.rbegin(), symbols.rend());
}

TranslationBatch batch_of(const LengthTask& task, std::int64_t count, std::uint64_t key) {
  Philox random(key);
  TranslationBatch b;
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto span = static_cast<std::uint64_t>(task.longest - task.shortest + 1);
    const auto length = task.shortest + static_cast<std::int64_t>(random.below(span));
    const Tokens source = draw(random, task, length), target = answer(task, source);
    b.source.insert(b.source.end(), source.begin(), source.end());
    b.source.push_back(kEos);
    b.target_in.push_back(kBos);
    b.target_in.insert(b.target_in.end(), target.begin(), target.end());
    b.target_out.insert(b.target_out.end(), target.begin(), target.end());
    b.target_out.push_back(kEos);
    lengths.push_back(length + 1);
  }
  b.source_segments = b.target_segments = Segments(lengths);
  return b;
}

/// Σ over the steps of Σ_j a_j·|j − where the step's symbol stands|, and the number of steps.
struct Distance {
  double sum = 0, steps = 0;

  void add(const Hypothesis& h, std::int64_t length, bool copy) {
    const std::int64_t rows = std::min(length, static_cast<std::int64_t>(h.tokens.size()));
    for (std::int64_t t = 0; t < rows; ++t) {
      const std::int64_t place = copy ? t : length - 1 - t;
      double all = 0, away = 0;
      for (std::int64_t j = 0; j < h.sources; ++j) {
        const auto weight =
            static_cast<double>(h.attention[static_cast<std::size_t>(t * h.sources + j)]);
        all += weight;
        away += weight * static_cast<double>(std::abs(j - place));
      }
      if (all <= 0) continue;  // a window that holds nothing
      sum += away / all;
      steps += 1;
    }
  }
  double mean() const { return steps > 0 ? sum / steps : std::numeric_limits<double>::quiet_NaN(); }
};

}  // namespace

void LengthTask::check() const {
  if (symbols < 2 || symbols > 1'000'000) fail("lengths: {} symbols, must be at least 2", symbols);
  if (shortest < 1 || longest < shortest || longest > 1000) {
    fail("lengths: from {} to {}, must be 1 ≤ shortest ≤ longest ≤ 1000", shortest, longest);
  }
}

RnnTranslator train_on_lengths(RnnTranslator::Config config, const LengthTask& task,
                               const LengthTraining& training, const ProgressSink& progress) {
  task.check();
  if (training.steps < 1 || training.batch < 1 || !(training.rate > 0)) {
    fail("lengths: {} steps of {} sequences at rate {}, must be positive", training.steps,
         training.batch, training.rate);
  }
  config.source_vocabulary = config.target_vocabulary = task.vocabulary();
  RnnTranslator model = RnnTranslator::make(training.seed, config);
  Optimiser optimiser(model, {.clip_norm = 1});
  const Schedule schedule{.kind = Schedule::Kind::cosine,
                          .rate = training.rate,
                          .warm_up = std::min<std::int64_t>(100, training.steps / 10),
                          .steps = training.steps};
  for (std::int64_t s = 1; s <= training.steps; ++s) {
    const std::uint64_t key = key_of(training.seed, kTraining, static_cast<std::uint64_t>(s));
    const TranslationBatch batch = batch_of(task, training.batch, key);
    optimiser.clear_gradients();
    Tape tape;
    CrossEntropyResult result;
    {
      const Recording on(tape, key);
      result = model.loss(batch, {.scale = 1.0 / static_cast<double>(batch.target_out.size())});
    }
    tape.backward(result.loss);
    optimiser.step(schedule.at(s));
    if (progress) {
      progress({.done = s,
                .total = training.steps,
                .what = "step",
                .detail = fmt::format("loss {:.3f}",
                                      result.loss_sum / static_cast<double>(result.tokens))});
    }
  }
  return model;
}

std::vector<LengthScore> score_lengths(const RnnTranslator& model, const LengthTask& task,
                                       std::int64_t first, std::int64_t last, std::int64_t step,
                                       std::int64_t sequences, std::uint64_t seed) {
  task.check();
  if (first < 1 || last < first || step < 1 || sequences < 1) {
    fail("lengths: trials from {} to {} by {}, {} each", first, last, step, sequences);
  }
  const RnnDecoder decoder(model, kEos);
  std::vector<LengthScore> scores;
  for (std::int64_t length = first; length <= last; length += step) {
    Philox random(key_of(seed, kTrial, static_cast<std::uint64_t>(length)));
    std::vector<Tokens> sources;
    for (std::int64_t i = 0; i < sequences; ++i) sources.push_back(draw(random, task, length));
    const auto found = search(decoder, sources,
                              {.beam = 1,
                               .bos = kBos,
                               .eos = kEos,
                               .suppressed = {0, kBos},
                               .attention = model.config.attends()});
    std::int64_t exact = 0, right = 0;
    Distance distance;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const Tokens want = answer(task, sources[i]), &got = found[i][0].tokens;
      exact += got == want;
      for (std::size_t t = 0; t < std::min(got.size(), want.size()); ++t) {
        right += got[t] == want[t];
      }
      if (model.config.attends()) distance.add(found[i][0], length, task.copy);
    }
    const auto share = [&](std::int64_t n, std::int64_t of) {
      return static_cast<double>(n) / static_cast<double>(of);
    };
    scores.push_back({.length = length,
                      .exact = share(exact, sequences),
                      .symbols = share(right, sequences * length),
                      .distance = distance.mean()});
  }
  return scores;
}

}  // namespace qkv
