// Kernels that are made beside other work.
#include "qkv/ops/prepare.h"

#include <gtest/gtest.h>

#include "qkv/base/threads.h"
#include "qkv/ops/linear.h"

namespace qkv {
namespace {

TEST(ProductsBeside, ProductsMeanwhileAreRight) {
  for (const int count : {1, 2}) {
    const ThreadScope scope(count);
    const ProductsBeside first, again;
    const Tensor a = Tensor::full({40, 50}, 2.0), b = Tensor::full({50, 60}, 0.5);
    const Tensor product = matmul(a, b);
    for (const float x : product.values<float>()) ASSERT_EQ(x, 50.0f);
  }
}

}  // namespace
}  // namespace qkv
