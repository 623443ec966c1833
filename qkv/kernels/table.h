// Kernels by device and type: the one place where an operation's call is turned into a loop.
// Another device, or another type, is another row; what stands above ops and attention names no
// kernel.
#pragma once

#include <cstdint>

#include "qkv/kernels/attention/attend.h"
#include "qkv/kernels/attention/linear.h"
#include "qkv/kernels/convolve.h"
#include "qkv/kernels/crf.h"
#include "qkv/kernels/ctc.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/embedding.h"
#include "qkv/kernels/features.h"
#include "qkv/kernels/gate.h"
#include "qkv/kernels/gemm.h"
#include "qkv/kernels/heads.h"
#include "qkv/kernels/loss.h"
#include "qkv/kernels/norm.h"
#include "qkv/kernels/recurrent.h"
#include "qkv/kernels/sparse_product.h"

/// The kernels that have a definition: their shapes and meaning stand in their headers.
// clang-format off
#define QKV_KERNELS(ROW)        \
  ROW(add)                      \
  ROW(attend)                   \
  ROW(attend_backward)          \
  ROW(axpby)                    \
  ROW(bias_activation)          \
  ROW(bias_activation_backward) \
  ROW(cell_backward)            \
  ROW(cell_forward)             \
  ROW(clamp)                    \
  ROW(clamp_backward)           \
  ROW(column_sums)              \
  ROW(convolve)                 \
  ROW(convolve_input)           \
  ROW(convolve_weight)          \
  ROW(crf_best)                 \
  ROW(crf_expectation)          \
  ROW(crf_partition)            \
  ROW(cross_entropy)            \
  ROW(dropout)                  \
  ROW(embed)                    \
  ROW(embed_backward)           \
  ROW(gate)                     \
  ROW(gate_backward)            \
  ROW(layer_norm)               \
  ROW(layer_norm_backward)      \
  ROW(linear_attend)            \
  ROW(linear_attend_backward)   \
  ROW(linear_step)              \
  ROW(linear_sums)              \
  ROW(multiply)                 \
  ROW(recurrent_backward)       \
  ROW(recurrent_forward)        \
  ROW(rotate)                   \
  ROW(row_scale)                \
  ROW(row_scale_backward)
// clang-format on

namespace qkv::kernels {

enum class Device : std::uint8_t { cpu };

/// All kernels for numbers of type T; the signatures are those of the definitions.
template <class T>
struct Table {
#define QKV_ROW(name) decltype(&definition::name<T>) name;
  QKV_KERNELS(QKV_ROW)
#undef QKV_ROW
  void (*gemm_nn)(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda,
                  const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc);
  decltype(gemm_nn) gemm_tn;
  decltype(&kernels::transpose<T>) transpose;
  decltype(&kernels::scale_features<T>) scale_features;
  decltype(&kernels::scale_features_backward<T>) scale_features_backward;
  decltype(&kernels::distance_side<T>) distance_side;
  decltype(&kernels::distance_side_backward<T>) distance_side_backward;
  decltype(&kernels::sparse_product<T>) sparse_product;
  decltype(&kernels::sparse_product_backward<T>) sparse_product_backward;
  decltype(&kernels::ctc<T>) ctc;
};

/// The row of a device for float or double. Double has definitions alone; products and what has one
/// form for both types are the same in both forms.
template <class T>
const Table<T>& table(Device device, bool definitions);

}  // namespace qkv::kernels
