// The one table of combinations: every score, bias, mask and normaliser of the attention algebra.
// A new one is one more row; attend_test.cc crosses them all.
#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "qkv/attention/attend.h"

namespace qkv::testing {

/// Sizes of the table: two sequences, grouped heads, Dq ≠ Dk where a score projects.
inline constexpr std::int64_t kHeads = 4, kKvHeads = 2, kDim = 3, kValueDim = 2;
inline const Segments kQueries{4, 3}, kKeys{5, 3};

/// A part with the shapes of its learnable tensors; make() builds it from them.
template <class Part>
struct Row {
  std::string name;
  std::vector<Shape> parameters;
  std::function<Part(std::span<const Tensor>)> make;
};

/// A score of one's own: −‖q − k‖⁴ / 8.
inline PairScore quartic() {
  using Vector = PairScore::Vector;
  const auto square = [](Vector q, Vector k) {
    double sum = 0;
    for (std::size_t d = 0; d < q.size(); ++d) sum += (q[d] - k[d]) * (q[d] - k[d]);
    return sum;
  };
  return {"quartic", [=](Vector q, Vector k) { return -square(q, k) * square(q, k) / 8; },
          [=](Vector q, Vector k, double ds, std::span<double> dq, std::span<double> dk) {
            for (std::size_t d = 0; d < q.size(); ++d) {
              const double slope = -square(q, k) / 2 * (q[d] - k[d]) * ds;
              dq[d] += slope;
              dk[d] -= slope;
            }
          }};
}

inline std::vector<Row<Score>> scores() {
  using P = std::span<const Tensor>;
  return {
      {"scaled dot", {}, [](P) { return ScaledDot{}; }},
      {"dot", {}, [](P) { return ScaledDot{.scale = 1.0}; }},
      {"general", {{kDim, kDim}}, [](P p) { return General{.weight = p[0], .scale = 0.7}; }},
      {"general a head", {{kHeads, kDim, kDim}}, [](P p) { return General{.weight = p[0]}; }},
      {"additive, projected before", {{kDim}}, [](P p) { return Additive{.weight = p[0]}; }},
      {"additive",
       {{kHeads, 5}, {kDim, 5}, {kDim, 5}},
       [](P p) { return Additive{.weight = p[0], .query = p[1], .key = p[2]}; }},
      {"additive, leaky",
       {{kHeads, kDim}},
       [](P p) {
         return Additive{
             .weight = p[0], .query = {}, .key = {}, .activation = LeakyRelu{.slope = 0.3}};
       }},
      {"concat", {{2 * kDim, 5}, {5}}, [](P p) { return Concat{.matrix = p[0], .weight = p[1]}; }},
      {"cosine", {{kHeads}}, [](P p) { return Cosine{.scale = 2.0, .temperature = p[0]}; }},
      {"gaussian", {}, [](P) { return Gaussian{.width = 1.5}; }},
      {"gaussian diagonal", {{kDim}}, [](P p) { return Gaussian{.inverse_width = p[0]}; }},
      {"gaussian full", {{kDim, 2}}, [](P p) { return Gaussian{.factor = p[0]}; }},
      {"l1", {}, [](P) { return L1{}; }},
      {"pair", {}, [](P) { return quartic(); }},
  };
}

inline std::vector<Row<Biases>> biases() {
  using P = std::span<const Tensor>;
  const FunctionBias bump{
      "bump",
      [](double s, const auto& where) {
        return s + 0.1 * std::sin(s) * static_cast<double>(where.head + where.key - where.place);
      },
      [](double s, const auto& where) {
        return 1 + 0.1 * std::cos(s) * static_cast<double>(where.head + where.key - where.place);
      }};
  return {
      {"none", {}, [](P) { return Biases{}; }},
      {"soft cap", {}, [](P) { return Biases{SoftCap{.cap = 2.0}}; }},
      {"alibi", {{kHeads}}, [](P p) { return Biases{Alibi{.slopes = p[0]}}; }},
      {"distance",
       {{1, 5}},
       [](P p) { return Biases{DistanceBias{.table = p[0], .alignment = Alignment::top_left}}; }},
      {"t5",
       {{kHeads, 8}},
       [](P p) { return Biases{DistanceBias{.table = p[0], .bucket = t5_buckets(8, 16)}}; }},
      {"shaw", {{5, kDim}}, [](P p) { return Biases{ShawBias{.table = p[0]}}; }},
      {"tensor", {{1, 7, 8}}, [](P p) { return Biases{TensorBias{.tensor = p[0]}}; }},
      {"tensor a head, any row",
       {{kHeads, 1, 8}},
       [](P p) { return Biases{TensorBias{.tensor = p[0]}}; }},
      {"tensor packed",
       {{1, 7, 8}},
       [](P p) { return Biases{TensorBias{.tensor = p[0], .packed = true}}; }},
      {"function", {}, [bump](P) { return Biases{bump}; }},
      {"two",
       {{1, 7, 1}, {kHeads}},
       [](P p) {
         return Biases{TensorBias{.tensor = p[0]}, SoftCap{.cap = 3.0}, Alibi{.slopes = p[1]}};
       }},
  };
}

struct MaskRowOfTable {
  std::string name;
  Mask mask;
};
inline std::vector<MaskRowOfTable> masks() {
  const Mask own = segments(kQueries, kKeys);
  const Mask odd = Mask::of("odd", [](const MaskRow& row, Intervals& keys) {
    for (std::int64_t j = row.query % 2; j < row.all_keys; j += 2) {
      if (row.query % 3 != 1) keys.push_back({j, j + 1});  // some rows see nothing
    }
  });
  return {{"segments", own},
          {"causal", own & causal()},
          {"odd", own & odd},
          {"window or prefix", own & (window(1) | prefix(1))},
          {"graph", own & graph({{0, 2, 4}, {}, {1}, {0, 1, 2, 3, 4}, {5, 7}, {6}, {5, 6, 7}})},
          {"everything", everything()}};
}

/// A normaliser of one's own: squares over their sum plus one.
inline RowNormaliser squares() {
  return {"squares",
          [](std::span<const double> s, std::span<double> p) {
            double sum = 1;
            for (const double x : s) sum += x * x;
            for (std::size_t j = 0; j < s.size(); ++j) p[j] = s[j] * s[j] / sum;
          },
          [](std::span<const double> s, std::span<const double> p, std::span<const double> dp,
             std::span<double> ds) {
            double sum = 1, delta = 0;
            for (std::size_t j = 0; j < s.size(); ++j) {
              sum += s[j] * s[j];
              delta += p[j] * dp[j];
            }
            for (std::size_t j = 0; j < s.size(); ++j) ds[j] = 2 * s[j] / sum * (dp[j] - delta);
          }};
}

inline std::vector<Row<Normaliser>> normalisers() {
  using P = std::span<const Tensor>;
  return {
      {"softmax", {}, [](P) { return Softmax{}; }},
      {"sink", {{kHeads}}, [](P p) { return SoftmaxSink{.sink = p[0]}; }},
      {"off by one", {}, [](P) { return SoftmaxSink{}; }},
      {"relu", {}, [](P) { return Relu{}; }},
      {"relu mean", {}, [](P) { return Relu{.mean = true}; }},
      {"sigmoid", {}, [](P) { return Sigmoid{.shift = -1.0}; }},
      {"triangular", {}, [](P) { return KernelSum{.window = KernelSum::Window::triangular}; }},
      {"epanechnikov", {}, [](P) { return KernelSum{.window = KernelSum::Window::epanechnikov}; }},
      {"boxcar", {}, [](P) { return KernelSum{.window = KernelSum::Window::boxcar}; }},
      {"sparsemax", {}, [](P) { return Sparsemax{}; }},
      {"entmax 1.5", {}, [](P) { return Entmax{}; }},
      {"entmax 1.3", {}, [](P) { return Entmax{.alpha = 1.3}; }},
      {"hard", {}, [](P) { return Hard{}; }},
      {"row", {}, [](P) { return squares(); }},
  };
}

}  // namespace qkv::testing
