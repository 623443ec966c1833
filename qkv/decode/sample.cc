#include "qkv/decode/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// The logits as options change them; −∞ for what must not be drawn.
std::vector<double> changed(std::span<const float> logits, std::span<const std::int32_t> before,
                            const SampleOptions& o) {
  std::vector<double> z(logits.begin(), logits.end());
  for (const double value : z) {
    if (std::isnan(value) || value == std::numeric_limits<double>::infinity()) {
      fail<NumericError>("sample: the model gives {} as a logit", value);
    }
  }
  if (o.repetition_penalty != 1.0) {
    const auto window = static_cast<std::size_t>(o.repetition_window);
    const bool far = window > 0 && before.size() > window;
    std::vector<bool> done(z.size());
    for (const std::int32_t id : far ? before.last(window) : before) {
      const auto i = static_cast<std::size_t>(id);
      if (i >= z.size() || done[i]) continue;
      done[i] = true;
      z[i] = z[i] > 0 ? z[i] / o.repetition_penalty : z[i] * o.repetition_penalty;
    }
  }
  const auto forbid = [&z](std::int32_t id) {
    if (id >= 0 && static_cast<std::size_t>(id) < z.size())
      z[static_cast<std::size_t>(id)] = kNever;
  };
  std::ranges::for_each(o.suppressed, forbid);
  if (o.bans.any()) std::ranges::for_each(o.bans.after(before), forbid);
  return z;
}

/// Keeps the fewest first candidates whose probabilities reach p, and makes them sum to 1.
void keep_mass(std::vector<Candidate>& c, double p) {
  double sum = 0;
  std::size_t kept = 0;
  while (kept < c.size() && (kept == 0 || sum < p)) sum += c[kept++].probability;
  c.resize(kept);
  for (Candidate& one : c) one.probability /= sum;
}

}  // namespace

void SampleOptions::check() const {
  if (!(temperature >= 0.0 && std::isfinite(temperature))) {
    fail("sample: temperature {} must be 0 or positive", temperature);
  }
  if (top_k < 0) fail("sample: top_k {} must be 0 or positive", top_k);
  if (!(top_p > 0.0 && top_p <= 1.0)) fail("sample: top_p {} is not in (0, 1]", top_p);
  if (!(repetition_penalty > 0.0 && std::isfinite(repetition_penalty))) {
    fail("sample: repetition_penalty {} must be positive", repetition_penalty);
  }
  if (repetition_window < 0) fail("sample: repetition_window {} < 0", repetition_window);
}

std::vector<Candidate> candidates(std::span<const float> logits,
                                  std::span<const std::int32_t> before, const SampleOptions& o) {
  o.check();
  const std::vector<double> z = changed(logits, before, o);
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < z.size(); ++i) {
    if (z[i] > kNever) order.push_back(static_cast<std::int32_t>(i));
  }
  if (order.empty()) fail("sample: no token is left to draw");
  const auto of = [&z](std::int32_t id) { return z[static_cast<std::size_t>(id)]; };
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    return of(a) != of(b) ? of(a) > of(b) : a < b;
  };
  // One order for all ways of drawing, so that sums go over the same numbers in the same order.
  std::size_t kept = order.size();
  if (o.temperature == 0.0) kept = 1;
  if (o.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(o.top_k));
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(kept);
  std::partial_sort(order.begin(), end, order.end(), likelier);
  const double best = of(order.front());
  const double temperature = o.temperature == 0.0 ? 1.0 : o.temperature;
  std::vector<Candidate> c;
  for (auto id = order.begin(); id != end; ++id) {
    c.push_back({*id, std::exp((of(*id) - best) / temperature)});
  }
  keep_mass(c, std::numeric_limits<double>::infinity());
  if (o.top_p < 1.0) keep_mass(c, o.top_p);
  return c;
}

std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> before,
                    std::int64_t index, const SampleOptions& options) {
  const std::vector<Candidate> c = candidates(logits, before, options);
  double rest = Philox(key_of(options.seed, hash_name("sample")), static_cast<std::uint64_t>(index))
                    .uniform();
  for (const Candidate& one : c) {
    if (rest < one.probability) return one.id;
    rest -= one.probability;
  }
  return c.back().id;  // rounding left a crumb behind the last
}

namespace {

/// Texts drawn side by side.
class Drawing {
 public:
  Drawing(const StepModel& model, std::span<const Draw> texts, std::int64_t first,
          const GenerateOptions& options, const DrawSink& sink)
      : texts_(texts), first_(first), options_(options), sink_(sink) {
    std::vector<const Tokens*> sources;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const Prompt& prompt = texts[i].prompt;
      if (prompt.tokens.empty()) fail("generate: text {} has no prompt to go on from", first);
      const bool same = i > 0 && prompt.tokens == texts[i - 1].prompt.tokens &&
                        prompt.source == texts[i - 1].prompt.source;
      if (!same) {
        prompts_.push_back(&prompt);
        sources.push_back(&prompt.source);
      }
      living_.push_back({i, static_cast<std::int32_t>(prompts_.size()) - 1, prompt.tokens});
    }
    state_ = model.start(sources, options.attention);
  }

  std::vector<Tokens> run() {
    std::vector<Tokens> results(texts_.size());
    std::erase_if(living_, [&](const Living& text) { return most(text) == 0; });
    for (std::int64_t t = 0; !living_.empty(); ++t) {
      read(t);
      const Tensor logits = state_->logits();
      std::vector<Living> kept;
      for (Living& text : living_) {
        if (drawn(text, t, logits) && t + 1 < most(text) + (options_.close ? 1 : 0)) {
          kept.push_back(std::move(text));
          continue;
        }
        const auto before = static_cast<std::ptrdiff_t>(texts_[text.index].prompt.tokens.size());
        results[text.index].assign(text.tokens.begin() + before, text.tokens.end());
      }
      living_ = std::move(kept);
    }
    return results;
  }

 private:
  struct Living {
    std::size_t index;
    std::int32_t row;  // of the state
    Tokens tokens;     // the prompt and what was drawn
  };

  std::int64_t most(const Living& text) const {
    const std::int64_t own = texts_[text.index].max_tokens;
    return own > 0 ? own : options_.max_tokens;
  }

  void read(std::int64_t t) {
    if (t == 0) {
      std::vector<std::int32_t> each;
      for (std::size_t i = 0; i < prompts_.size(); ++i) {
        each.push_back(static_cast<std::int32_t>(i));
      }
      return read_prompts(*state_, each, prompts_, -1);
    }
    std::vector<std::int32_t> parents, tokens;
    for (std::size_t i = 0; i < living_.size(); ++i) {
      parents.push_back(living_[i].row);
      tokens.push_back(living_[i].tokens.back());
      living_[i].row = static_cast<std::int32_t>(i);
    }
    state_->advance(parents, tokens);
  }

  void suppress_stops(SampleOptions& options) const {
    options.suppressed.push_back(options_.stop);
    options.suppressed.insert(options.suppressed.end(), options_.more_stops.begin(),
                              options_.more_stops.end());
  }
  bool stops(std::int32_t id) const {
    return id == options_.stop || std::ranges::count(options_.more_stops, id) > 0;
  }

  /// Draws one more token; whether the text goes on.
  bool drawn(Living& text, std::int64_t t, const Tensor& logits) {
    SampleOptions options = options_.sample;
    options.seed = texts_[text.index].seed;
    const std::int64_t words = logits.dim(1);
    const std::span<const float> own(logits.data() + text.row * words,
                                     static_cast<std::size_t>(words));
    if (t < texts_[text.index].min_tokens) suppress_stops(options);
    const bool closing = t == most(text);
    const std::int32_t id = closing ? options_.stop : sample(own, text.tokens, t, options);
    const bool ends = stops(id);
    if (!ends) text.tokens.push_back(id);
    const bool on = !sink_ || sink_({.text = first_ + static_cast<std::int64_t>(text.index),
                                     .token = id,
                                     .ends = ends,
                                     .logits = own,
                                     .attention = state_->attention(text.row)});
    return on && !ends;
  }

  std::span<const Draw> texts_;
  std::int64_t first_;
  const GenerateOptions& options_;
  const DrawSink& sink_;
  std::vector<const Prompt*> prompts_;  // without repetitions
  std::vector<Living> living_;
  std::unique_ptr<StepState> state_;
};

}  // namespace

std::vector<Tokens> generate(const StepModel& model, std::span<const Draw> texts,
                             const GenerateOptions& options, const DrawSink& sink) {
  options.sample.check();
  if (options.max_tokens < 0) fail("generate: max_tokens is {}", options.max_tokens);
  if (options.batch < 1) fail("generate: batches of {} texts", options.batch);
  std::vector<Tokens> results;
  const auto batch = static_cast<std::size_t>(options.batch);
  for (std::size_t begin = 0; begin < texts.size(); begin += batch) {
    const auto part = texts.subspan(begin, std::min(batch, texts.size() - begin));
    for (Tokens& text :
         Drawing(model, part, static_cast<std::int64_t>(begin), options, sink).run()) {
      results.push_back(std::move(text));
    }
  }
  return results;
}

Tokens generate(const StepModel& model, std::span<const std::int32_t> prompt,
                const GenerateOptions& options, const std::function<bool(std::int32_t)>& sink) {
  const Draw text{.prompt = {.tokens = {prompt.begin(), prompt.end()}},
                  .seed = options.sample.seed};
  DrawSink each;
  if (sink) each = [&](const DrawnToken& t) { return t.ends || sink(t.token); };
  return generate(model, std::span(&text, 1), options, each).front();
}

}  // namespace qkv
