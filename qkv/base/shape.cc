#include "qkv/base/shape.h"

#include "qkv/base/error.h"

namespace qkv {

void Shape::refuse(std::int64_t size) const {
  if (size < 0) fail<ShapeError>("shape: negative size {}", size);
  fail<ShapeError>("shape: more than {} axes", kMaxRank);
}

void Shape::no_axis(int i) const { fail<ShapeError>("shape: axis {} of {}", i, to_string(*this)); }

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace qkv
