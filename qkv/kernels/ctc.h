// Sums over all alignments of rows to shorter texts (CTC, Graves et al. 2006; qkv/ops/ctc.h has the
// formula), in logarithms and double for both types. Sequences are independent of each other: the
// same bits alone and among others, with any number of threads.
#pragma once

#include <cstdint>

namespace qkv::kernels {

template <class T>
struct CtcTexts {
  std::int64_t labels;               // L, label 0 is the blank
  std::int64_t sequences;            // B
  const std::int64_t* offsets;       // [B+1]: rows of each
  const T* logits;                   // [T L]
  const std::int64_t* text_offsets;  // [B+1]
  const std::int32_t* texts;         // labels in [1, L)
};

/// In place of a negative logarithm: the text has more labels, and blanks between equal neighbours,
/// than there are rows.
inline constexpr double kImpossibleText = -1;

/// nll [B] = −log p(text), or kImpossibleText; +∞ where −∞ among the logits forbids every
/// alignment. dlogits [T L] = ∂ nll / ∂ logits, zeros for the two; or null.
template <class T>
void ctc(const CtcTexts<T>& a, double* nll, T* dlogits);

}  // namespace qkv::kernels
