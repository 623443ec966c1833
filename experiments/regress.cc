#include "experiments/regress.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/data/number_table.h"
#include "qkv/tensor/numbers.h"
#include "qkv/view/curve.h"
#include "qkv/view/svg.h"

namespace qkv {
namespace {

constexpr std::int64_t kShownWeights = 5;  // a line for people; JSON has them all
constexpr int kCurvePoints = 241;

void read_rows(const RegressOptions& o, RegressReport& r) {
  if (o.example) {
    if (!o.file.empty()) fail("--example makes its own rows; leave out {}", o.file);
    const RegressionExample made = regression_example(o.count, o.seed);
    r.features = {"x"};
    r.keys = made.keys;
    r.values = made.values;
    return;
  }
  if (o.file.empty()) fail("give a file with columns of numbers, or --example");
  const NumberTable table = read_number_table(o.file);
  const std::int64_t d = table.columns() - 1;
  if (d < 1) throw DataError(o.file, 0, "has one column; features come first, the value last");
  r.features = {table.names.begin(), table.names.end() - 1};
  r.value = table.names.back();
  r.keys = table.block(0, d);
  r.values = table.block(d, d + 1);
}

void read_queries(const RegressOptions& o, RegressReport& r) {
  const auto d = static_cast<std::int64_t>(r.features.size());
  std::vector<double> all;
  const auto add = [&](const std::vector<double>& row, const std::string& where) {
    if (static_cast<std::int64_t>(row.size()) != d) {
      fail("{}: {} numbers, the rows have {} features", where, row.size(), d);
    }
    all.insert(all.end(), row.begin(), row.end());
  };
  for (const std::string& query : o.queries) {
    add(parse_numbers(split_fields(query), "--query", 0), "--query " + query);
  }
  if (!o.queries_file.empty()) {
    const NumberTable table = read_number_table(o.queries_file);
    const Tensor rows = table.block(0, table.columns());
    for (std::int64_t i = 0; i < table.rows(); ++i) {
      const Tensor row = rows.rows(i, i + 1);
      add({row.values<double>().begin(), row.values<double>().end()}, o.queries_file);
    }
  }
  if (!all.empty()) r.queries = Tensor::of(all, {static_cast<std::int64_t>(all.size()) / d, d});
}

/// The bandwidths of --sigma, or those that were learned.
BandwidthFit fit(const RegressOptions& o, const RegressReport& r) {
  if (o.sigma.empty()) {
    return fit_bandwidths(r.keys, r.values, {.per_feature = o.per_feature});
  }
  if (o.per_feature) throw UsageError("--per-feature excludes --sigma");
  std::vector<double> inverse = o.sigma;
  if (inverse.size() != 1 && inverse.size() != r.features.size()) {
    fail("--sigma: {} numbers; one for all, or one for each of {} features", inverse.size(),
         r.features.size());
  }
  for (double& w : inverse) w = 1.0 / w;
  BandwidthFit fixed;
  fixed.model.inverse_width = Tensor::of(inverse, {static_cast<std::int64_t>(inverse.size())});
  fixed.error = left_out_error(fixed.model, r.keys, r.values);
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
    text += fmt::format("{}{:g}", c > 0 ? " " : "", number(rows, r * rows.dim(1) + c));
  }
  return text;
}

/// The curve over the only feature, its band, the points, and the mean that average pooling gives.
void draw_curve(const std::string& path, const RegressReport& report) {
  if (report.features.size() != 1) {
    fail("--svg draws a curve over one feature, there are {}; --map shows the weights",
         report.features.size());
  }
  const KernelRegression& model = report.fit.model;
  const auto x = report.keys.values<double>(), y = report.values.values<double>();
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  std::vector<double> grid;
  grid.reserve(kCurvePoints);
  for (int i = 0; i < kCurvePoints; ++i)
    grid.push_back(*low + (*high - *low) * i / (kCurvePoints - 1));
  const Tensor at = Tensor::of(grid, {kCurvePoints, 1});
  const Tensor mean = model(at, report.keys, report.values),
               variance = model.variance(at, report.keys, report.values);
  const double average = std::accumulate(y.begin(), y.end(), 0.0) / static_cast<double>(y.size());
  Series curve{.name = "kernel regression"}, above{.name = "+ deviation"},
      below{.name = "− deviation"}, flat{.name = "average pooling"},
      points{.name = "rows", .dots = true};
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const double m = number(mean, static_cast<std::int64_t>(i)),
                 spread = std::sqrt(number(variance, static_cast<std::int64_t>(i)));
    curve.points.push_back({grid[i], m});
    above.points.push_back({grid[i], m + spread});
    below.points.push_back({grid[i], m - spread});
    flat.points.push_back({grid[i], average});
  }
  for (std::size_t i = 0; i < x.size(); ++i) points.points.push_back({x[i], y[i]});
  const Series all[] = {curve, above, below, flat, points};
  write_file(path, curve_svg(all, {.title = fmt::format("σ = {:.4g}", sigmas(model)[0]),
                                   .x_label = report.features[0],
                                   .y_label = report.value}));
}

/// Rows of the map: the queries, or the rows themselves, each left out of its own prediction.
void draw_map(const std::string& path, const RegressReport& report) {
  const KernelRegression& model = report.fit.model;
  const Tensor& queries = report.queries;
  const Tensor weights = queries.defined()
                             ? model.weights(queries, report.keys)
                             : model.weights(report.keys, report.keys, leave_one_out());
  const Tensor& rows = queries.defined() ? queries : report.keys;
  HeatMap map{.title = "weights",
              .values = weights.to(DType::f32),
              .row_name = queries.defined() ? "queries" : "rows, left out",
              .column_name = "rows"};
  for (std::int64_t r = 0; r < rows.dim(0); ++r) map.rows.push_back(label_of(rows, r));
  for (std::int64_t k = 0; k < report.keys.dim(0); ++k)
    map.columns.push_back(label_of(report.keys, k));
  write_file(path, svg_heat_map(map));
}

}  // namespace

std::string RegressReport::summary() const {
  std::string widths;
  const std::vector<double> sigma = sigmas(fit.model);
  for (std::size_t i = 0; i < sigma.size(); ++i) {
    widths += fmt::format("  {}{:.6g}", sigma.size() > 1 ? features[i] + " " : "", sigma[i]);
  }
  return fmt::format(
      "{} rows; bandwidth{}; mean squared error of a row left out: {:.4g}, of average pooling "
      "{:.4g}",
      keys.dim(0), widths, fit.error, average_error);
}

std::string RegressReport::text() const {
  std::string out;
  const std::int64_t rows = keys.dim(0);
  for (std::int64_t q = 0; queries.defined() && q < queries.dim(0); ++q) {
    const Tensor a = weights.rows(q, q + 1);
    std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t i, std::int64_t j) { return number(a, i) > number(a, j); });
    out += fmt::format("{}\t{:.6g}\t±{:.4g}\t{:.2f} rows\t", label_of(queries, q), number(mean, q),
                       std::sqrt(number(variance, q)), number(effective, q));
    const std::int64_t shown = std::min(rows, kShownWeights);
    for (std::int64_t i = 0; i < shown; ++i) {
      const std::int64_t k = order[static_cast<std::size_t>(i)];
      out += fmt::format("{}{:.4f} of {:g} (row {})", i > 0 ? ", " : "", number(a, k),
                         number(values, k), k + 1);
    }
    out += "\n";
  }
  return out;
}

Json RegressReport::json() const {
  Json all = {{"rows", keys.dim(0)},
              {"features", features},
              {"value", value},
              {"sigma", sigmas(fit.model)},
              {"left_out_error", fit.error},
              {"average_left_out_error", average_error},
              {"steps", fit.steps},
              {"queries", Json::array()}};
  for (std::int64_t q = 0; queries.defined() && q < queries.dim(0); ++q) {
    const auto row = [q](const Tensor& t) {
      const Tensor one = t.rows(q, q + 1);
      return std::vector<double>(one.values<double>().begin(), one.values<double>().end());
    };
    all["queries"].push_back({{"at", row(queries)},
                              {"prediction", number(mean, q)},
                              {"deviation", std::sqrt(number(variance, q))},
                              {"effective_rows", number(effective, q)},
                              {"weights", row(weights)}});
  }
  return all;
}

RegressReport regress(const RegressOptions& o) {
  RegressReport r;
  read_rows(o, r);
  read_queries(o, r);
  r.fit = fit(o, r);
  const KernelRegression average{.inverse_width = Tensor::full({1}, 0.0, DType::f64)};
  r.average_error = left_out_error(average, r.keys, r.values);
  if (r.queries.defined()) {
    const KernelRegression& model = r.fit.model;
    r.mean = model(r.queries, r.keys, r.values);
    r.variance = model.variance(r.queries, r.keys, r.values);
    r.effective = model.effective_sample_size(r.queries, r.keys);
    r.weights = model.weights(r.queries, r.keys);
  }
  if (!o.svg.empty()) draw_curve(o.svg, r);
  if (!o.map.empty()) draw_map(o.map, r);
  return r;
}

}  // namespace qkv
