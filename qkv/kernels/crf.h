// Sums over all paths of linear chains and the best of them (linear-chain CRF; qkv/ops/crf.h has
// the formula). The sequences of a packed batch are independent of each other: each has the same
// bits alone and among others, with any number of threads.
//
// The fast form leaves the logarithms: Σ_i exp(a_i + A_ij) is a product of the vector exp(a − max
// a) with the matrix exp(A), which is made once. Where such a sum becomes too small to be trusted
// (one label far behind the others is the only way on), it is formed again in logarithms.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// Any number may be −inf (forbidden).
template <class T>
struct CrfChains {
  std::int64_t labels;          // L
  std::int64_t sequences;       // B
  const std::int64_t* offsets;  // [B+1]
  const T* emissions;           // [T L]
  const T* transition;          // [L L], row: from, column: to
  const T* start;               // [L]
  const T* end;                 // [L]

  std::int64_t rows() const { return offsets[sequences]; }
};

/// How often each thing is expected, d log Z / d of it.
template <class T>
struct CrfExpectation {
  T* emissions;   // [T L]
  T* transition;  // [L L], all sequences together
  T* start;       // [L]
  T* end;         // [L]
};

namespace definition {

/// log_z [B]: of an empty sequence 0, without any allowed path −inf.
template <class T>
void crf_partition(const CrfChains<T>& a, double* log_z);
/// The same with the expectation; a sequence whose log Z is not finite adds nothing to it.
template <class T>
void crf_expectation(const CrfChains<T>& a, double* log_z, const CrfExpectation<T>& to);
/// labels [T] of the best path of each sequence; ties go to the lowest label, from the end on.
template <class T>
void crf_best(const CrfChains<T>& a, std::int32_t* labels);

}  // namespace definition

void crf_partition(const CrfChains<float>& a, double* log_z);
void crf_expectation(const CrfChains<float>& a, double* log_z, const CrfExpectation<float>& to);
void crf_best(const CrfChains<float>& a, std::int32_t* labels);

}  // namespace qkv::kernels
