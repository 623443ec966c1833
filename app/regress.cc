// qkv regress: attention pooling as kernel regression, with the weights that make each prediction.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "app/command.h"
#include "app/output.h"
#include "experiments/regression.h"
#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/number_table.h"
#include "qkv/io/json.h"
#include "qkv/view/curve.h"
#include "qkv/view/svg.h"

namespace qkv::app {
namespace {

constexpr std::int64_t kShownWeights = 5;  // a line for people; --json has them all
constexpr int kCurvePoints = 241;

struct Settings {
  std::string file, queries_file, svg, map;
  std::vector<std::string> queries, sigma;
  bool example = false, per_feature = false;
  std::int64_t count = 50;
  std::uint64_t seed = 1;
};

struct Data {
  std::vector<std::string> features;
  std::string value = "y";
  Tensor keys, values;  // [N D], [N 1]
};

Data read_data(const Settings& s) {
  if (s.example) {
    if (!s.file.empty()) fail("--example makes its own rows; leave out {}", s.file);
    const RegressionExample made = regression_example(s.count, s.seed);
    return {.features = {"x"}, .value = "y", .keys = made.keys, .values = made.values};
  }
  if (s.file.empty()) fail("give a file with columns of numbers, or --example");
  const NumberTable table = read_number_table(s.file);
  const std::int64_t d = table.columns() - 1;
  if (d < 1) throw DataError(s.file, 0, "has one column; features come first, the value last");
  return {.features = {table.names.begin(), table.names.end() - 1},
          .value = table.names.back(),
          .keys = table.block(0, d),
          .values = table.block(d, d + 1)};
}

/// [Q D]; undefined without queries.
Tensor read_queries(const Settings& s, const Data& data) {
  const auto d = static_cast<std::int64_t>(data.features.size());
  std::vector<double> all;
  const auto add = [&](const std::vector<double>& row, const std::string& where) {
    if (static_cast<std::int64_t>(row.size()) != d) {
      fail("{}: {} numbers, the rows have {} features", where, row.size(), d);
    }
    all.insert(all.end(), row.begin(), row.end());
  };
  for (const std::string& query : s.queries) {
    add(parse_numbers(split_fields(query), "--query", 0), "--query " + query);
  }
  if (!s.queries_file.empty()) {
    const NumberTable table = read_number_table(s.queries_file);
    const Tensor rows = table.block(0, table.columns());
    for (std::int64_t r = 0; r < table.rows(); ++r) {
      const double* row = rows.data<double>() + r * table.columns();
      add({row, row + table.columns()}, s.queries_file);
    }
  }
  if (all.empty()) return {};
  return Tensor::of(all, {static_cast<std::int64_t>(all.size()) / d, d});
}

/// The bandwidths of --sigma, or those that were learned.
BandwidthFit fit(const Settings& s, const Data& data) {
  if (s.sigma.empty()) {
    return fit_bandwidths(data.keys, data.values, {.per_feature = s.per_feature});
  }
  std::vector<double> inverse = parse_numbers(s.sigma, "--sigma", 0);
  if (inverse.size() != 1 && inverse.size() != data.features.size()) {
    fail("--sigma: {} numbers; one for all, or one for each of {} features", inverse.size(),
         data.features.size());
  }
  for (double& w : inverse) {
    if (!(w > 0)) fail("--sigma: {} must be positive", w);
    w = 1.0 / w;
  }
  BandwidthFit fixed;
  fixed.model.inverse_width = Tensor::of(inverse, {static_cast<std::int64_t>(inverse.size())});
  fixed.error = left_out_error(fixed.model, data.keys, data.values);
  return fixed;
}

std::vector<double> sigmas(const KernelRegression& model) {
  std::vector<double> sigma;
  for (const double w : model.inverse_width.values<double>()) sigma.push_back(1.0 / std::abs(w));
  return sigma;
}

std::string label_of(const Tensor& rows, std::int64_t r) {
  std::string text;
  for (std::int64_t c = 0; c < rows.dim(1); ++c) {
    text += fmt::format("{}{:g}", c > 0 ? " " : "", rows.data<double>()[r * rows.dim(1) + c]);
  }
  return text;
}

struct Answers {
  Tensor mean, variance, effective, weights;
};
Answers answer(const KernelRegression& model, const Data& data, const Tensor& queries) {
  return {.mean = model(queries, data.keys, data.values),
          .variance = model.variance(queries, data.keys, data.values),
          .effective = model.effective_sample_size(queries, data.keys),
          .weights = model.weights(queries, data.keys)};
}

void print_answers(const Data& data, const Tensor& queries, const Answers& a) {
  const std::int64_t keys = data.keys.dim(0);
  for (std::int64_t q = 0; q < queries.dim(0); ++q) {
    const double* weights = a.weights.data<double>() + q * keys;
    std::vector<std::int64_t> order(static_cast<std::size_t>(keys));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t i, std::int64_t j) { return weights[i] > weights[j]; });
    print_output("{}\t{:.6g}\t±{:.4g}\t{:.2f} rows\t", label_of(queries, q),
                 a.mean.data<double>()[q], std::sqrt(a.variance.data<double>()[q]),
                 a.effective.data<double>()[q]);
    const std::int64_t shown = std::min(keys, kShownWeights);
    for (std::int64_t i = 0; i < shown; ++i) {
      const std::int64_t k = order[static_cast<std::size_t>(i)];
      print_output("{}{:.4f} of {:g} (row {})", i > 0 ? ", " : "", weights[k],
                   data.values.data<double>()[k], k + 1);
    }
    print_output("\n");
  }
}

Json json_of(const Data& data, const BandwidthFit& fit, double average_error, const Tensor& queries,
             const Answers& a) {
  Json json = {{"rows", data.keys.dim(0)},    {"features", data.features},
               {"value", data.value},         {"sigma", sigmas(fit.model)},
               {"left_out_error", fit.error}, {"average_left_out_error", average_error},
               {"steps", fit.steps},          {"queries", Json::array()}};
  for (std::int64_t q = 0; queries.defined() && q < queries.dim(0); ++q) {
    const auto row = [q](const Tensor& t) {
      const double* begin = t.data<double>() + q * t.dim(1);
      return std::vector<double>(begin, begin + t.dim(1));
    };
    json["queries"].push_back({{"at", row(queries)},
                               {"prediction", a.mean.data<double>()[q]},
                               {"deviation", std::sqrt(a.variance.data<double>()[q])},
                               {"effective_rows", a.effective.data<double>()[q]},
                               {"weights", row(a.weights)}});
  }
  return json;
}

/// The curve over the only feature, its band, the points, and the mean that average pooling gives.
void draw_curve(const std::string& path, const Data& data, const KernelRegression& model) {
  if (data.features.size() != 1) {
    fail("--svg draws a curve over one feature, there are {}; --map shows the weights",
         data.features.size());
  }
  const auto x = data.keys.values<double>(), y = data.values.values<double>();
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  std::vector<double> grid;
  grid.reserve(kCurvePoints);
  for (int i = 0; i < kCurvePoints; ++i)
    grid.push_back(*low + (*high - *low) * i / (kCurvePoints - 1));
  const Tensor at = Tensor::of(grid, {kCurvePoints, 1});
  const Tensor mean = model(at, data.keys, data.values),
               variance = model.variance(at, data.keys, data.values);
  const double average = std::accumulate(y.begin(), y.end(), 0.0) / static_cast<double>(y.size());
  Series curve{.name = "kernel regression"}, above{.name = "+ deviation"},
      below{.name = "− deviation"}, flat{.name = "average pooling"},
      points{.name = "rows", .dots = true};
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const double m = mean.data<double>()[i], spread = std::sqrt(variance.data<double>()[i]);
    curve.points.push_back({grid[i], m});
    above.points.push_back({grid[i], m + spread});
    below.points.push_back({grid[i], m - spread});
    flat.points.push_back({grid[i], average});
  }
  for (std::size_t i = 0; i < x.size(); ++i) points.points.push_back({x[i], y[i]});
  const Series all[] = {curve, above, below, flat, points};
  write_file(path, curve_svg(all, {.title = fmt::format("σ = {:.4g}", sigmas(model)[0]),
                                   .x_label = data.features[0],
                                   .y_label = data.value}));
}

/// Rows of the map: the queries, or the rows themselves, each left out of its own prediction.
void draw_map(const std::string& path, const Data& data, const KernelRegression& model,
              const Tensor& queries) {
  const Tensor weights = queries.defined() ? model.weights(queries, data.keys)
                                           : model.weights(data.keys, data.keys, leave_one_out());
  const Tensor& rows = queries.defined() ? queries : data.keys;
  HeatMap map{.title = "weights",
              .values = weights.to(DType::f32),
              .row_name = queries.defined() ? "queries" : "rows, left out",
              .column_name = "rows"};
  for (std::int64_t r = 0; r < rows.dim(0); ++r) map.rows.push_back(label_of(rows, r));
  for (std::int64_t k = 0; k < data.keys.dim(0); ++k) map.columns.push_back(label_of(data.keys, k));
  write_file(path, svg_heat_map(map));
}

void regress(const Settings& s, Program& program) {
  apply_threads(program);
  const Data data = read_data(s);
  const Tensor queries = read_queries(s, data);
  const BandwidthFit found = fit(s, data);
  const KernelRegression average{.inverse_width = Tensor::full({1}, 0.0, DType::f64)};
  const double average_error = left_out_error(average, data.keys, data.values);
  std::string widths;
  const std::vector<double> sigma = sigmas(found.model);
  for (std::size_t i = 0; i < sigma.size(); ++i) {
    widths += fmt::format("  {}{:.6g}", sigma.size() > 1 ? data.features[i] + " " : "", sigma[i]);
  }
  program.console.line(
      fmt::format("{} rows; bandwidth{}; mean squared error of a row left out: {:.4g}, of average "
                  "pooling {:.4g}",
                  data.keys.dim(0), widths, found.error, average_error));
  Answers answers;
  if (queries.defined()) answers = answer(found.model, data, queries);
  if (program.json) {
    print_output("{}\n", json_of(data, found, average_error, queries, answers).dump());
  } else if (queries.defined()) {
    print_answers(data, queries, answers);
  }
  if (!s.svg.empty()) draw_curve(s.svg, data, found.model);
  if (!s.map.empty()) draw_map(s.map, data, found.model, queries);
}

}  // namespace

void add_regress(Program& program) {
  auto settings = std::make_shared<Settings>();
  Settings& s = *settings;
  CLI::App* c = program.cli.add_subcommand(
      "regress", "Predict a number as the mean of the rows nearby: attention as kernel regression");
  c->footer(
      "A prediction is Σ a·value with a = softmax(−½ Σ ((query − row) / σ)²). Printed: the query,\n"
      "the prediction, the weighted standard deviation of the values, over how many rows the mean\n"
      "goes (1 / Σ a²), and the heaviest rows.");
  c->add_option("file", s.file, "Columns of numbers: features, and the value last (- for stdin)");
  c->add_flag("--example", s.example, "Made-up rows instead: y = 2 sin x + x^0.8 + noise");
  c->add_option("--count", s.count, "Rows of the example")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--seed", s.seed, "Of the example")->capture_default_str();
  c->add_option("--query", s.queries, "Features to predict for, e.g. 63,170; may come many times")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1);
  c->add_option("--queries", s.queries_file, "A file of them");
  CLI::Option* sigma =
      c->add_option(
           "--sigma", s.sigma,
           "Bandwidth, one for all or one a feature between commas; default: learned, each "
           "row being left out of its own prediction")
          ->delimiter(',');
  c->add_flag("--per-feature", s.per_feature, "Learn a bandwidth for each feature")
      ->excludes(sigma);
  c->add_option("--svg", s.svg, "Draw the curve over one feature");
  c->add_option("--map", s.map, "Draw the weights: queries, or rows left out, by rows");
  c->add_flag("--json", program.json, "Print JSON, all weights included");
  add_threads(*c, program);
  c->callback([settings, &program] { regress(*settings, program); });
}

}  // namespace qkv::app
