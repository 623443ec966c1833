#include "qkv/kernels/attention/rows.h"

#include <cmath>

namespace qkv::kernels {
namespace {

template <class T>
const AttendForm<T>& plain() {
  static const AttendForm<T> form;
  return form;
}

template <class T>
std::int64_t place_of(const BiasTerm<T>& bias, const AttendPlan::Segment& s, std::int64_t i) {
  const std::int64_t corner = bias.top_left ? 0 : (s.k_end - s.k_begin) - (s.q_end - s.q_begin);
  return i - s.q_begin + corner;
}

}  // namespace

template <class T>
AttendRow<T>::AttendRow(const RowSource<T>& source) : s_(source) {
  if (!s_.form) s_.form = &plain<T>();
  before_.resize(s_.form->biases.size());
}

template <class T>
T AttendRow<T>::score_of(const T* q, const T* k) const {
  const auto n = static_cast<std::size_t>(s_.dim);
  T sum = 0;
  switch (s_.form->score) {
    case ScoreForm::product:
      for (std::size_t d = 0; d < n; ++d) sum += q[d] * k[d];
      return static_cast<T>(s_.scale) * sum;
    case ScoreForm::additive: {
      const T* w = s_.form->weight + head_ * s_.form->weight_stride;
      if (s_.form->activation == UnitActivation::leaky_relu) {
        const T slope = static_cast<T>(s_.form->slope);
        for (std::size_t d = 0; d < n; ++d) {
          const T x = q[d] + k[d];
          sum += w[d] * (x > 0 ? x : slope * x);
        }
        return sum;
      }
      for (std::size_t d = 0; d < n; ++d) sum += w[d] * std::tanh(q[d] + k[d]);
      return sum;
    }
    case ScoreForm::l1:
      for (std::size_t d = 0; d < n; ++d) sum += std::abs(q[d] - k[d]);
      return -static_cast<T>(s_.scale) * sum;
    case ScoreForm::pair: {
      const std::vector<double> left(q, q + n), right(k, k + n);
      return static_cast<T>(s_.form->pair->value(left, right));
    }
  }
  return sum;
}

template <class T>
void AttendRow<T>::score_backward(const T* q, const T* k, T ds, T* dq, T* dk) const {
  const auto n = static_cast<std::size_t>(s_.dim);
  const T scaled = static_cast<T>(s_.scale) * ds;
  switch (s_.form->score) {
    case ScoreForm::product:
      for (std::size_t d = 0; d < n; ++d) {
        dq[d] += scaled * k[d];
        dk[d] += scaled * q[d];
      }
      return;
    case ScoreForm::additive: {
      const std::int64_t offset = head_ * s_.form->weight_stride;
      const T* w = s_.form->weight + offset;
      const bool leaky = s_.form->activation == UnitActivation::leaky_relu;
      for (std::size_t d = 0; d < n; ++d) {
        const T x = q[d] + k[d];
        const T along = leaky ? (x > 0 ? T{1} : static_cast<T>(s_.form->slope)) : T{0};
        const T y = leaky ? along * x : std::tanh(x);
        const T slope = ds * w[d] * (leaky ? along : 1 - y * y);
        dq[d] += slope;
        dk[d] += slope;
        if (s_.form->dweight) s_.form->dweight[static_cast<std::size_t>(offset) + d] += ds * y;
      }
      return;
    }
    case ScoreForm::l1:
      for (std::size_t d = 0; d < n; ++d) {
        const T slope = q[d] == k[d] ? T{0} : q[d] > k[d] ? -scaled : scaled;
        dq[d] += slope;
        dk[d] -= slope;
      }
      return;
    case ScoreForm::pair: {
      const std::vector<double> left(q, q + n), right(k, k + n);
      std::vector<double> dleft(n, 0.0), dright(n, 0.0);
      s_.form->pair->gradient(left, right, static_cast<double>(ds), dleft, dright);
      for (std::size_t d = 0; d < n; ++d) {
        dq[d] += static_cast<T>(dleft[d]);
        dk[d] += static_cast<T>(dright[d]);
      }
      return;
    }
  }
}

/// Where in base (values or gradient) the bias of visible key n of this row lies.
template <class T>
T* AttendRow<T>::at(const BiasTerm<T>& bias, T* base, std::size_t n) const {
  const std::int64_t key = keys[n] - segment_.k_begin;
  switch (bias.kind) {
    case BiasTerm<T>::Kind::distance:
      return base + head_ * bias.head_stride + bias.bucket(key - place_of(bias, segment_, i_));
    case BiasTerm<T>::Kind::tensor:
      return base + head_ / bias.group * bias.head_stride +
             (bias.packed ? i_ : i_ - segment_.q_begin) * bias.row_stride +
             (bias.packed ? keys[n] : key) * bias.key_stride;
    case BiasTerm<T>::Kind::row_table:
      return base + (i_ * s_.heads + head_) * bias.size +
             bias.bucket(key - place_of(bias, segment_, i_));
    default:
      return base;
  }
}

template <class T>
void AttendRow<T>::read(std::int64_t i, const AttendPlan::Segment& segment, std::int64_t head) {
  find(i, segment, head);
  score();
  bias();
  weigh();
}

template <class T>
void AttendRow<T>::find(std::int64_t i, const AttendPlan::Segment& segment, std::int64_t head) {
  i_ = i;
  head_ = head;
  segment_ = segment;
  keys.clear();
  const auto row = static_cast<std::size_t>(i);
  for (std::int64_t x = s_.plan->row_offsets[row]; x < s_.plan->row_offsets[row + 1]; ++x) {
    const Interval seen = s_.plan->intervals[static_cast<std::size_t>(x)];
    for (std::int64_t j = seen.begin; j < seen.end; ++j) keys.push_back(j);
  }
}

template <class T>
void AttendRow<T>::score() {
  const T* q = s_.q + (i_ * s_.heads + head_) * s_.dim;
  const std::int64_t kv_head = head_ / (s_.heads / s_.kv_heads);
  scores.resize(keys.size());
  for (std::size_t n = 0; n < keys.size(); ++n) {
    scores[n] = score_of(q, s_.k + (keys[n] * s_.kv_heads + kv_head) * s_.dim);
  }
}

template <class T>
void AttendRow<T>::bias() {
  for (std::size_t b = 0; b < s_.form->biases.size(); ++b) {
    const BiasTerm<T>& bias = s_.form->biases[b];
    before_[b] = scores;
    for (std::size_t n = 0; n < scores.size(); ++n) {
      switch (bias.kind) {
        case BiasTerm<T>::Kind::soft_cap: {
          const T cap = static_cast<T>(bias.cap);
          scores[n] = cap * std::tanh(scores[n] / cap);
          break;
        }
        case BiasTerm<T>::Kind::function:
          scores[n] = static_cast<T>(bias.function->value(
              static_cast<double>(scores[n]),
              {head_, place_of(bias, segment_, i_), keys[n] - segment_.k_begin}));
          break;
        default:
          scores[n] += *at(bias, const_cast<T*>(bias.values), n);
      }
    }
  }
}

template <class T>
void AttendRow<T>::backward_to_scores(const std::vector<T>& dweights, T dlse, T dentropy) {
  dscores.resize(scores.size());
  normalise_backward<T>(s_.form->norm, head_, scores, weights, result, dweights, dlse, dentropy,
                        dscores);
  for (std::size_t b = s_.form->biases.size(); b-- > 0;) {
    const BiasTerm<T>& bias = s_.form->biases[b];
    for (std::size_t n = 0; n < scores.size(); ++n) {
      switch (bias.kind) {
        case BiasTerm<T>::Kind::soft_cap: {
          const T t = std::tanh(before_[b][n] / static_cast<T>(bias.cap));
          dscores[n] *= 1 - t * t;
          break;
        }
        case BiasTerm<T>::Kind::function:
          dscores[n] *= static_cast<T>(bias.function->derivative(
              static_cast<double>(before_[b][n]),
              {head_, place_of(bias, segment_, i_), keys[n] - segment_.k_begin}));
          break;
        default:
          if (bias.gradient) *at(bias, bias.gradient, n) += dscores[n];
      }
    }
  }
}

template <class T>
void AttendRow<T>::backward(const std::vector<T>& dweights, T dlse, T dentropy, T* dq, T* dk) {
  backward_to_scores(dweights, dlse, dentropy);
  const T* q = s_.q + (i_ * s_.heads + head_) * s_.dim;
  const std::int64_t kv_head = head_ / (s_.heads / s_.kv_heads);
  for (std::size_t n = 0; n < scores.size(); ++n) {
    // A key without influence passes nothing on, so that what it holds (NaN) cannot leak.
    if (dscores[n] == 0) continue;
    const std::int64_t key = (keys[n] * s_.kv_heads + kv_head) * s_.dim;
    score_backward(q, s_.k + key, dscores[n], dq, dk + key);
  }
}

template class AttendRow<float>;
template class AttendRow<double>;

}  // namespace qkv::kernels
