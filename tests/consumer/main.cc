// Exits 0 when an installed qkv can be included, linked and called.
#include <cstdio>

#include <qkv/base/error.h>
#include <qkv/tensor/tensor.h>

int main() {
  const qkv::Tensor x = qkv::Tensor::full({2, 3}, 1.5);
  try {
    (void)x.reshaped({4, 2});
  } catch (const qkv::ShapeError& e) {
    std::printf("shape error, as it should be: %s\n", e.what());
    return x.count() == 6 ? 0 : 1;
  }
  return 1;
}
