#include "qkv/systems/score_text.h"

#include <cmath>
#include <vector>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

/// f(windows) for windows one after the other, at most `batch_tokens` tokens at a time.
template <class F>
void in_batches(std::span<const Window> windows, std::int64_t batch_tokens, F&& f) {
  for (std::size_t first = 0, last = 0; first < windows.size(); first = last) {
    std::int64_t tokens = 0;
    while (last < windows.size()) {
      tokens += windows[last].end - windows[last].begin;
      if (last > first && tokens > batch_tokens) break;
      ++last;
    }
    f(windows.subspan(first, last - first));
  }
}

std::vector<Window> scoring_windows(const LanguageModel& model, const TextStream& stream,
                                    const ScoreOptions& options) {
  const std::int64_t context = options.context > 0 ? options.context : model.context;
  if (model.longest() > 0 && context > model.longest()) {
    fail("a context of {} tokens does not fit the model's {} positions", context, model.longest());
  }
  return evaluation_windows(stream, context, options.stride);
}

TextScore blank_score(const TextStream& stream) {
  TextScore score;
  score.characters = stream.characters;
  score.words = stream.words;
  return score;
}

/// The score, when it is made of numbers.
const TextScore& finite(const TextScore& score) {
  if (score.tokens > 0 && !std::isfinite(score.perplexity())) {
    fail<NumericError>("perplexity: the model gives {} nats a token; its weights ran away",
                       score.loss());
  }
  return score;
}

}  // namespace

double TextScore::perplexity() const { return std::exp(loss()); }
double TextScore::bits_per_character() const {
  return nll / (std::log(2.0) * static_cast<double>(characters));
}
double TextScore::word_perplexity() const { return std::exp(nll / static_cast<double>(words)); }

TextScore score_text(const LanguageModel& model, const TextStream& stream,
                     const ScoreOptions& options) {
  const NoRecording off;
  TextScore score = blank_score(stream);
  in_batches(scoring_windows(model, stream, options), options.batch_tokens,
             [&](std::span<const Window> windows) {
               const CrossEntropyResult r = model.loss(pack(stream, windows), {});
               score.nll += r.nll_sum;
               score.tokens += r.tokens;
               score.correct += r.correct;
             });
  return finite(score);
}

TextScore score_tokens(const LanguageModel& model, const TextStream& stream,
                       const ScoreOptions& options,
                       const std::function<void(std::int64_t, float)>& sink) {
  TextScore score = blank_score(stream);
  in_batches(scoring_windows(model, stream, options), options.batch_tokens,
             [&](std::span<const Window> windows) {
               const std::vector<float> scores = model.log_probabilities(pack(stream, windows));
               std::size_t row = 0;
               for (const Window& w : windows) {
                 for (std::int64_t t = w.begin; t < w.end; ++t, ++row) {
                   if (t + 1 < w.scored) continue;
                   score.nll -= static_cast<double>(scores[row]);
                   ++score.tokens;
                   sink(t + 1, scores[row]);
                 }
               }
             });
  return finite(score);
}

}  // namespace qkv
