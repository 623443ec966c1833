// One row of attention at a time, as the formulas read: which keys, which scores, which weights,
// and back. The definition is made of it, and whatever looks at single rows.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/normalise.h"

namespace qkv::kernels {

/// What a row needs to know of a call.
template <class T>
struct RowSource {
  const AttendPlan* plan;
  std::int64_t heads, kv_heads, dim;
  const T* q;
  const T* k;
  double scale;
  const AttendForm<T>* form = nullptr;  // null: product scores, softmax
};

/// Query row i of head h.
template <class T>
class AttendRow {
 public:
  explicit AttendRow(const RowSource<T>& source);

  /// Scores and weights of a row of a segment.
  void read(std::int64_t i, const AttendPlan::Segment& segment, std::int64_t head);
  /// The same in steps, for whoever has faster ones: the keys; the scores before and behind the
  /// biases; the weights.
  void find(std::int64_t i, const AttendPlan::Segment& segment, std::int64_t head);
  void score();
  void bias();
  void weigh() {
    weights.resize(scores.size());
    result = normalise<T>(s_.form->norm, head_, scores, weights);
  }

  std::vector<std::int64_t> keys;  // visible, ascending, absolute
  std::vector<T> scores;           // behind all biases
  std::vector<T> weights;          // before dropout
  RowResult<T> result{};

  /// The row last found, of another head.
  void take_head(std::int64_t head) { head_ = head; }

  /// The gradients of the weights, of lse and of entropy -> dq [D] and dk (both added to; dk at
  /// dk + (j·Hkv + h/group)·D) and the form's own gradients.
  void backward(const std::vector<T>& dweights, T dlse, T dentropy, T* dq, T* dk);
  /// The same in steps: dscores, of what the score itself gave, and the form's own gradients but
  /// that of its weight; then what one pair adds to dq [D], dk [D] and the weight's.
  void backward_to_scores(const std::vector<T>& dweights, T dlse, T dentropy);
  std::vector<T> dscores;
  void score_backward(const T* q, const T* k, T ds, T* dq, T* dk) const;

 private:
  T score_of(const T* q, const T* k) const;
  T* at(const BiasTerm<T>& bias, T* base, std::size_t n) const;

  RowSource<T> s_;
  std::int64_t i_ = 0, head_ = 0;
  AttendPlan::Segment segment_{};
  std::vector<std::vector<T>> before_;  // scores before bias b
};

/// visit(i, segment) for every query row of every segment.
template <class F>
void each_row(const AttendPlan& plan, F&& visit) {
  for (const AttendPlan::Segment& s : plan.segments) {
    for (std::int64_t i = s.q_begin; i < s.q_end; ++i) visit(i, s);
  }
}

}  // namespace qkv::kernels
