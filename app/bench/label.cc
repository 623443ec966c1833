// qkv bench label: tagging, classifying and recognising intents.
#include <algorithm>
#include <chrono>

#include "app/bench/bench.h"
#include "app/output.h"
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/data/lines.h"
#include "qkv/kernels/peak.h"
#include "qkv/train/labelling.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;
using Sentences = std::vector<std::vector<std::string>>;

struct BenchLabel {
  std::string model, file;
  int runs = 5;
};

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

void bench_label(const BenchLabel& b, Program& program) {
  const LabellerModel model = load_labeller_model(b.model);
  LineReader reader(b.file);
  Sentences sentences;
  std::int64_t words = 0;
  for (std::string line; reader.next(line);) {
    sentences.push_back(cut_words(line, model.word_options.cut));
    words += static_cast<std::int64_t>(sentences.back().size());
  }
  if (words == 0) fail("{}: holds no words", b.file);
  const double work = operations(model, sentences);
  std::vector<double> seconds, shares;
  for (int run = 0; run < b.runs + 1; ++run) {
    const double peak = kernels::measure_fma_peak(threads());
    const Clock::time_point start = Clock::now();
    (void)label_sentences(model, sentences);
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    if (run == 0) continue;  // memory is taken in the first run
    seconds.push_back(taken);
    shares.push_back(work / taken / peak);
  }
  const double s = median(seconds), rate = static_cast<double>(sentences.size()) / s;
  if (program.json) {
    const nlohmann::json result = {{"bench", "label"},
                                   {"model", b.model},
                                   {"threads", threads()},
                                   {"sentences", sentences.size()},
                                   {"words", words},
                                   {"seconds", s},
                                   {"fastest", *std::min_element(seconds.begin(), seconds.end())},
                                   {"sentences_a_second", rate},
                                   {"gflop", work / 1e9},
                                   {"share_of_fma_peak", median(shares)}};
    print_output("{}\n", result.dump());
  } else {
    print_output(
        "label: {} sentences, {} words, {} threads: {:.3f} s, {:.0f} sentences/s, {:.1f} % of the "
        "FMA peak\n",
        sentences.size(), words, threads(), s, rate, 100 * median(shares));
  }
}

}  // namespace

void add_bench_label(CLI::App& bench, Program& program) {
  auto b = std::make_shared<BenchLabel>();
  CLI::App* c = bench.add_subcommand(
      "label", "Tagging and classifying; loading and cutting into words are not timed");
  c->add_option("--model", b->model, "Model directory of a tagger or classifier")->required();
  c->add_option("file", b->file, "Text, a sentence a line")->required();
  c->add_option("--runs", b->runs, "Runs measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    bench_label(*b, program);
  });
}

}  // namespace qkv::app
