#include "qkv/kernels/sparse_product.h"

#include <algorithm>
#include <vector>

#include "qkv/base/parallel.h"

namespace qkv::kernels {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// to += value · factor · from, a head after the other.
template <class T>
void add_entry(const SparseProduct<T>& a, std::int64_t e, const T* from, T* to) {
  for (std::int64_t h = 0; h < a.heads; ++h, from += a.width, to += a.width) {
    const float kept = dropout_factor(a.dropout, static_cast<std::uint64_t>(e * a.heads + h));
    if (kept == 0.0f) continue;
    const T factor = static_cast<T>(a.value[e]) * static_cast<T>(kept);
    for (std::int64_t o = 0; o < a.width; ++o) to[o] += factor * from[o];
  }
}

}  // namespace

template <class T>
void sparse_product(const SparseProduct<T>& a, T* y) {
  const std::int64_t all = a.heads * a.width;
  parallel_for(a.rows, 64, [&](std::int64_t i, std::int64_t end) {
    for (; i < end; ++i) {
      std::fill_n(y + i * all, all, T{0});
      for (std::int64_t e = a.offsets[i]; e < a.offsets[i + 1]; ++e) {
        add_entry(a, e, a.weight + a.column[e] * all, y + i * all);
      }
    }
  });
}

template <class T>
void sparse_product_backward(const SparseProduct<T>& a, const T* dy, T* dweight) {
  // The entries of each column, rows ascending.
  struct Entry {
    std::int64_t row, entry;
  };
  const std::int64_t all = a.heads * a.width;
  std::vector<std::int64_t> first(at(a.columns) + 1, 0);
  for (std::int64_t e = 0; e < a.offsets[a.rows]; ++e) ++first[at(a.column[e]) + 1];
  for (std::size_t c = 1; c < first.size(); ++c) first[c] += first[c - 1];
  std::vector<Entry> entries(at(first.back()));
  std::vector<std::int64_t> next(first.begin(), first.end() - 1);
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t e = a.offsets[i]; e < a.offsets[i + 1]; ++e) {
      entries[at(next[at(a.column[e])]++)] = {i, e};
    }
  }
  parallel_for(a.columns, 64, [&](std::int64_t c, std::int64_t end) {
    for (; c < end; ++c) {
      std::fill_n(dweight + c * all, all, T{0});
      for (std::int64_t x = first[at(c)]; x < first[at(c) + 1]; ++x) {
        add_entry(a, entries[at(x)].entry, dy + entries[at(x)].row * all, dweight + c * all);
      }
    }
  });
}

template void sparse_product(const SparseProduct<float>&, float*);
template void sparse_product(const SparseProduct<double>&, double*);
template void sparse_product_backward(const SparseProduct<float>&, const float*, float*);
template void sparse_product_backward(const SparseProduct<double>&, const double*, double*);

}  // namespace qkv::kernels
