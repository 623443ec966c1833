#include "qkv/kernels/table.h"

#include "qkv/base/error.h"

namespace qkv::kernels {
namespace {

template <class T>
Table<T> definitions_on_cpu() {
  return {
#define QKV_ROW(name) .name = &definition::name<T>,
      QKV_KERNELS(QKV_ROW)
#undef QKV_ROW
          .gemm_nn = &gemm_nn,
      .gemm_tn = &gemm_tn,
      .transpose = &transpose<T>,
      .scale_features = &scale_features<T>,
      .scale_features_backward = &scale_features_backward<T>,
      .distance_side = &distance_side<T>,
      .distance_side_backward = &distance_side_backward<T>,
      .sparse_product = &sparse_product<T>,
      .sparse_product_backward = &sparse_product_backward<T>,
      .ctc = &ctc<T>,
  };
}

Table<float> fast_on_cpu() {
  Table<float> row = definitions_on_cpu<float>();
#define QKV_ROW(name) row.name = &kernels::name;
  QKV_KERNELS(QKV_ROW)
#undef QKV_ROW
  return row;
}

void check(Device device) {
  if (device != Device::cpu)
    fail("kernels: there are none for device {}", static_cast<int>(device));
}

}  // namespace

template <>
const Table<float>& table(Device device, bool definitions) {
  static const Table<float> fast = fast_on_cpu(), definition = definitions_on_cpu<float>();
  check(device);
  return definitions ? definition : fast;
}

template <>
const Table<double>& table(Device device, bool) {
  static const Table<double> definition = definitions_on_cpu<double>();
  check(device);
  return definition;
}

}  // namespace qkv::kernels
