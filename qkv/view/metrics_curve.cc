#include "qkv/view/metrics_curve.h"

#include <cmath>
#include <vector>

#include "qkv/view/curve.h"

namespace qkv {
namespace {

/// Where the number is finite.
void add_point(const Json& line, const std::string& field, double step, Series& series) {
  if (field.empty() || !line.contains(field) || !line[field].is_number()) return;
  const double value = line[field].get<double>();
  if (std::isfinite(value)) series.points.push_back({step, value});
}

}  // namespace

std::string metrics_curve(std::span<const Json> lines,
                          const std::pair<std::string, std::string>& score,
                          const CurveWords& words) {
  Series train{.name = words.train, .points = {}}, valid{.name = words.valid, .points = {}},
      judged{.name = score.second, .points = {}, .second_axis = true};
  for (const Json& line : lines) {
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number()) continue;
    const double step = line["step"].get<double>();
    add_point(line, words.field, step, train);
    add_point(line, "valid_loss", step, valid);
    add_point(line, score.first, step, judged);
  }
  std::vector<Series> all;
  for (Series* s : {&train, &valid, &judged}) {
    if (!s->points.empty()) all.push_back(std::move(*s));
  }
  if (all.empty()) return "";
  return curve_svg(all, {.title = "training", .x_label = "update", .y_label = words.unit});
}

}  // namespace qkv
