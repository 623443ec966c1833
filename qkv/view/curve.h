// Curves as a standalone SVG: loss and score over the updates of a training run.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace qkv {

struct Series {
  struct Point {
    double x = 0.0, y = 0.0;
    double spread = 0.0;  // an error bar from y − spread to y + spread; 0: none
  };
  std::string name;
  std::vector<Point> points;  // in the order of x; a point that is not finite breaks the line
  bool second_axis = false;   // measured on the right-hand axis
  bool dots = false;          // points by themselves, no line
};

struct CurveOptions {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  std::string second_label = {};  // of the right-hand axis; default: the names of its series
  bool log_x = false;             // equal steps for equal factors; points at x <= 0 are left out
  int width = 720;                // pixels
  int height = 400;
};

/// Long series are thinned to the lowest and highest point of each pixel column, so peaks stay.
/// Series without points are named in the legend only. Throws Error when a size is below 200
/// pixels.
std::string curve_svg(std::span<const Series> series, const CurveOptions& options = {});

/// The numbers 1, 2 and 5 times a power of ten within [low, high], 0 < low.
std::vector<double> log_ticks(double low, double high);

/// Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about `count` of them.
std::vector<double> axis_ticks(double low, double high, int count);

}  // namespace qkv
