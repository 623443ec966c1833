// What the tests of networks over pictures share.
#pragma once

#include <string_view>
#include <vector>

#include "golden/fill.h"
#include "models/helpers.h"

#include "qkv/base/parallel.h"
#include "qkv/ops/pieces.h"
#include "qkv/tensor/grids.h"

namespace qkv::testing {

/// A norm's weight, by its published name.
inline bool is_norm_weight(std::string_view name) {
  return name.find("norm") != std::string_view::npos && name.size() > 7 &&
         name.substr(name.size() - 7) == ".weight";
}

/// Random pictures of these sizes.
inline Tensor pictures_of(const Grids& grids, std::int64_t channels, std::uint64_t seed,
                          DType type = DType::f32) {
  return random_tensor({grids.total(), channels}, seed, type);
}

/// f(x, grids) for each picture alone: one result below the other.
template <class F>
Tensor one_by_one(const Tensor& x, const Grids& grids, F&& f) {
  std::vector<Tensor> parts;
  for (std::int64_t b = 0; b < grids.count(); ++b) {
    parts.push_back(f(x.rows(grids.begin(b), grids.segments().end(b)), Grids{grids[b]}));
  }
  return stack_rows(parts);
}

/// f() on one thread and on two.
template <class F>
void expect_same_on_two_threads(F&& f) {
  const int before = threads();
  set_threads(1);
  const Tensor one = f();
  set_threads(2);
  const Tensor two = f();
  set_threads(before);
  EXPECT_TRUE(same_bits(one, two));
}

}  // namespace qkv::testing
