// Curves as a standalone SVG: loss and score over the updates of a training run.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace qkv {

struct Series {
  struct Point {
    double x = 0.0, y = 0.0;
  };
  std::string name;
  std::vector<Point> points;  // in the order of x; a point that is not finite breaks the line
  bool second_axis = false;   // measured on the right-hand axis
};

struct CurveOptions {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  std::string second_label = {};  // of the right-hand axis; default: the names of its series
  int width = 720;                // pixels
  int height = 400;
};

/// Long series are thinned to the lowest and highest point of each pixel column, so peaks stay.
/// Series without points are named in the legend only. Throws Error when a size is below 200
/// pixels.
std::string curve_svg(std::span<const Series> series, const CurveOptions& options = {});

/// Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about `count` of them.
std::vector<double> axis_ticks(double low, double high, int count);

}  // namespace qkv
