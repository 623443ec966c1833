// Kernel regression over a table of numbers, with the weights that make each prediction: what
// `qkv regress` computes, tells and draws.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/regression.h"

#include "qkv/base/options.h"
#include "qkv/io/json.h"

namespace qkv {

struct RegressOptions {
  std::string file, queries_file;  // columns of numbers; features, and in `file` the value last
  std::vector<std::string> queries;
  std::vector<double> sigma;  // one for all or one a feature; none: learned
  std::string svg, map;
  bool example = false, per_feature = false;
  std::int64_t count = 50;
  std::uint64_t seed = 1;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"example", "Made-up rows instead: y = 2 sin x + x^0.8 + noise"}, o.example);
    visit({"count", "Rows of the example", between(1, 1e6)}, o.count);
    visit({"seed", "Of the example"}, o.seed);
    visit({.name = "query",
           .help = "Features to predict for, e.g. 63,170; may come many times",
           .repeat = true},
          o.queries);
    visit({"queries", "A file of them"}, o.queries_file);
    visit({"sigma",
           "Bandwidth, one for all or one a feature between commas; default: learned, each row "
           "being left out of its own prediction",
           positive()},
          o.sigma);
    visit({"per_feature", "Learn a bandwidth for each feature"}, o.per_feature);
    visit({"svg", "Draw the curve over one feature"}, o.svg);
    visit({"map", "Draw the weights: queries, or rows left out, by rows"}, o.map);
  }
};

struct RegressReport {
  std::vector<std::string> features;
  std::string value = "y";
  Tensor keys, values;  // [N D], [N 1]
  Tensor queries;       // [Q D]; undefined without queries
  BandwidthFit fit;
  double average_error = 0;  // mean squared error of average pooling, each row left out
  Tensor mean, variance, effective, weights;  // of the queries

  /// "50 rows; bandwidth 0.31; mean squared error of a row left out: …"
  std::string summary() const;
  /// A line a query: the prediction and the heaviest rows.
  std::string text() const;
  /// With all weights.
  Json json() const;
};

/// Reads, fits, predicts, draws what --svg and --map name. Throws Error and DataError for what does
/// not fit together.
RegressReport regress(const RegressOptions& options);

}  // namespace qkv
