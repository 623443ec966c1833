// What word2vec does a thousand times a word: two vectors nearer to each other, or apart.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// One example of a logistic regression, as in word2vec.c:
///   f = h·row,  g = (label − σ(f))·rate,  error += g·row,  row += g·h
/// in this order, so that `error` gets the row as it was. h [D], row [D], error [D]; h and error
/// are apart from row. label 1 pulls h and row together, 0 pushes them apart. Returns f. σ is
/// exact; word2vec.c reads it from a table of 1000 steps and takes 0 or 1 beyond ±6.
float pull(std::int64_t dim, const float* h, float* row, float label, float rate, float* error);

/// y += a·x, D numbers.
void add_scaled(std::int64_t dim, float a, const float* x, float* y);

namespace definition {
template <class T>
T pull(std::int64_t dim, const T* h, T* row, T label, T rate, T* error);
}  // namespace definition

}  // namespace qkv::kernels
