// What a labeller makes of its states: scores, loss, predictions, and the prior table that ties
// tags to classes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/models/labeller.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/softmax.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
// In the logarithm of a mixture of priors: what even a tag that never was costs at most, 13.8 nats.
constexpr double kPriorShift = 1e-6;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<std::int64_t> sequence_of_rows(const Segments& segments) {
  std::vector<std::int64_t> sequence;
  sequence.reserve(at(segments.total()));
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    sequence.insert(sequence.end(), at(segments.length(b)), b);
  }
  return sequence;
}

std::int32_t best_of(std::span<const double> row) {
  return static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

/// Each tag by itself.
CrfPaths best_tags(const Tensor& emissions, const Segments& segments,
                   std::vector<double>& probabilities) {
  CrfPaths paths;
  const Tensor log_p = log_softmax(emissions).to(DType::f64);
  const std::int64_t tags = emissions.dim(1);
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    double score = 0;
    for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
      const auto row = log_p.values<double>().subspan(at(t * tags), at(tags));
      paths.labels.push_back(best_of(row));
      score += row[at(paths.labels.back())];
      probabilities.push_back(std::exp(row[at(paths.labels.back())]));
    }
    paths.scores.push_back(score);
  }
  return paths;
}

/// Emissions in which tags of prior 0 under each sequence's class are forbidden.
Tensor masked(const Tensor& emissions, const Segments& segments, const Tensor& prior,
              std::span<const std::int32_t> classes) {
  Tensor out = emissions.clone();
  const std::int64_t tags = emissions.dim(1);
  const Tensor allowed = prior.to(DType::f64);
  const std::span<const double> table = allowed.values<double>();
  const std::vector<std::int64_t> sequence = sequence_of_rows(segments);
  change_each(out, [&](std::int64_t i, double x) {
    const std::int64_t of = classes[at(sequence[at(i / tags)])];
    return table[at(of * tags + i % tags)] == 0.0 ? kNever : x;
  });
  return out;
}

/// log p(class) and what the tags of its sequence say of it, normalised; as before where they leave
/// no class.
void weigh_classes(std::span<double> log_p, const Tensor& prior, bool hard,
                   std::vector<std::int32_t> tags) {
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  std::vector<double> row(log_p.begin(), log_p.end());
  const auto width = static_cast<std::size_t>(prior.dim(1));
  for (std::size_t k = 0; k < row.size(); ++k) {
    for (const std::int32_t tag : tags) {
      const double p = prior.values<double>()[k * width + static_cast<std::size_t>(tag)];
      if (!hard) row[k] += std::log(p + kPriorShift);
      if (hard && p == 0.0) row[k] = kNever;
    }
  }
  const double most = *std::max_element(row.begin(), row.end());
  if (!std::isfinite(most)) return;
  double sum = 0;
  for (const double x : row) sum += std::exp(x - most);
  for (std::size_t k = 0; k < row.size(); ++k) log_p[k] = row[k] - most - std::log(sum);
}

/// Numbers, or several labels each for itself.
LabelPrediction other_answer(ClassAnswer answer, const Tensor& logits) {
  LabelPrediction result;
  if (answer == ClassAnswer::number) {
    for (std::int64_t b = 0; b < logits.count(); ++b) result.numbers.push_back(number(logits, b));
    return result;
  }
  result.class_log_probabilities = logits.clone();
  change_each(result.class_log_probabilities, [](std::int64_t, double x) {  // log σ(x)
    return x > 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x));
  });
  return result;
}

}  // namespace

Labeller::Scores Labeller::scores(const LabelBatch& batch) const {
  const States s = encode(batch);
  Scores out;
  if (config.tags > 0) out.emissions = tag_output(s.words);
  if (config.classes == 0) return out;
  out.class_logits = class_output(s.pooled);
  if (config.tags_to_class) {
    const Tensor strongest = segment_max(softmax(out.emissions), batch.segments);
    out.class_logits = add(out.class_logits, matmul(strongest, tags_to_class));
  }
  const bool soft = config.prior == PriorMask::soft && config.prior_way != PriorWay::to_class;
  if (soft && !prior.defined()) fail("labeller: config.prior is soft, but set_prior() never came");
  if (!config.class_to_tags && !soft) return out;
  const Tensor p = softmax(out.class_logits);
  Tensor of_class;  // [B L]
  if (config.class_to_tags) of_class = matmul(p, class_to_tags);
  if (soft) {
    const Tensor log_prior = logarithm(matmul(p, prior), kPriorShift);
    of_class = of_class.defined() ? add(of_class, log_prior) : log_prior;
  }
  out.emissions = add(out.emissions, select_rows(of_class, sequence_of_rows(batch.segments)));
  return out;
}

LabelLoss Labeller::loss(const LabelBatch& batch, const LabelLossOptions& options) const {
  const auto given = [](const char* name, std::size_t count, std::int64_t wanted) {
    if (static_cast<std::int64_t>(count) != wanted) {
      fail<ShapeError>("labeller: {} {} for {}", count, name, wanted);
    }
  };
  if (config.tags > 0) given("tags", batch.tags.size(), batch.segments.total());
  const std::int64_t sequences = batch.segments.count();
  if (config.classes > 0 && config.answer == ClassAnswer::label) {
    given("classes", batch.classes.size(), sequences);
  }
  if (config.answer == ClassAnswer::labels) {
    given("marks", batch.marks.size(), sequences * config.classes);
  }
  if (config.answer == ClassAnswer::number) given("numbers", batch.numbers.size(), sequences);
  const Scores s = scores(batch);
  LabelLoss result;
  if (config.tags > 0 && config.crf) {
    const CrfResult r = crf_loss(s.emissions, batch.segments, crf, batch.tags, options.tag_scale);
    result.loss = r.loss;
    result.tag_sum = r.nll_sum;
    result.tokens = batch.segments.total();
  } else if (config.tags > 0) {
    const CrossEntropyResult r = cross_entropy(
        s.emissions, batch.tags, {.smoothing = options.smoothing, .scale = options.tag_scale});
    result.loss = r.loss;
    result.tag_sum = r.nll_sum;
    result.tokens = r.tokens;
  }
  if (config.classes > 0) add_class_loss(s.class_logits, batch, options, result);
  return result;
}

void Labeller::add_class_loss(const Tensor& logits, const LabelBatch& batch,
                              const LabelLossOptions& options, LabelLoss& result) const {
  result.sequences = batch.segments.count();
  if (config.answer == ClassAnswer::number) {
    const Tensor wrong = generated(logits.shape(), logits.dtype(),
                                   [&](std::int64_t b) { return -batch.numbers[at(b)]; });
    const Tensor off = add(logits, wrong);
    result.loss = scale(sum(multiply(off, off)), options.class_scale);
    for (std::int64_t b = 0; b < off.count(); ++b)
      result.class_sum += number(off, b) * number(off, b);
    return;
  }
  if (config.answer == ClassAnswer::labels) {
    // −log σ(x) and −log σ(−x) are the cross-entropies of two columns, 0 and x.
    const std::int64_t rows = logits.count();
    const Tensor columns[] = {Tensor::zeros({rows, 1}, logits.dtype()), reshape(logits, {rows, 1})};
    const double share = 1.0 / static_cast<double>(config.classes);
    const CrossEntropyResult r =
        cross_entropy(join_columns(columns), batch.marks,
                      {.smoothing = options.smoothing, .scale = options.class_scale * share});
    result.loss = r.loss;
    result.class_sum = r.nll_sum * share;
    return;
  }
  const CrossEntropyResult r = cross_entropy(
      logits, batch.classes, {.smoothing = options.smoothing, .scale = options.class_scale});
  result.loss = result.loss.defined() ? add(result.loss, r.loss) : r.loss;
  result.class_sum = r.nll_sum;
  result.sequences = r.tokens;
}

LabelPrediction Labeller::predict(const LabelBatch& batch, const PredictOptions& options) const {
  const NoRecording off;
  const Segments& segments = batch.segments;
  Scores s = scores(batch);
  if (config.answer != ClassAnswer::label) return other_answer(config.answer, s.class_logits);
  LabelPrediction result;
  Tensor log_p, table;  // double
  const bool to_tags = config.prior_way != PriorWay::to_class;
  const bool to_class = config.prior_way != PriorWay::to_tags;
  const bool hard = config.prior == PriorMask::hard;
  if (config.prior != PriorMask::none) {
    if (!prior.defined())
      fail("labeller: config.prior asks for a table, but set_prior() never came");
    table = prior.to(DType::f64);
  }
  const auto row = [&](std::int64_t b) {
    return log_p.values<double>().subspan(at(b * config.classes), at(config.classes));
  };
  const auto take_classes = [&] {
    result.classes.clear();
    for (std::int64_t b = 0; b < segments.count(); ++b) result.classes.push_back(best_of(row(b)));
  };
  if (config.classes > 0) {
    log_p = log_softmax(s.class_logits.to(DType::f64));
    take_classes();
  }
  if (config.tags > 0) {
    if (hard && to_tags) s.emissions = masked(s.emissions, segments, prior, result.classes);
    const bool chained = config.crf || !rules.empty();
    CrfPaths paths = chained ? crf_decode(s.emissions, segments, crf, rules)
                             : best_tags(s.emissions, segments, result.tag_probabilities);
    if (chained) {
      const std::vector<double> log_z = crf_log_partition(s.emissions, segments, crf, rules);
      for (std::size_t b = 0; b < log_z.size(); ++b) {
        if (paths.scores[b] != kNever) paths.scores[b] -= log_z[b];
      }
    }
    if (chained && options.tag_probabilities) {
      result.tag_probabilities =
          crf_label_probabilities(s.emissions, segments, crf, paths.labels, rules);
    }
    result.tags = std::move(paths.labels);
    result.tag_scores = std::move(paths.scores);
  }
  if (config.classes == 0) return result;
  if (table.defined() && to_class) {
    for (std::int64_t b = 0; b < segments.count(); ++b) {
      weigh_classes(
          row(b), table, hard,
          {result.tags.begin() + segments.begin(b), result.tags.begin() + segments.end(b)});
    }
    take_classes();
  }
  result.class_log_probabilities = log_p.to(word_embedding.dtype());
  return result;
}

Tensor tag_prior(std::span<const std::int64_t> counts, std::int64_t classes, std::int64_t tags,
                 const PriorOptions& options) {
  if (static_cast<std::int64_t>(counts.size()) != classes * tags) {
    fail<ShapeError>("tag_prior: {} counts for {} classes and {} tags", counts.size(), classes,
                     tags);
  }
  if (!(options.smoothing > 0.0) || !(options.floor >= 0.0 && options.floor <= 1.0)) {
    fail("tag_prior: smoothing {} must be positive, floor {} in [0, 1]", options.smoothing,
         options.floor);
  }
  std::vector<float> prior;
  for (std::int64_t k = 0; k < classes; ++k) {
    const auto row = counts.subspan(at(k * tags), at(tags));
    const bool seen = std::any_of(row.begin(), row.end(), [&](std::int64_t n) {
      return n >= std::max<std::int64_t>(options.least, 1);
    });
    for (std::int64_t j = 0; j < tags; ++j) {
      const auto n = static_cast<double>(row[at(j)]);
      double p = (n + options.smoothing * options.floor) / (n + options.smoothing);
      if (options.least > 0) p = row[at(j)] >= options.least ? 1.0 : 0.0;
      prior.push_back(static_cast<float>(seen ? p : 1.0));
    }
  }
  return Tensor::of(prior, {classes, tags});
}

}  // namespace qkv
