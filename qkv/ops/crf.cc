#include "qkv/ops/crf.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "qkv/base/dims.h"
#include "qkv/kernels/crf.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// A weight with what the rules forbid at −inf, zeros where it is undefined.
Tensor ruled(const char* name, const Tensor& weight, const std::vector<std::uint8_t>& rule,
             const Shape& shape, DType type) {
  if (weight.defined() && weight.shape() != shape) {
    fail<ShapeError>("crf: {} is {}, emissions ask for {}", name, to_string(weight.shape()),
                     to_string(shape));
  }
  if (!rule.empty() && static_cast<std::int64_t>(rule.size()) != shape.count()) {
    fail<ShapeError>("crf: {} rules for {}, emissions ask for {}", rule.size(), name,
                     to_string(shape));
  }
  if (weight.defined() && rule.empty()) return weight;
  Tensor x = weight.defined() ? weight.clone() : Tensor::zeros(shape, type);
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < rule.size(); ++i) {
      if (rule[i] == 0) x.data<T>()[i] = -std::numeric_limits<T>::infinity();
    }
  });
  return x;
}

/// A call's arguments, checked, as the kernels read them.
struct Call {
  Tensor emissions, transition, start, end;
  Segments segments;
  std::int64_t labels = 0;

  Call(const Tensor& e, const Segments& s, const CrfWeights& w, const TagRules& rules)
      : emissions(e), segments(s) {
    const Dims d("crf", {{"emissions", e.shape(), "T L"}});
    labels = d["L"];
    if (d["T"] != s.total()) {
      fail<ShapeError>("crf: {} rows of emissions but segments of {}", d["T"], s.total());
    }
    if (labels == 0) fail<ShapeError>("crf: no labels");
    check_types("crf", e, {&w.transition, &w.start, &w.end});
    transition = ruled("transition", w.transition, rules.transition, {labels, labels}, e.dtype());
    start = ruled("start", w.start, rules.start, {labels}, e.dtype());
    end = ruled("end", w.end, rules.end, {labels}, e.dtype());
  }
  template <class T>
  kernels::CrfChains<T> chains() const {
    return {.labels = labels,
            .sequences = segments.count(),
            .offsets = segments.offsets().data(),
            .emissions = emissions.data<T>(),
            .transition = transition.data<T>(),
            .start = start.data<T>(),
            .end = end.data<T>()};
  }
  std::vector<double> log_partition() const {
    std::vector<double> log_z(at(segments.count()));
    dispatch(emissions, [&](auto zero) {
      using T = decltype(zero);
      kernels_for<T>().crf_partition(chains<T>(), log_z.data());
    });
    return log_z;
  }
  /// score(labels) of sequence b, in double.
  template <class T>
  double score(std::int64_t b, const std::int32_t* y) const {
    const std::int64_t first = segments.begin(b), last = segments.end(b);
    if (first == last) return 0;
    const kernels::CrfChains<T> c = chains<T>();
    double sum = static_cast<double>(c.start[y[first]]) + static_cast<double>(c.end[y[last - 1]]);
    for (std::int64_t t = first; t < last; ++t) {
      sum += static_cast<double>(c.emissions[t * labels + y[t]]);
      if (t > first) sum += static_cast<double>(c.transition[y[t - 1] * labels + y[t]]);
    }
    return sum;
  }
  /// What a path uses is taken away from what is expected.
  template <class T>
  void take_path(std::int64_t b, const std::int32_t* y, const kernels::CrfExpectation<T>& x) const {
    const std::int64_t first = segments.begin(b), last = segments.end(b);
    if (first == last) return;
    x.start[y[first]] -= T(1);
    x.end[y[last - 1]] -= T(1);
    for (std::int64_t t = first; t < last; ++t) {
      x.emissions[t * labels + y[t]] -= T(1);
      if (t > first) x.transition[y[t - 1] * labels + y[t]] -= T(1);
    }
  }
};

void check_labels(std::span<const std::int32_t> labels, const Call& call) {
  if (static_cast<std::int64_t>(labels.size()) != call.segments.total()) {
    fail<ShapeError>("crf: {} rows but {} labels", call.segments.total(), labels.size());
  }
  for (std::size_t t = 0; t < labels.size(); ++t) {
    if (labels[t] < 0 || labels[t] >= call.labels) {
      fail<ShapeError>("crf: label {} at row {} is outside {} labels", labels[t], t, call.labels);
    }
  }
}

/// Gradients of Σ −log p in the order emissions, transition, start, end.
struct Gradients {
  Tensor emissions, transition, start, end;

  explicit Gradients(const Call& c)
      : emissions(Tensor::empty(c.emissions.shape(), c.emissions.dtype())),
        transition(Tensor::empty(c.transition.shape(), c.emissions.dtype())),
        start(Tensor::empty(c.start.shape(), c.emissions.dtype())),
        end(Tensor::empty(c.end.shape(), c.emissions.dtype())) {}
  template <class T>
  kernels::CrfExpectation<T> pointers() {
    return {emissions.data<T>(), transition.data<T>(), start.data<T>(), end.data<T>()};
  }
};

void give(const Tensor& to, Tensor& gradient, double factor) {
  if (!to.defined()) return;
  dispatch(gradient, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().axpby(gradient.count(), T(0), gradient.data<T>(), static_cast<T>(factor),
                           gradient.data<T>());
  });
  accumulate(to, std::move(gradient));
}

}  // namespace

CrfResult crf_loss(const Tensor& emissions, const Segments& segments, const CrfWeights& weights,
                   std::span<const std::int32_t> labels, double scale, const TagRules& rules) {
  const Call call(emissions, segments, weights, rules);
  check_labels(labels, call);
  const auto needed = [](const Tensor& x) { return x.defined() && needs_gradient(x); };
  const bool differentiate = recording() && (needed(emissions) || needed(weights.transition) ||
                                             needed(weights.start) || needed(weights.end));
  CrfResult result;
  result.nll.resize(at(segments.count()));
  std::shared_ptr<Gradients> gradients;
  std::vector<double> log_z;
  if (differentiate) {
    gradients = std::make_shared<Gradients>(call);
    log_z.resize(at(segments.count()));
  } else {
    log_z = call.log_partition();
  }
  dispatch(emissions, [&](auto zero) {
    using T = decltype(zero);
    if (differentiate) {
      kernels_for<T>().crf_expectation(call.chains<T>(), log_z.data(), gradients->pointers<T>());
    }
    for (std::int64_t b = 0; b < segments.count(); ++b) {
      const double score = call.score<T>(b, labels.data());
      const double nll = score == kNever ? -kNever : log_z[at(b)] - score;
      result.nll[at(b)] = nll;
      result.nll_sum += nll;
      if (differentiate && std::isfinite(log_z[at(b)])) {
        call.take_path<T>(b, labels.data(), gradients->pointers<T>());
      }
    }
  });
  result.loss = Tensor::full({}, scale * result.nll_sum, emissions.dtype());
  record(result.loss, {&emissions, &weights.transition, &weights.start, &weights.end},
         [emissions, weights, gradients, scale](const Tensor& dloss) {
           const double factor = scale * dloss.item();
           give(emissions, gradients->emissions, factor);
           give(weights.transition, gradients->transition, factor);
           give(weights.start, gradients->start, factor);
           give(weights.end, gradients->end, factor);
         });
  return result;
}

std::vector<double> crf_log_partition(const Tensor& emissions, const Segments& segments,
                                      const CrfWeights& weights, const TagRules& rules) {
  return Call(emissions, segments, weights, rules).log_partition();
}

std::vector<double> crf_label_probabilities(const Tensor& emissions, const Segments& segments,
                                            const CrfWeights& weights,
                                            std::span<const std::int32_t> labels,
                                            const TagRules& rules) {
  const Call call(emissions, segments, weights, rules);
  check_labels(labels, call);
  Gradients expected(call);
  std::vector<double> log_z(at(segments.count())), p(labels.size(), 0.0);
  dispatch(emissions, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().crf_expectation(call.chains<T>(), log_z.data(), expected.pointers<T>());
    for (std::int64_t b = 0; b < segments.count(); ++b) {
      if (!std::isfinite(log_z[at(b)])) continue;
      for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
        p[at(t)] =
            static_cast<double>(expected.emissions.data<T>()[t * call.labels + labels[at(t)]]);
      }
    }
  });
  return p;
}

CrfPaths crf_decode(const Tensor& emissions, const Segments& segments, const CrfWeights& weights,
                    const TagRules& rules) {
  const Call call(emissions, segments, weights, rules);
  CrfPaths paths;
  paths.labels.resize(at(segments.total()));
  dispatch(emissions, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().crf_best(call.chains<T>(), paths.labels.data());
    for (std::int64_t b = 0; b < segments.count(); ++b) {
      double score = call.score<T>(b, paths.labels.data());
      if (score == kNever) {
        for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
          const T* row = emissions.data<T>() + t * call.labels;
          paths.labels[at(t)] =
              static_cast<std::int32_t>(std::max_element(row, row + call.labels) - row);
        }
      }
      paths.scores.push_back(score);
    }
  });
  return paths;
}

}  // namespace qkv
