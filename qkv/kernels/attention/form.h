// What stands between q, k and the weights, as raw memory: the score, the terms that change it and
// the normaliser. qkv/attention builds it from its value types; the definition and the general
// tiles read the same description. A null form means product scores and softmax.
//
// Place of query row i in its sequence (nq rows, nk keys), for everything that counts distances:
// i + nk − nq, so that the last query stands at the last key; `top_left` counts i itself.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace qkv::kernels {

enum class ScoreForm : std::uint8_t {
  product,   ///< scale · q·k
  additive,  ///< Σ_d weight[d] · f(q_d + k_d), f below; q and k are projected already
  l1,        ///< −scale · Σ_d |q_d − k_d|; the gradient of a tie is 0
  pair,      ///< a user's own function of one query and one key
};

/// What the additive score does to a sum of units.
enum class UnitActivation : std::uint8_t {
  tanh,
  leaky_relu,  ///< x above 0, slope · x from 0 down; the gradient at 0 is the slope
};

/// A user's own score. Called for visible pairs only, with one head's features.
struct PairFunctions {
  using Vector = std::span<const double>;
  std::string name;
  std::function<double(Vector q, Vector k)> value;
  /// Adds ds·∂s/∂q to dq and ds·∂s/∂k to dk.
  std::function<void(Vector q, Vector k, double ds, std::span<double> dq, std::span<double> dk)>
      gradient;
};

/// A user's own change of a score: s' = value(s, where).
struct PairPlace {
  std::int64_t head, place, key;  // key counted from the start of its sequence
};
struct ScoreFunctions {
  std::string name;
  std::function<double(double s, const PairPlace& where)> value;
  std::function<double(double s, const PairPlace& where)> derivative;  // ∂s'/∂s
};

/// One change of the scores, applied in the order of the list.
template <class T>
struct BiasTerm {
  enum class Kind : std::uint8_t {
    soft_cap,  ///< cap · tanh(s / cap)
    distance,  ///< s + values[h·head_stride + bucket], bucket = clamp(j − place + left, 0, size −
               ///< 1)
    tensor,     ///< s + values[h·head_stride + i·row_stride + j·key_stride]
    row_table,  ///< s + values[(i·H + h)·size + bucket], i absolute
    function,   ///< a user's own
  };
  Kind kind = Kind::soft_cap;
  double cap = 0.0;
  const T* values = nullptr;
  T* gradient = nullptr;  // backward: added to, in the layout of values; null when not wanted
  std::int64_t head_stride = 0, row_stride = 0, key_stride = 0;  // 0 broadcasts
  std::int64_t group = 1;  // tensor: heads that share one entry of the head axis
  bool packed = false;     // tensor: i and j count all rows and keys, not those of the sequence
  bool top_left = false;   // see above
  std::int64_t left = 0, size = 0;
  const ScoreFunctions* function = nullptr;

  std::int64_t bucket(std::int64_t distance) const {
    const std::int64_t at = distance + left;
    return at < 0 ? 0 : at >= size ? size - 1 : at;
  }
};

/// A user's own normaliser of the visible scores of one row.
struct RowFunctions {
  std::string name;
  std::function<void(std::span<const double> scores, std::span<double> weights)> forward;
  std::function<void(std::span<const double> scores, std::span<const double> weights,
                     std::span<const double> dweights, std::span<double> dscores)>
      backward;
};

enum class WindowShape : std::uint8_t { boxcar, triangular, epanechnikov };

template <class T>
struct NormForm {
  enum class Kind : std::uint8_t {
    softmax,     ///< exp s / Σ exp s
    sink,        ///< exp s / (exp sink_h + Σ exp s); sink null: 0
    relu,        ///< max(s, 0), divided by the number of visible keys when `mean`
    sigmoid,     ///< 1 / (1 + exp(−s − shift))
    kernel_sum,  ///< κ(u) / Σ κ(u) with u = √(−2 s): s is −½ of a squared distance
    sparsemax,   ///< the nearest point of the simplex (Martins & Astudillo 2016)
    entmax,      ///< [(α−1)s − τ]₊^(1/(α−1)) (Peters et al. 2019), 1 < α < 2
    hard,        ///< 1 for the first largest score; no gradient to the scores
    row,         ///< a user's own
  };
  Kind kind = Kind::softmax;
  WindowShape window = WindowShape::boxcar;
  double alpha = 1.5, shift = 0.0;
  bool mean = false;
  const T* sink = nullptr;  // [H]
  T* dsink = nullptr;       // [H], added to
  const RowFunctions* row = nullptr;

  bool exponential() const { return kind == Kind::softmax || kind == Kind::sink; }
  /// Whether a tile at a time suffices; the others need all scores of a row at once.
  bool streams() const { return kind <= Kind::kernel_sum; }
};

template <class T>
struct AttendForm {
  ScoreForm score = ScoreForm::product;
  const T* weight = nullptr;                         // additive: [D] or [H D]
  T* dweight = nullptr;                              // added to
  std::int64_t weight_stride = 0;                    // between heads; 0: shared
  UnitActivation activation = UnitActivation::tanh;  // additive
  double slope = 0.2;                                // leaky_relu
  const PairFunctions* pair = nullptr;
  std::vector<BiasTerm<T>> biases;
  NormForm<T> norm;

  bool additive(UnitActivation f) const { return score == ScoreForm::additive && activation == f; }
};

}  // namespace qkv::kernels
