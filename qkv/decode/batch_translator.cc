#include "qkv/decode/batch_translator.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/data/batching.h"
#include "qkv/decode/draw.h"
#include "qkv/decode/score.h"
#include "qkv/tensor/tensor.h"

namespace qkv {
namespace {

// Reports finished sentences, whichever thread finished them.
class Counter {
 public:
  Counter(const ProgressSink& sink, const char* what, std::int64_t total)
      : sink_(sink), what_(what), total_(total) {}

  void add(std::size_t count) {
    if (!sink_) return;
    const std::lock_guard lock(mutex_);
    done_ += static_cast<std::int64_t>(count);
    sink_({.done = done_, .total = total_, .what = what_, .detail = {}});
  }

 private:
  const ProgressSink& sink_;
  const char* what_;
  std::int64_t done_ = 0, total_;
  std::mutex mutex_;
};

// Every batch and every step has its own sizes, and the pool keeps a block of each: beyond this
// much it is given back. Less would be asked for again at once.
constexpr std::int64_t kIdleBytes = std::int64_t{8} << 20;

void give_back_idle_memory() {
  const PoolStatistics pool = pool_statistics();
  if (pool.bytes_held - pool.bytes_in_use <= kIdleBytes) return;
  release_pool();
}

using Batch = std::span<const std::int64_t>;

// Calls work(batch) for all sentences of more than no tokens. Batches are the unit of parallel
// work: a batch that stays on one thread needs no agreement between threads at every product. Only
// a lone batch spreads its products over the threads.
template <class Work>
void in_batches(const BatchTranslatorOptions& options, std::span<const std::int64_t> lengths,
                Counter& counter, Work&& work) {
  std::vector<ExampleLength> examples;
  std::vector<std::int64_t> index;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] == 0) continue;
    index.push_back(static_cast<std::int64_t>(i));
    examples.push_back({.source = lengths[i] + 1, .target = 0});
  }
  counter.add(lengths.size() - index.size());
  // What is in flight at once is shared by the threads; few sentences too.
  const std::int64_t team = threads();
  const auto share = [team](std::int64_t n) { return (n + team - 1) / team; };
  const auto count = static_cast<std::int64_t>(index.size());
  BatchPlan plan =
      plan_by_length(examples, share(options.batch_tokens),
                     std::max<std::int64_t>(1, share(std::min(options.batch_sentences, count))));
  parallel_for(static_cast<std::int64_t>(plan.size()), 1,
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t b = first; b < last; ++b) {
                   auto& batch = plan[static_cast<std::size_t>(b)];
                   for (std::int64_t& i : batch) i = index[static_cast<std::size_t>(i)];
                   work(Batch(batch));
                   give_back_idle_memory();
                   counter.add(batch.size());
                 }
               });
}

std::vector<Decoded> translate_all(const StepModel& model, const BatchTranslatorOptions& options,
                                   std::span<const Tokens> sources, Counter& counter) {
  std::vector<Decoded> results(sources.size());
  std::vector<Tokens> shortened(sources.size());
  std::vector<const Tokens*> read;
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    read.push_back(&sources[i]);
    const std::int64_t excess = static_cast<std::int64_t>(sources[i].size()) - model.max_source();
    if (excess > 0) {
      shortened[i].assign(sources[i].begin(), sources[i].begin() + model.max_source());
      read.back() = &shortened[i];
      results[i].cut = excess;
    }
    lengths.push_back(static_cast<std::int64_t>(read.back()->size()));
    if (read.back()->empty()) results[i].best.emplace_back();
  }
  in_batches(options, lengths, counter, [&](Batch batch) {
    std::vector<const Tokens*> chosen;
    for (std::int64_t i : batch) chosen.push_back(read[static_cast<std::size_t>(i)]);
    auto found = options.sample ? draw(model, chosen, options.search, *options.sample)
                                : search(model, chosen, options.search);
    for (std::size_t j = 0; j < batch.size(); ++j) {
      results[static_cast<std::size_t>(batch[j])].best = std::move(found[j]);
    }
  });
  return results;
}

}  // namespace

BatchTranslator::BatchTranslator(const StepModel& model, BatchTranslatorOptions options)
    : model_(model), options_(std::move(options)) {
  if (options_.sample) {
    options_.sample->check();
    options_.search.beam = std::max(options_.search.beam, options_.search.n_best);  // has none
  }
  options_.search.check(model.vocabulary());
  if (options_.batch_tokens < 1 || options_.batch_sentences < 1 || options_.window < 1) {
    fail("translator: batches of {} tokens and {} sentences, a window of {}: must be positive",
         options_.batch_tokens, options_.batch_sentences, options_.window);
  }
}

std::vector<Decoded> BatchTranslator::translate(std::span<const Tokens> sources,
                                                const ProgressSink& progress) const {
  Counter counter(progress, "translating", static_cast<std::int64_t>(sources.size()));
  return translate_all(model_, options_, sources, counter);
}

std::int64_t BatchTranslator::stream(const SentenceSource& source, const DecodedSink& sink,
                                     const ProgressSink& progress) const {
  Counter counter(progress, "translating", 0);
  std::int64_t answered = 0;
  std::vector<Tokens> window;
  for (bool more = true; more;) {
    window.clear();
    while (static_cast<std::int64_t>(window.size()) < options_.window) {
      if (!window.empty() && source.ready && !source.ready()) break;
      std::optional<Tokens> sentence = source.next();
      more = sentence.has_value();
      if (!more) break;
      window.push_back(std::move(*sentence));
    }
    for (const Decoded& t : translate_all(model_, options_, window, counter)) {
      sink(answered++, t);
    }
  }
  return answered;
}

std::vector<Hypothesis> BatchTranslator::score(std::span<const Tokens> sources,
                                               std::span<const Tokens> targets,
                                               const ProgressSink& progress) const {
  if (sources.size() != targets.size()) {
    fail("score: {} sources but {} targets", sources.size(), targets.size());
  }
  Counter counter(progress, "scoring", static_cast<std::int64_t>(sources.size()));
  std::vector<Hypothesis> results(sources.size());
  std::vector<std::int64_t> lengths;
  // Sorted by the target: batch mates shall end together. An empty one still has its <eos>.
  for (const Tokens& target : targets) {
    lengths.push_back(static_cast<std::int64_t>(target.size()) + 1);
  }
  in_batches(options_, lengths, counter, [&](Batch batch) {
    std::vector<const Tokens*> source, target;
    for (std::int64_t i : batch) {
      source.push_back(&sources[static_cast<std::size_t>(i)]);
      target.push_back(&targets[static_cast<std::size_t>(i)]);
    }
    auto scored = qkv::score(model_, source, target, options_.search);
    for (std::size_t j = 0; j < batch.size(); ++j) {
      results[static_cast<std::size_t>(batch[j])] = std::move(scored[j]);
    }
  });
  return results;
}

}  // namespace qkv
