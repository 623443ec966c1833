#include "qkv/decode/ctc.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "qkv/base/dims.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

double log_add(double a, double b) {
  const double most = std::max(a, b);
  return most == kNever ? kNever : most + std::log1p(std::exp(std::min(a, b) - most));
}

/// log softmax of a row.
std::vector<double> log_probabilities(std::span<const double> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double x : logits) sum += std::exp(x - most);
  std::vector<double> p(logits.begin(), logits.end());
  for (double& x : p) x -= most + std::log(sum);
  return p;
}

/// run(b, rows of log-probabilities) for every sequence.
template <class Run>
void each_sequence(const char* name, const Tensor& logits, const Segments& rows, Run&& run) {
  const Dims d(name, {{"logits", logits.shape(), "T L"}});
  if (d["T"] != rows.total() || d["L"] < 1) {
    fail<ShapeError>("{}: logits {} for {} rows", name, to_string(logits.shape()), rows.total());
  }
  const Tensor wide = logits.to(DType::f64);
  parallel_for(rows.count(), 1, [&](std::int64_t b, std::int64_t) {
    std::vector<std::vector<double>> p;
    for (std::int64_t t = rows.begin(b); t < rows.end(b); ++t) {
      p.push_back(log_probabilities(wide.values<double>().subspan(at(t * d["L"]), at(d["L"]))));
    }
    run(at(b), p);
  });
}

/// Paths of a prefix that end in a blank, and in its last label.
struct Ends {
  double blank = kNever, label = kNever;
  double total() const { return log_add(blank, label); }
};
using Prefix = std::vector<std::int32_t>;
using Beam = std::map<Prefix, Ends>;  // ordered: the same in every run

Beam extended(const Beam& beam, const std::vector<double>& p) {
  Beam next;
  for (const auto& [prefix, ends] : beam) {
    Ends& same = next[prefix];
    same.blank = log_add(same.blank, ends.total() + p[0]);
    for (std::size_t l = 1; l < p.size(); ++l) {
      const auto label = static_cast<std::int32_t>(l);
      const bool repeats = !prefix.empty() && prefix.back() == label;
      if (repeats) {
        Ends& again = next[prefix];
        again.label = log_add(again.label, ends.label + p[l]);
      }
      Prefix longer = prefix;
      longer.push_back(label);
      Ends& more = next[std::move(longer)];
      more.label = log_add(more.label, (repeats ? ends.blank : ends.total()) + p[l]);
    }
  }
  return next;
}

std::vector<CtcText> best_of(const Beam& beam, std::int64_t most) {
  std::vector<CtcText> texts;
  for (const auto& [prefix, ends] : beam) texts.push_back({prefix, ends.total()});
  std::stable_sort(texts.begin(), texts.end(), [](const CtcText& a, const CtcText& b) {
    return a.log_probability > b.log_probability;
  });
  if (static_cast<std::int64_t>(texts.size()) > most) texts.resize(at(most));
  return texts;
}

}  // namespace

std::vector<std::int32_t> ctc_join(std::span<const std::int32_t> path) {
  std::vector<std::int32_t> text;
  for (std::size_t t = 0; t < path.size(); ++t) {
    if (path[t] != 0 && (t == 0 || path[t] != path[t - 1])) text.push_back(path[t]);
  }
  return text;
}

std::vector<CtcText> ctc_best_path(const Tensor& logits, const Segments& rows) {
  std::vector<CtcText> texts(at(rows.count()));
  each_sequence("ctc_best_path", logits, rows, [&](std::size_t b, const auto& p) {
    std::vector<std::int32_t> path;
    for (const std::vector<double>& row : p) {
      const auto best = std::max_element(row.begin(), row.end());
      path.push_back(static_cast<std::int32_t>(best - row.begin()));
      texts[b].log_probability += *best;
    }
    texts[b].labels = ctc_join(path);
  });
  return texts;
}

std::vector<std::vector<CtcText>> ctc_beam(const Tensor& logits, const Segments& rows,
                                           const CtcBeamOptions& options) {
  if (options.beam < 1 || options.n_best < 1 || options.n_best > options.beam) {
    fail("ctc_beam: {} texts of a beam of {}", options.n_best, options.beam);
  }
  std::vector<std::vector<CtcText>> texts(at(rows.count()));
  each_sequence("ctc_beam", logits, rows, [&](std::size_t b, const auto& p) {
    Beam beam = {{Prefix{}, Ends{.blank = 0.0, .label = kNever}}};
    for (const std::vector<double>& row : p) {
      const Beam next = extended(beam, row);
      beam.clear();
      for (const CtcText& kept : best_of(next, options.beam)) {
        beam.emplace(kept.labels, next.at(kept.labels));
      }
    }
    texts[b] = best_of(beam, options.n_best);
  });
  return texts;
}

}  // namespace qkv
