#include "bench/run/label.h"

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/data/lines.h"
#include "qkv/kernels/peak.h"
#include "qkv/train/labelling.h"

namespace qkv::bench {
namespace {

using Sentences = std::vector<std::vector<std::string>>;

/// Operations of the matrix products and of attention. Looking up, gates, norms and the CRF's
/// search are not counted: they are no products.
double operations(const LabellerModel& model, const Sentences& sentences) {
  const LabelBatch batch = model.batch(sentences);
  const Labeller::Config& c = model.network.config;
  const auto words = static_cast<double>(batch.segments.total());
  const auto pieces = static_cast<double>(batch.pieces.size());
  const auto characters = static_cast<double>(batch.characters.size());
  const auto count = static_cast<double>(batch.segments.count());
  const auto rows_of = [&](std::string_view path) {
    const auto begins = [&](std::string_view with) { return path.rfind(with, 0) == 0; };
    if (begins("character_filters")) return characters;
    if (begins("class") || begins("tags_to_class") || begins("bert.pooler")) return count;
    return begins("bert") ? pieces : words;
  };
  double sum = 0;
  for_each_parameter(model.network, [&](std::string_view path, const Tensor& p) {
    const bool looked_up = path.find("embedding") != path.npos || path == "positions" ||
                           path == "class_token" || path.rfind("crf", 0) == 0;
    if (p.shape().rank() != 2 || looked_up) return;
    sum += 2.0 * rows_of(path) * static_cast<double>(p.count());
  });
  const bool bert = c.encoder == LabelEncoder::bert;
  if (bert || c.encoder == LabelEncoder::attention) {
    const Segments& rows = bert ? batch.piece_segments : batch.segments;
    double pairs = 0;
    for (std::int64_t b = 0; b < rows.count(); ++b) {
      pairs += static_cast<double>(rows.length(b) * rows.length(b));
    }
    sum += 4.0 * pairs * static_cast<double>(c.width) *
           static_cast<double>(bert ? c.bert.num_hidden_layers : c.layers);
  }
  return sum;
}

}  // namespace

Report label(const LabelOptions& o, const Say&) {
  const LabellerModel model = load_labeller_model(o.model);
  LineReader reader(o.file);
  Sentences sentences;
  std::int64_t words = 0;
  for (std::string line; reader.next(line);) {
    sentences.push_back(cut_words(line, model.word_options.cut));
    words += static_cast<std::int64_t>(sentences.back().size());
  }
  if (words == 0) fail("{}: holds no words", o.file);
  const double work = operations(model, sentences);
  std::vector<double> seconds, shares;
  for (int run = 0; run < o.runs + 1; ++run) {
    const double peak = kernels::measure_fma_peak(threads());
    const double taken = seconds_of([&] { (void)label_sentences(model, sentences); });
    if (run == 0) continue;  // memory is taken in the first run
    seconds.push_back(taken);
    shares.push_back(work / taken / peak);
  }
  const double s = median(seconds), rate = static_cast<double>(sentences.size()) / s;
  return {.json = {{"bench", "label"},
                   {"model", o.model},
                   {"threads", threads()},
                   {"sentences", sentences.size()},
                   {"words", words},
                   {"seconds", s},
                   {"fastest", fastest(seconds)},
                   {"sentences_a_second", rate},
                   {"gflop", work / 1e9},
                   {"share_of_fma_peak", median(shares)}},
          .text = fmt::format("label: {} sentences, {} words, {} threads: {:.3f} s, {:.0f} "
                              "sentences/s, {:.1f} % of the FMA peak\n",
                              sentences.size(), words, threads(), s, rate, 100 * median(shares))};
}

}  // namespace qkv::bench
