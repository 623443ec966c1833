#include "qkv/kernels/ctc.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "qkv/base/parallel.h"

namespace qkv::kernels {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

double log_add(double a, double b) {
  if (a == kNever) return b;
  if (b == kNever) return a;
  const double most = std::max(a, b);
  return most + std::log1p(std::exp(std::min(a, b) - most));
}

/// One sequence: the text with blanks before, between and behind its labels, 2U + 1 states.
template <class T>
class Alignments {
 public:
  Alignments(const CtcTexts<T>& a, std::int64_t b)
      : labels_(a.labels),
        first_(a.offsets[b]),
        rows_(a.offsets[b + 1] - first_),
        size_(a.text_offsets[b + 1] - a.text_offsets[b]),
        text_(a.texts + a.text_offsets[b]) {
    std::int64_t needed = size_;
    for (std::int64_t u = 1; u < size_; ++u) needed += text_[u] == text_[u - 1] ? 1 : 0;
    possible_ = needed <= rows_;
    if (!possible_) return;
    p_.resize(at(rows_ * labels_));
    for (std::int64_t t = 0; t < rows_; ++t) {
      const T* from = a.logits + (first_ + t) * labels_;
      double* to = p_.data() + t * labels_;
      double most = kNever, sum = 0;
      for (std::int64_t l = 0; l < labels_; ++l)
        most = std::max(most, static_cast<double>(from[l]));
      for (std::int64_t l = 0; l < labels_; ++l)
        sum += std::exp(static_cast<double>(from[l]) - most);
      for (std::int64_t l = 0; l < labels_; ++l) {
        to[l] = static_cast<double>(from[l]) - most - std::log(sum);
      }
    }
  }

  bool possible() const { return possible_; }

  /// −log p(text).
  double forward() {
    alpha_.assign(at(rows_ * states()), kNever);
    for (std::int64_t t = 0; t < rows_; ++t) {
      for (std::int64_t s = 0; s < states(); ++s) {
        double sum = kNever;
        if (t == 0) {
          sum = s < 2 ? 0.0 : kNever;
        } else {
          sum = alpha(t - 1, s);
          if (s > 0) sum = log_add(sum, alpha(t - 1, s - 1));
          if (skips(s)) sum = log_add(sum, alpha(t - 1, s - 2));
        }
        alpha_[at(t * states() + s)] = sum + log_p(t, s);
      }
    }
    if (rows_ == 0) return 0;
    total_ = alpha(rows_ - 1, states() - 1);
    if (size_ > 0) total_ = log_add(total_, alpha(rows_ - 1, states() - 2));
    return -total_;
  }

  /// p − γ, γ the posterior of each label; after forward() gave a finite number.
  void backward(T* dlogits) const {
    // beta: of all ways on from state s at row t, its own label not counted.
    std::vector<double> beta(at(states()), kNever), next(at(states())), gamma(at(labels_));
    for (std::int64_t t = rows_ - 1; t >= 0; --t) {
      for (std::int64_t s = 0; s < states(); ++s) {
        if (t == rows_ - 1) {
          next[at(s)] = s >= states() - 2 ? 0.0 : kNever;
          continue;
        }
        double sum = beta[at(s)] + log_p(t + 1, s);
        if (s + 1 < states()) sum = log_add(sum, beta[at(s + 1)] + log_p(t + 1, s + 1));
        if (s + 2 < states() && skips(s + 2)) {
          sum = log_add(sum, beta[at(s + 2)] + log_p(t + 1, s + 2));
        }
        next[at(s)] = sum;
      }
      std::swap(beta, next);
      std::fill(gamma.begin(), gamma.end(), 0.0);
      for (std::int64_t s = 0; s < states(); ++s) {
        gamma[at(label(s))] += std::exp(alpha(t, s) + beta[at(s)] - total_);
      }
      T* to = dlogits + (first_ + t) * labels_;
      for (std::int64_t l = 0; l < labels_; ++l) {
        to[l] = static_cast<T>(std::exp(p_[at(t * labels_ + l)]) - gamma[at(l)]);
      }
    }
  }

  void no_gradient(T* dlogits) const {
    std::fill_n(dlogits + first_ * labels_, rows_ * labels_, T{0});
  }

 private:
  std::int64_t states() const { return 2 * size_ + 1; }
  std::int64_t label(std::int64_t s) const { return s % 2 == 0 ? 0 : text_[s / 2]; }
  /// Whether state s may be reached from s − 2: a label behind another one, without blank.
  bool skips(std::int64_t s) const { return s % 2 == 1 && s > 1 && label(s) != label(s - 2); }
  double log_p(std::int64_t t, std::int64_t s) const { return p_[at(t * labels_ + label(s))]; }
  double alpha(std::int64_t t, std::int64_t s) const { return alpha_[at(t * states() + s)]; }

  std::int64_t labels_, first_, rows_, size_;
  const std::int32_t* text_;
  bool possible_ = false;
  std::vector<double> p_, alpha_;  // [rows L] log-softmax, [rows states]
  double total_ = 0;
};

}  // namespace

template <class T>
void ctc(const CtcTexts<T>& a, double* nll, T* dlogits) {
  parallel_for(a.sequences, 1, [&](std::int64_t b, std::int64_t) {
    Alignments<T> sequence(a, b);
    nll[b] = sequence.possible() ? sequence.forward() : kImpossibleText;
    if (!dlogits) return;
    if (sequence.possible() && !std::isinf(nll[b])) {
      sequence.backward(dlogits);
    } else {
      sequence.no_gradient(dlogits);
    }
  });
}

template void ctc(const CtcTexts<float>&, double*, float*);
template void ctc(const CtcTexts<double>&, double*, double*);

}  // namespace qkv::kernels
