// Scores: how well a key fits a query, before anything else. In all of them head h of the queries
// meets key head h / (H / Hkv). Whatever reduces to a product runs on the product kernel: General,
// Cosine and Gaussian by changing q and k first (differentiably), Concat by becoming Additive.
#pragma once

#include <functional>
#include <variant>

#include "qkv/kernels/attention/form.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// q·k / √D, or q·k · scale when scale is set (not 0); scale 1 is the plain dot product.
struct ScaledDot {
  double scale = 0.0;
};

/// scale · q W k (Luong et al. 2015, "general"). Of both sides the one with fewer rows is
/// projected.
struct General {
  Tensor weight;  // [Dq Dk], or [H Dq Dk] with a matrix a head
  double scale = 1.0;
};

/// tanh, as published.
struct Tanh {};
/// x above 0, slope · x below; its derivative at 0 is the slope.
struct LeakyRelu {
  double slope = 0.2;
};
using UnitActivation = std::variant<Tanh, LeakyRelu>;

/// Σ_a w_a f(q_a + k_a), f = tanh (Bahdanau et al. 2015), after the projections q·query and k·key;
/// an undefined projection means that this side is projected already. No biases. With LeakyRelu
/// and one unit this is graph attention (Veličković et al. 2018), with a head's features GATv2
/// (Brody et al. 2022); both in nn/graph_attention.h.
struct Additive {
  Tensor weight;  // [A], or [H A]
  Tensor query;   // [Dq A], or [H Dq A]; or undefined
  Tensor key;     // [Dk A], or [Hkv Dk A]; or undefined
  UnitActivation activation = Tanh{};
};

/// w·tanh(W [q; k]) (Luong et al. 2015): Additive with the two halves of W.
struct Concat {
  Tensor matrix;  // [Dq+Dk A]
  Tensor weight;  // [A], or [H A]
};

/// scale · t · q·k / (‖q‖ ‖k‖); a zero vector scores 0.
struct Cosine {
  double scale = 1.0;
  Tensor temperature;  // t: [1], or [H]; undefined: 1
};

/// −½ ‖(q − k) A‖²: one of
///   width σ                A = 1/σ
///   inverse_width [1|D]    A = diag(inverse_width), learnable
///   factor [D E]           Σ⁻¹ = A Aᵀ, learnable
/// Distances are measured from the first key of a sequence, so that far-away points lose no digits.
struct Gaussian {
  double width = 1.0;
  Tensor inverse_width;
  Tensor factor;
};

/// −scale · ‖q − k‖₁; the gradient of a tie is 0.
struct L1 {
  double scale = 0.5;
};

/// φ(x) = elu(x) + 1: x + 1 above 0, e^x below; positive, as published.
struct EluPlusOne {};
/// φ(x) = max(x, 0). A query without a positive number sees nothing: its output is 0.
struct ReluMap {};
/// A feature map of one's own: x [T H D] -> [T H F], any F, row by row, made of differentiable
/// operations; applied to queries and keys.
using UserMap = std::function<Tensor(const Tensor&)>;
using FeatureMap = std::variant<EluPlusOne, ReluMap, UserMap>;

/// log φ(q)·φ(k), whose softmax is φ(q)·φ(k) / Σ φ(q)·φ(k): linear attention (Katharopoulos et al.
/// 2020), computed by linear.h at a cost that does not grow with the number of keys. No 1/√D. It
/// takes no bias, no dropout and no normaliser but Softmax, and masks under which every row sees a
/// beginning of its sequence: segments(), causal(), lengths().
struct FeatureProduct {
  FeatureMap map = EluPlusOne{};
  double eps = 1e-6;  // added to the denominator, see LinearAttention::eps
};

/// A score of one's own, a function of one query and one key with its gradient: fused like the
/// others (nothing of size Tq×Tk is held), but called once a visible pair and pass.
using PairScore = kernels::PairFunctions;

}  // namespace qkv
