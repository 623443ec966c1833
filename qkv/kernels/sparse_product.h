// Rows with few numbers times a matrix: a sum of rows of the matrix for each. Parallel over rows
// forward and over rows of the matrix backward, each sum in the order of the entries: same bits for
// any number of threads and neighbours.
#pragma once

#include <cstdint>

#include "qkv/base/random.h"

namespace qkv::kernels {

/// y_i[h·O + o] = Σ_e value_e · factor(e, h) · w[column_e][h·O + o] over the entries of row i;
/// factor: of the dropout, every head draws for itself (entry e of head h: element e·H + h).
template <class T>
struct SparseProduct {
  std::int64_t rows, columns, heads, width;  // N, C, H, O
  const std::int64_t* offsets;               // [N+1]
  const std::int32_t* column;                // [E]
  const float* value;                        // [E]
  const T* weight;                           // [C H·O]
  Dropout dropout;
};

/// y [N H·O]: written.
template <class T>
void sparse_product(const SparseProduct<T>& a, T* y);
/// dweight [C H·O]: written, from dy [N H·O]. a.weight is not read.
template <class T>
void sparse_product_backward(const SparseProduct<T>& a, const T* dy, T* dweight);

}  // namespace qkv::kernels
