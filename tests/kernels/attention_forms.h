// Attention forms with random parameters for the tests of the general path: every score, bias and
// normaliser, the same numbers in float and double.
#pragma once

#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/attention_cases.h"

namespace qkv::testing {

using kernels::ScoreForm;
using kernels::WindowShape;

enum class BiasCase {
  soft_cap,
  distance,         // a table a head, as wide as any distance
  narrow_distance,  // one for all heads, clamped, counted from the top left
  tensor,           // [H Tq Tk] of a sequence
  packed_tensor,    // [H Tq Tk] of all rows and keys
  turned_tensor,    // [Tk Tq] for all heads
  row_tensor,       // [H Tq]
  key_tensor,       // [Tk] for pairs of heads
  one_number,
  row_table,
  narrow_row_table,
  function,
};
inline constexpr BiasCase kBiasCases[] = {
    BiasCase::soft_cap,   BiasCase::distance,         BiasCase::narrow_distance,
    BiasCase::tensor,     BiasCase::packed_tensor,    BiasCase::turned_tensor,
    BiasCase::row_tensor, BiasCase::key_tensor,       BiasCase::one_number,
    BiasCase::row_table,  BiasCase::narrow_row_table, BiasCase::function};

struct NormCase {
  using Kind = kernels::NormForm<float>::Kind;
  std::string name;
  Kind kind = Kind::softmax;
  WindowShape window = WindowShape::boxcar;
  double alpha = 1.5;
  bool mean = false, sinks = false;  // sinks: with numbers of its own
  bool exponential() const { return kind == Kind::softmax || kind == Kind::sink; }
};
inline const std::vector<NormCase>& norm_cases() {
  using Kind = NormCase::Kind;
  static const std::vector<NormCase> cases = {
      {"softmax", Kind::softmax},
      {"sink of one", Kind::sink},
      {"sink", Kind::sink, {}, 1.5, false, true},
      {"relu", Kind::relu},
      {"relu mean", Kind::relu, {}, 1.5, true},
      {"sigmoid", Kind::sigmoid},
      {"boxcar", Kind::kernel_sum, WindowShape::boxcar},
      {"triangular", Kind::kernel_sum, WindowShape::triangular},
      {"epanechnikov", Kind::kernel_sum, WindowShape::epanechnikov},
      {"sparsemax", Kind::sparsemax},
      {"entmax 1.5", Kind::entmax, {}, 1.5},
      {"entmax 1.25", Kind::entmax, {}, 1.25},
      {"hard", Kind::hard},
      {"row", Kind::row}};
  return cases;
}

struct FormCase {
  ScoreForm score = ScoreForm::product;
  std::vector<BiasCase> biases;
  NormCase norm;
};

/// −½ of the mean squared distance; refuses NaN: hidden pairs must not reach it.
inline const kernels::PairFunctions& gaussian_pair() {
  using Vector = kernels::PairFunctions::Vector;
  static const kernels::PairFunctions functions{
      "gaussian",
      [](Vector q, Vector k) {
        double sum = 0;
        for (std::size_t d = 0; d < q.size(); ++d) sum += (q[d] - k[d]) * (q[d] - k[d]);
        if (std::isnan(sum)) throw std::runtime_error("a pair that is hidden");
        return -0.5 * sum / static_cast<double>(q.size());
      },
      [](Vector q, Vector k, double ds, std::span<double> dq, std::span<double> dk) {
        for (std::size_t d = 0; d < q.size(); ++d) {
          const double step = ds * (q[d] - k[d]) / static_cast<double>(q.size());
          dq[d] -= step;
          dk[d] += step;
        }
      }};
  return functions;
}

inline const kernels::ScoreFunctions& waves() {
  using Place = kernels::PairPlace;
  static const kernels::ScoreFunctions functions{
      "waves",
      [](double s, const Place& at) {
        if (std::isnan(s)) throw std::runtime_error("a score that is hidden");
        return s + 0.3 * std::sin(s) + 0.0005 * static_cast<double>(at.head + at.place - at.key);
      },
      [](double s, const Place&) { return 1 + 0.3 * std::cos(s); }};
  return functions;
}

/// p_j = s_j² / n.
inline const kernels::RowFunctions& mean_squares() {
  using Row = std::span<const double>;
  static const kernels::RowFunctions functions{
      "mean squares",
      [](Row s, std::span<double> p) {
        for (std::size_t j = 0; j < s.size(); ++j)
          p[j] = s[j] * s[j] / static_cast<double>(s.size());
      },
      [](Row s, Row, Row dp, std::span<double> ds) {
        for (std::size_t j = 0; j < s.size(); ++j) {
          ds[j] = 2 * s[j] * dp[j] / static_cast<double>(s.size());
        }
      }};
  return functions;
}

/// A problem with a form; gradients of parameters begin at 1, since they are added to.
template <class T>
struct FormProblem : Problem<T> {
  using Bias = kernels::BiasTerm<T>;
  kernels::AttendForm<T> form;
  std::deque<std::vector<T>> values, gradients;  // of all parameters, in pairs
  std::vector<T> entropy, dentropy;
  bool exponential;

  FormProblem(const kernels::AttendPlan& p, Heads h, const FormCase& c, std::uint64_t seed)
      : Problem<T>(p, h, seed, size_of(c)), exponential(c.norm.exponential()), random_(seed + 1) {
    const bool window = c.norm.kind == NormCase::Kind::kernel_sum;
    form.score = c.score;
    form.norm.kind = static_cast<typename kernels::NormForm<T>::Kind>(c.norm.kind);
    form.norm.window = c.norm.window;
    form.norm.alpha = c.norm.alpha;
    form.norm.mean = c.norm.mean;
    form.norm.shift = -0.5;
    form.norm.row = &mean_squares();
    form.pair = &gaussian_pair();
    if (c.norm.sinks) form.norm.sink = learn(h.heads, 1.0, form.norm.dsink);
    if (c.score == ScoreForm::additive) {
      form.weight = learn(h.heads * h.dim, window ? 0.05 : 0.5, form.dweight);
      form.weight_stride = h.dim;
    }
    for (const BiasCase bias : c.biases) add(bias, window ? 0.02 : 0.7);
    // Scores of compact kernels are −u²/2; the triangular one is steep at 0.
    if (window && c.score != ScoreForm::l1 && c.score != ScoreForm::pair) {
      add(BiasCase::one_number, 0.0);
      values.back()[0] = static_cast<T>(-0.3f);
    }
    dentropy.resize(this->dlse.size());
    for (T& x : dentropy) x = static_cast<T>(static_cast<float>(random_.normal()));
    entropy.resize(this->dlse.size());
  }
  FormProblem(const FormProblem&) = delete;

  void run(bool definition = false) {
    this->poison();
    std::fill(entropy.begin(), entropy.end(), std::numeric_limits<T>::signaling_NaN());
    for (auto& x : gradients) std::fill(x.begin(), x.end(), T{1});
    auto forward = this->forward();
    forward.form = &form;
    forward.entropy = entropy.data();
    auto backward = this->backward(exponential);
    backward.form = &form;
    if (exponential) {
      backward.entropy = entropy.data();
      backward.dentropy = dentropy.data();
    }
    if (definition) {
      kernels::definition::attend(forward);
      kernels::definition::attend_backward(backward);
    } else if constexpr (std::is_same_v<T, float>) {
      kernels::attend(forward);
      kernels::attend_backward(backward);
    }
  }

 private:
  /// How large features are, so that scores of compact kernels stay near.
  static double size_of(const FormCase& c) {
    const bool window = c.norm.kind == NormCase::Kind::kernel_sum;
    return !window                      ? 1.0
           : c.score == ScoreForm::pair ? 0.5
           : c.score == ScoreForm::l1   ? 0.09
                                        : 0.25;
  }
  const T* learn(std::int64_t count, double size, T*& gradient) {
    values.emplace_back();
    for (std::int64_t i = 0; i < count; ++i) {
      values.back().push_back(static_cast<T>(static_cast<float>(size * random_.normal())));
    }
    gradients.emplace_back(static_cast<std::size_t>(count), T{1});
    gradient = gradients.back().data();
    return values.back().data();
  }

  void add(BiasCase bias, double size);

  Philox random_;
};

template <class T>
void FormProblem<T>::add(BiasCase which, double size) {
  using Kind = typename Bias::Kind;
  std::int64_t queries = 0, keys = 0;  // of the longest sequence
  for (const auto& s : this->plan->segments) {
    queries = std::max(queries, s.q_end - s.q_begin);
    keys = std::max(keys, s.k_end - s.k_begin);
  }
  const std::int64_t heads = this->n.heads;
  Bias b;
  const auto distances = [&](Kind kind, std::int64_t left, std::int64_t width, std::int64_t lines) {
    b.kind = kind;
    b.left = left;
    b.size = width;
    b.values = learn(lines * width, size, b.gradient);
  };
  const auto tensor = [&](std::int64_t head_stride, std::int64_t row_stride,
                          std::int64_t key_stride, std::int64_t count) {
    b.kind = Kind::tensor;
    b.head_stride = head_stride;
    b.row_stride = row_stride;
    b.key_stride = key_stride;
    b.values = learn(count, size, b.gradient);
  };
  switch (which) {
    case BiasCase::soft_cap:
      b.cap = 0.8;
      break;
    case BiasCase::distance:
      b.head_stride = queries + keys;
      distances(Kind::distance, keys, queries + keys, heads);
      break;
    case BiasCase::narrow_distance:
      b.top_left = true;
      distances(Kind::distance, 4, 9, 1);
      break;
    case BiasCase::tensor:
      tensor(queries * keys, keys, 1, heads * queries * keys);
      break;
    case BiasCase::packed_tensor:
      b.packed = true;
      tensor(this->plan->queries * this->plan->keys, this->plan->keys, 1,
             heads * this->plan->queries * this->plan->keys);
      break;
    case BiasCase::turned_tensor:
      tensor(0, 1, queries, queries * keys);
      break;
    case BiasCase::row_tensor:
      tensor(queries, 1, 0, heads * queries);
      break;
    case BiasCase::key_tensor:
      b.group = 2;
      tensor(keys, 0, 1, (heads + 1) / 2 * keys);
      break;
    case BiasCase::one_number:
      tensor(0, 0, 0, 1);
      break;
    case BiasCase::row_table:
      distances(Kind::row_table, queries + keys, 2 * (queries + keys), this->plan->queries * heads);
      break;
    case BiasCase::narrow_row_table:
      distances(Kind::row_table, 3, 5, this->plan->queries * heads);
      break;
    case BiasCase::function:
      b.kind = Kind::function;
      b.function = &waves();
      break;
  }
  form.biases.push_back(b);
}

}  // namespace qkv::testing
