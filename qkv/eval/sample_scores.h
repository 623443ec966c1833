// How good made pictures are, from numbers about real and made ones: probabilities or features that
// some network gives, or the pixels themselves. None of these is "FID" or "IS", which mean one
// network's features: whoever prints a number names whose it is.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace qkv {

/// N rows of D numbers.
struct FeatureRows {
  std::size_t rows = 0, width = 0;
  std::vector<double> values;  // [rows width]

  std::span<const double> row(std::size_t n) const { return {values.data() + n * width, width}; }
};

/// exp of the mean over rows of KL(p(y|x) ‖ p(y)), p(y) the mean of the rows (Salimans et al.
/// 2016): from 1, all rows alike, to the number of classes. Throws Error for no row, and for a row
/// that is no distribution.
double class_score(const FeatureRows& probabilities);

struct FeatureMoments {
  std::vector<double> mean;        // [D]
  std::vector<double> covariance;  // [D D]
};
/// Of at least two rows; the covariance divides by N − 1.
FeatureMoments moments_of(const FeatureRows& features);
/// ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) (Fréchet 1957; Heusel et al. 2017), the root by the
/// eigenvalues of Σ₁^½ Σ₂ Σ₁^½, negative ones as 0.
double frechet_distance(const FeatureMoments& a, const FeatureMoments& b);

/// The squared maximum mean discrepancy with the kernel (x·y/D + 1)³, unbiased (Bińkowski et al.
/// 2018): 0 on average where both come from one distribution, so it may be negative. Throws Error
/// for less than two rows of either.
double kernel_distance(const FeatureRows& a, const FeatureRows& b);

/// The share of real rows whose nearest made row is nearer than their nearest other real row.
/// Throws Error for less than two real rows or no made one.
double coverage(const FeatureRows& real, const FeatureRows& made);

}  // namespace qkv
