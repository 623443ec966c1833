#include "qkv/systems/hear.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/decode/ctc.h"
#include "qkv/decode/ctc_align.h"
#include "qkv/decode/search.h"
#include "qkv/decode/spelling.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// f(states) for the sounds in order, some at once.
template <class F>
void by_batches(const SoundModel& model, std::span<const Tensor> rows, F&& f) {
  const NoRecording quiet;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin;
    for (std::int64_t frames = 0; end < rows.size(); ++end) {
      frames += rows[end].dim(0);
      if (end > begin && frames > kHeardFrames) break;
    }
    f(model.network.encode(pack_sounds(rows.subspan(begin, end - begin))));
    begin = end;
  }
}

/// softmax of each row of logits, in double. Throws NumericError for what is no number.
std::vector<std::vector<double>> probabilities_of(const Tensor& logits) {
  const Tensor p = softmax(logits.to(DType::f64));
  const auto width = at(p.dim(1));
  std::vector<std::vector<double>> rows;
  for (std::size_t t = 0; t < at(p.dim(0)); ++t) {
    const auto row = p.values<double>().subspan(t * width, width);
    if (!std::isfinite(row.front())) fail<NumericError>("the scores of a sound are no numbers");
    rows.emplace_back(row.begin(), row.end());
  }
  return rows;
}

void add_symbols(const SoundModel& model, std::span<const std::int32_t> symbols, Transcript& to) {
  std::vector<std::string> units;
  for (const std::int32_t symbol : symbols) units.push_back(model.labels[at(symbol)]);
  to.text = text_of_units(units, model.unit);
  for (std::string& unit : units) to.symbols.push_back({std::move(unit)});
}

/// By CTC, with the times of the likeliest path of the text.
void read_ctc(const SoundModel& model, const SoundStates& states, std::int64_t beam,
              std::vector<Transcript>& to) {
  const Tensor logits = model.network.logits(states);
  std::vector<CtcText> texts;
  if (beam == 1) {
    texts = ctc_best_path(logits, states.segments);
  } else {
    for (auto& best : ctc_beam(logits, states.segments, {.beam = beam})) {
      texts.push_back(std::move(best.front()));
    }
  }
  for (std::size_t b = 0; b < texts.size(); ++b) {
    const auto n = static_cast<std::int64_t>(b);
    const auto places =
        ctc_align(logits.rows(states.segments.begin(n), states.segments.end(n)), texts[b].labels);
    std::vector<std::int32_t> symbols = texts[b].labels;
    for (std::int32_t& s : symbols) --s;
    Transcript& t = to.emplace_back();
    t.log_probability = texts[b].log_probability;
    add_symbols(model, symbols, t);
    for (std::size_t u = 0; u < places.size(); ++u) {
      t.symbols[u].begin = static_cast<double>(places[u].begin) * model.seconds_of_row();
      t.symbols[u].end = static_cast<double>(places[u].end) * model.seconds_of_row();
    }
  }
}

void spell(const SoundModel& model, const SoundStates& states, std::int64_t beam,
           std::vector<Transcript>& to) {
  const TransformerDecoder decoder = spelling_model(model.network.decoder, states);
  const auto end = static_cast<std::int32_t>(model.network.config.symbols);
  SearchOptions options{.beam = static_cast<int>(beam), .bos = end, .eos = end};
  options.max_factor = 1.0;  // no more symbols than rows
  const std::vector<Tokens> sources = sound_sources(states);
  for (const auto& found : search(decoder, std::span<const Tokens>(sources), options)) {
    Transcript& t = to.emplace_back();
    t.log_probability = found.front().log_probability;
    add_symbols(model, found.front().tokens, t);
  }
}

}  // namespace

SpeechMethod method_of(const SoundModel& model, const TranscribeOptions& options) {
  const SpeechMethod has = model.network.config.method;
  const SpeechMethod wanted =
      options.method.value_or(has == SpeechMethod::joint ? SpeechMethod::attention : has);
  if (wanted == SpeechMethod::joint) {
    throw UsageError("--method joint: texts are found by one of the two, ctc or attention");
  }
  if (has != SpeechMethod::joint && wanted != has) {
    throw UsageError(
        fmt::format("--method {}: this model was trained with {}", name_of(wanted), name_of(has)));
  }
  return wanted;
}

std::vector<std::vector<double>> hear_clips(const SoundModel& model, std::span<const Tensor> rows) {
  std::vector<std::vector<double>> all;
  by_batches(model, rows, [&](const SoundStates& states) {
    for (auto& row : probabilities_of(model.network.logits(states))) all.push_back(std::move(row));
  });
  return all;
}

std::vector<HeardFrames> hear_frames(const SoundModel& model, std::span<const Tensor> rows) {
  std::vector<HeardFrames> all;
  by_batches(model, rows, [&](const SoundStates& states) {
    const auto p = probabilities_of(model.network.logits(states));
    for (std::int64_t b = 0; b < states.segments.count(); ++b) {
      HeardFrames& heard = all.emplace_back();
      for (std::int64_t t = states.segments.begin(b); t < states.segments.end(b); ++t) {
        const auto best = std::ranges::max_element(p[at(t)]);
        heard.labels.push_back(static_cast<std::int32_t>(best - p[at(t)].begin()));
        heard.probabilities.push_back(*best);
      }
    }
  });
  return all;
}

std::vector<Transcript> hear_texts(const SoundModel& model, std::span<const Tensor> rows,
                                   const TranscribeOptions& options) {
  check_ranges(options);
  const SpeechMethod method = method_of(model, options);
  std::vector<Transcript> all;
  by_batches(model, rows, [&](const SoundStates& states) {
    if (method == SpeechMethod::ctc) {
      read_ctc(model, states, options.beam, all);
    } else {
      spell(model, states, options.beam, all);
    }
  });
  return all;
}

std::vector<SoundStretch> stretches_of(const SoundModel& model, const HeardFrames& frames) {
  std::vector<SoundStretch> stretches;
  const double hop = model.seconds_of_row();
  for (std::size_t begin = 0; begin < frames.labels.size();) {
    std::size_t end = begin;
    double sum = 0;
    for (; end < frames.labels.size() && frames.labels[end] == frames.labels[begin]; ++end) {
      sum += frames.probabilities[end];
    }
    stretches.push_back({.label = model.labels[at(frames.labels[begin])],
                         .begin = static_cast<double>(begin) * hop,
                         .end = static_cast<double>(end) * hop,
                         .probability = sum / static_cast<double>(end - begin)});
    begin = end;
  }
  return stretches;
}

}  // namespace qkv
