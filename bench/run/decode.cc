#include "bench/run/decode.h"

#include <atomic>

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/data/lines.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/kernels/peak.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/train/translation.h"

namespace qkv::bench {
namespace {

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
  BatchTranslatorOptions options;
};

Work work_of_model(const DecodeOptions& o) {
  if (o.file.empty()) throw UsageError("--model needs a file of source sentences");
  Work work{.model = load_translation_model(o.model), .sources = {}, .options = o.translator};
  for (const std::string& line : read_lines(o.file)) {
    work.sources.push_back(work.model.source.encode(line));
  }
  if (work.model.architecture() != Architecture::transformer) {
    fail("{}: bench decode measures Transformers, this is a recurrent network", o.model);
  }
  set_special_tokens(work.model, work.options.search);
  return work;
}

/// A model with random weights and sentences of 20 tokens, for shapes without a trained model.
Work random_work(const DecodeOptions& o) {
  if (!o.file.empty()) throw UsageError("a file of source sentences needs --model");
  if (!o.output.empty()) throw UsageError("--output needs --model; random weights say no words");
  auto config = std::get<Transformer::Config>(translation_recipe(name_of(o.preset)).network);
  const std::int64_t vocabulary = o.preset == TranslatorPreset::base ? 32000 : 10000;
  config.source_vocabulary = config.target_vocabulary = vocabulary;
  Work work{.model = {}, .sources = {}, .options = o.translator};
  work.model.network = Transformer::make(1, config);
  Philox random(3);
  for (std::int64_t i = 0; i < o.sentences; ++i) {
    work.sources.push_back(random_ids(20, vocabulary, random));
  }
  work.options.search.max_length = work.options.search.min_length = 25;
  work.options.search.bos = 1;
  work.options.search.eos = 2;
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

void write_translations(const Work& work, const std::vector<Decoded>& results,
                        const std::string& path) {
  std::string text;
  for (const Decoded& t : results) text += work.model.target.decode(t.best[0].tokens) + "\n";
  write_file(path, text);
}

}  // namespace

Report decode(const DecodeOptions& o, const Say&) {
  const Work work = o.model.empty() ? random_work(o) : work_of_model(o);
  const SearchOptions& search = work.options.search;
  std::int64_t source_tokens = 0, tokens = 0;
  for (const Tokens& s : work.sources) source_tokens += static_cast<std::int64_t>(s.size()) + 1;
  const auto& network = std::get<Transformer>(work.model.network);
  const TransformerDecoder decoder(network, {.source_eos = search.eos});
  const CountedModel counted(decoder);
  const BatchTranslator translator(counted, work.options);
  std::vector<double> seconds, shares;
  std::vector<Decoded> results;
  for (int run = 0; run < o.runs + 1; ++run) {
    const double peak = kernels::measure_fma_peak(threads());
    counted.reset();
    const double taken = seconds_of([&] { results = translator.translate(work.sources); });
    if (run == 0) continue;  // code is generated and memory is taken in the first run
    seconds.push_back(taken);
    shares.push_back(decode_operations(network.config, source_tokens, counted.rows()) / taken /
                     peak);
  }
  for (const Decoded& t : results) tokens += static_cast<std::int64_t>(t.best[0].tokens.size()) + 1;
  if (!o.output.empty()) write_translations(work, results, o.output);
  const double s = median(seconds), rate = static_cast<double>(tokens) / s;
  return {.json = {{"bench", "decode"},
                   {"model", o.model.empty() ? std::string(name_of(o.preset)) + ", random weights"
                                             : o.model},
                   {"beam", search.beam},
                   {"batch_sentences", work.options.batch_sentences},
                   {"threads", threads()},
                   {"sentences", work.sources.size()},
                   {"seconds", s},
                   {"fastest", fastest(seconds)},
                   {"target_tokens_a_second", rate},
                   {"hypothesis_rows", counted.rows()},
                   {"share_of_fma_peak", median(shares)}},
          .text = fmt::format("decode: {} sentences, beam {}, {} threads: {:.3f} s, {:.0f} target "
                              "tokens/s, {:.1f} % of the FMA peak\n",
                              work.sources.size(), search.beam, threads(), s, rate,
                              100 * median(shares))};
}

}  // namespace qkv::bench
