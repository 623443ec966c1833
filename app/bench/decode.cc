// qkv bench decode: translating, without loading and tokenising, as a share of the FMA peak.
#include <algorithm>
#include <atomic>
#include <chrono>

#include "app/bench/bench.h"
#include "app/output.h"
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/data/lines.h"
#include "qkv/decode/batch_translator.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/kernels/peak.h"
#include "qkv/train/translation.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

/// Counts how many rows go through the decoder.
class CountedModel final : public StepModel {
 public:
  explicit CountedModel(const StepModel& model) : model_(model) {}
  std::int64_t vocabulary() const override { return model_.vocabulary(); }
  bool reads_sources() const override { return model_.reads_sources(); }
  std::int64_t max_source() const override { return model_.max_source(); }
  std::int64_t max_target() const override { return model_.max_target(); }
  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                   bool with_attention) const override {
    return std::make_unique<State>(model_.start(sources, with_attention), rows_);
  }
  std::int64_t rows() const { return rows_; }
  void reset() const { rows_ = 0; }

 private:
  class State final : public StepState {
   public:
    State(std::unique_ptr<StepState> state, std::atomic<std::int64_t>& rows)
        : state_(std::move(state)), rows_(rows) {}
    void advance(std::span<const std::int32_t> parents,
                 std::span<const std::int32_t> tokens) override {
      rows_ += static_cast<std::int64_t>(tokens.size());
      state_->advance(parents, tokens);
    }
    void read(std::span<const std::int32_t> parents, std::span<const std::int32_t> tokens,
              const Segments& fresh) override {
      rows_ += fresh.total();
      state_->read(parents, tokens, fresh);
    }
    Tensor logits() override { return state_->logits(); }
    void choose(const Choice& choice, std::int32_t* ids, float* log_probabilities) override {
      state_->choose(choice, ids, log_probabilities);
    }
    std::span<const float> attention(std::int64_t row) const override {
      return state_->attention(row);
    }

   private:
    std::unique_ptr<StepState> state_;
    std::atomic<std::int64_t>& rows_;
  };
  const StepModel& model_;
  mutable std::atomic<std::int64_t> rows_ = 0;
};

struct Work {
  TranslationModel model;
  std::vector<Tokens> sources;
};

/// A model with random weights and sentences of 20 tokens, for shapes without a trained model.
Work random_work(const std::string& preset_name, std::int64_t sentences) {
  TranslationPreset preset = translation_preset(preset_name);
  const std::int64_t vocabulary = preset_name == "base" ? 32000 : 10000;
  preset.model.source_vocabulary = preset.model.target_vocabulary = vocabulary;
  Work work;
  work.model.transformer = Transformer::make(preset.model, 1);
  Philox random(3);
  for (std::int64_t i = 0; i < sentences; ++i) {
    Tokens ids(20);
    for (std::int32_t& id : ids) {
      id = static_cast<std::int32_t>(4 + random.below(static_cast<std::uint64_t>(vocabulary - 4)));
    }
    work.sources.push_back(std::move(ids));
  }
  return work;
}

double decode_operations(const Transformer::Config& c, std::int64_t source_tokens,
                         std::int64_t rows) {
  const auto d = static_cast<double>(c.width), f = static_cast<double>(c.feed_forward);
  const auto layers = static_cast<double>(c.decoder_layers);
  const double per_source =
      static_cast<double>(c.encoder_layers) * 2 * (4 * d * d + 2 * d * f) + layers * 4 * d * d;
  const double per_row =
      layers * 2 * (6 * d * d + 2 * d * f) + 2 * d * static_cast<double>(c.target_vocabulary);
  return per_source * static_cast<double>(source_tokens) + per_row * static_cast<double>(rows);
}

void bench_decode(const BenchDecode& b, Program& program) {
  Work work;
  BatchTranslatorOptions options = b.options;
  if (!b.model.empty()) {
    if (b.file.empty()) fail("bench decode: --model needs a file of source sentences");
    work.model = load_translation_model(b.model);
    for (const std::string& line : read_lines(b.file)) {
      work.sources.push_back(work.model.source.encode(line));
    }
    set_special_tokens(work.model, options.search);
  } else {
    work = random_work(b.preset, b.sentences);
    options.search.max_length = options.search.min_length = 25;
    options.search.bos = 1;
    options.search.eos = 2;
  }
  std::int64_t source_tokens = 0;
  for (const Tokens& s : work.sources) source_tokens += static_cast<std::int64_t>(s.size()) + 1;
  const TransformerDecoder decoder(work.model.transformer, {.source_eos = options.search.eos});
  const CountedModel counted(decoder);
  const BatchTranslator translator(counted, options);
  std::vector<double> seconds, shares;
  std::int64_t tokens = 0;
  std::vector<Decoded> results;
  for (int run = 0; run < b.runs + 1; ++run) {
    const double peak = kernels::measure_fma_peak(threads());
    counted.reset();
    const Clock::time_point start = Clock::now();
    results = translator.translate(work.sources);
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    if (run == 0) continue;  // code is generated and memory is taken in the first run
    seconds.push_back(taken);
    shares.push_back(
        decode_operations(work.model.transformer.config, source_tokens, counted.rows()) / taken /
        peak);
  }
  for (const Decoded& t : results) tokens += static_cast<std::int64_t>(t.best[0].tokens.size()) + 1;
  if (!b.output.empty()) {
    std::string text;
    for (const Decoded& t : results) text += work.model.target.decode(t.best[0].tokens) + "\n";
    write_file(b.output, text);
  }
  const double s = median(seconds);
  const nlohmann::json result = {
      {"bench", "decode"},
      {"model", b.model.empty() ? b.preset + ", random weights" : b.model},
      {"beam", options.search.beam},
      {"batch_sentences", options.batch_sentences},
      {"threads", threads()},
      {"sentences", work.sources.size()},
      {"seconds", s},
      {"fastest", *std::min_element(seconds.begin(), seconds.end())},
      {"target_tokens_a_second", static_cast<double>(tokens) / s},
      {"hypothesis_rows", counted.rows()},
      {"share_of_fma_peak", median(shares)}};
  if (program.json) {
    print_output("{}\n", result.dump());
  } else {
    print_output(
        "decode: {} sentences, beam {}, {} threads: {:.3f} s, {:.0f} target tokens/s, {:.1f} % of "
        "the "
        "FMA peak\n",
        work.sources.size(), options.search.beam, threads(), s, static_cast<double>(tokens) / s,
        100 * median(shares));
  }
}

}  // namespace

void add_bench_decode(CLI::App& bench, Program& program) {
  auto b = std::make_shared<BenchDecode>();
  CLI::App* c = bench.add_subcommand("decode", "Translating; loading and tokenising are not timed");
  c->add_option("--model", b->model, "Model directory; default: random weights of --preset");
  c->add_option("file", b->file, "Source sentences for --model");
  c->add_option("--preset", b->preset, "tiny, small or base")->capture_default_str();
  c->add_option("--sentences", b->sentences, "Sentences of 20 tokens for random weights")
      ->capture_default_str();
  c->add_option("--beam", b->options.search.beam, "Width of the beam")->capture_default_str();
  c->add_option("--batch-sentences", b->options.batch_sentences, "Sentences a batch, at most")
      ->capture_default_str();
  c->add_option("--batch-tokens", b->options.batch_tokens, "Source tokens a batch")
      ->capture_default_str();
  c->add_option("--runs", b->runs, "Runs measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--output", b->output, "Write the translations here");
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    bench_decode(*b, program);
  });
}

}  // namespace qkv::app
