// Scores that compare a query row and a key row unit by unit, for whole blocks of rows: the
// additive score (Bahdanau et al. 2015) and the L1 score. Attention calls the tiles these are made
// of (additive-inl.h, l1-inl.h), which also say how large, infinite and NaN inputs come out; here
// they can be seen, tested and timed on their own. C units, Tq query rows, Tk key rows; nothing of
// size Tq·Tk·C is ever held.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// scores_ij = Σ_c w_c tanh(a_ic + b_jc): a the projected queries, b the projected keys.
template <class T>
struct AdditiveBlock {
  std::int64_t queries, keys, hidden;
  const T* a;  // [Tq C]
  const T* b;  // [Tk C]
  const T* w;  // [C]
  T* scores;   // [Tq Tk]
};

/// A zero in dscores leaves its pair out, whatever the rows hold.
template <class T>
struct AdditiveBlockBackward {
  std::int64_t queries, keys, hidden;
  const T* a;
  const T* b;
  const T* w;
  const T* dscores;  // [Tq Tk]
  T* da;             // [Tq C]: written
  T* db;             // [Tk C]: written
  T* dw;             // [C]: written
};

/// scores_ij = −scale · Σ_c |q_ic − k_jc|
template <class T>
struct L1Block {
  std::int64_t queries, keys, dim;
  const T* q;  // [Tq C]
  const T* k;  // [Tk C]
  double scale;
  T* scores;  // [Tq Tk]
};

/// The slope of |x| at 0 is taken as 0. A zero in dscores leaves its pair out.
template <class T>
struct L1BlockBackward {
  std::int64_t queries, keys, dim;
  const T* q;
  const T* k;
  double scale;
  const T* dscores;  // [Tq Tk]
  T* dq;             // [Tq C]: written
  T* dk;             // [Tk C]: written
};

namespace definition {
template <class T>
void additive_scores(const AdditiveBlock<T>& a);
template <class T>
void additive_scores_backward(const AdditiveBlockBackward<T>& a);
template <class T>
void l1_scores(const L1Block<T>& a);
template <class T>
void l1_scores_backward(const L1BlockBackward<T>& a);
}  // namespace definition

void additive_scores(const AdditiveBlock<float>& a);
void additive_scores_backward(const AdditiveBlockBackward<float>& a);
void l1_scores(const L1Block<float>& a);
void l1_scores_backward(const L1BlockBackward<float>& a);

}  // namespace qkv::kernels
