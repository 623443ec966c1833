#include "bench/run/rnn.h"

#include <fmt/core.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/kernels/peak.h"
#include "qkv/models/rnn_translator.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"
#include "qkv/train/optimiser.h"

namespace qkv::bench {
namespace {

enum PartName : std::size_t { encoder, decoder, vocabulary, update, kParts };
constexpr const char* kPartNames[] = {"encoder", "decoder", "vocabulary", "update"};

TranslationBatch random_batch(const RnnOptions& o, int step) {
  TranslationBatch batch;
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(o.batch), o.length);
  batch.source_segments = batch.target_segments = Segments(lengths);
  Philox random(key_of(9, step));
  for (auto* ids : {&batch.source, &batch.target_in, &batch.target_out}) {
    *ids = random_ids(o.batch * o.length, o.vocabulary, random);
  }
  return batch;
}

/// Seconds for y and the gradients of everything below it, for a gradient of ones above.
template <class F>
double both_ways(F&& f) {
  return seconds_of([&] {
    Tape tape;
    Tensor y;
    {
      const Recording on(tape);
      y = f();
    }
    if (y.count() == 1) {
      tape.backward(y);
    } else {
      tape.backward(y, Tensor::full(y.shape(), 1e-3));
    }
  });
}

struct StepTimes {
  double whole = 0, peak = 0;
  double parts[kParts] = {};
};

StepTimes time_step(RnnTranslator& model, Optimiser& optimiser, const TranslationBatch& batch) {
  const double scale = 1.0 / static_cast<double>(batch.target_out.size());
  StepTimes t;
  t.peak = kernels::measure_fma_peak(threads());
  optimiser.clear_gradients();
  t.whole = both_ways([&] { return model.loss(batch, {.scale = scale}).loss; });
  t.parts[update] = seconds_of([&] { optimiser.step(1e-3); });
  t.whole += t.parts[update];
  optimiser.clear_gradients();
  // The same work in parts; what is above and below a part is given.
  RnnMemory memory = model.encode(batch.source, batch.source_segments);
  t.parts[encoder] = both_ways([&] {
    const RnnMemory m = model.encode(batch.source, batch.source_segments);
    return m.rows;
  });
  memory.rows = parameter(memory.rows.clone());
  t.parts[decoder] =
      both_ways([&] { return model.decode(batch.target_in, batch.target_segments, memory); });
  const Tensor hidden =
      parameter(model.decode(batch.target_in, batch.target_segments, memory).clone());
  t.parts[vocabulary] = both_ways([&] {
    return cross_entropy(hidden, model.output.weight, VocabularyMatrix::projection,
                         model.output.bias, batch.target_out, {.scale = scale})
        .loss;
  });
  return t;
}

std::string text_of(const RnnOptions& o, const Json& r) {
  const auto number = [](const Json& json, const char* name) { return json[name].get<double>(); };
  std::string text = fmt::format(
      "rnn e{} h{}: {:.1f} ms a step, {:.2f} GFLOP of products, {:.1f} ms at the peak of {:.0f} "
      "GFLOP/s ({:.0f} % of it), {} threads\n",
      o.embedding, o.width, 1e3 * number(r, "seconds_a_step"), number(r, "gflop_a_step"),
      1e3 * number(r, "seconds_at_peak"), number(r, "gflops_peak"),
      100 * number(r, "share_of_fma_peak"), threads());
  for (const Json& part : r["parts"]) {
    text += fmt::format("  {:<11}{:8.1f} ms  {:6.2f} GFLOP  {:3.0f} % of the peak\n",
                        part["part"].get<std::string>(), 1e3 * number(part, "seconds"),
                        number(part, "gflop"), 100 * number(part, "share_of_fma_peak"));
  }
  return text;
}

}  // namespace

Report rnn(const RnnOptions& o, const Say&) {
  RnnTranslator model = RnnTranslator::make(1, {.source_vocabulary = o.vocabulary,
                                                .target_vocabulary = o.vocabulary,
                                                .embedding = o.embedding,
                                                .width = o.width,
                                                .layers = 1,
                                                .dropout = 0.0});
  Optimiser optimiser(model, {.clip_norm = 1});
  std::vector<double> whole, peaks, parts[kParts];
  for (int step = -2; step < o.steps; ++step) {
    const StepTimes t = time_step(model, optimiser, random_batch(o, step + 2));
    if (step < 0) continue;
    whole.push_back(t.whole);
    peaks.push_back(t.peak);
    for (std::size_t p = 0; p < kParts; ++p) parts[p].push_back(t.parts[p]);
  }
  const auto t = static_cast<double>(o.batch * o.length), e = static_cast<double>(o.embedding);
  const auto h = static_cast<double>(o.width), v = static_cast<double>(o.vocabulary);
  const double three = 3 * 2 * t;  // forward and twice as many backward, two a multiply-add
  const double work[kParts] = {three * (3 * h * e + 3 * h * h),
                               three * (3 * h * e + 3 * h * h + 3 * h * h + 2 * h * h),
                               three * h * v, 0};
  const double peak = median(peaks), seconds = median(whole);
  const double operations = work[encoder] + work[decoder] + work[vocabulary];
  Report report{.json = {{"bench", "rnn"},
                         {"threads", threads()},
                         {"embedding", o.embedding},
                         {"width", o.width},
                         {"seconds_a_step", seconds},
                         {"fastest", fastest(whole)},
                         {"gflop_a_step", operations / 1e9},
                         {"gflops_peak", peak / 1e9},
                         {"seconds_at_peak", operations / peak},
                         {"share_of_fma_peak", operations / seconds / peak},
                         {"parts", Json::array()},
                         {"parameters", parameter_count(model)}},
                .text = ""};
  for (std::size_t p = 0; p < kParts; ++p) {
    const double s = median(parts[p]);
    report.json["parts"].push_back({{"part", kPartNames[p]},
                                    {"seconds", s},
                                    {"gflop", work[p] / 1e9},
                                    {"share_of_fma_peak", work[p] / s / peak}});
  }
  report.text = text_of(o, report.json);
  return report;
}

}  // namespace qkv::bench
