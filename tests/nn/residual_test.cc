#include "qkv/nn/residual.h"

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/nn/linear.h"

namespace qkv {
namespace {

using testing::distance;
using testing::random_tensor;

struct Blocks {
  Linear f, g;
  LayerNorm norm1, norm2, last;

  Blocks() {
    Initialiser init(1);
    f = Linear::make(init, 6, 6);
    g = Linear::make(init, 6, 6);
    norm1 = LayerNorm::make(init, 6, 1e-5);
    norm2 = LayerNorm::make(init, 6, 1e-5);
    last = LayerNorm::make(init, 6, 1e-5);
    for (LayerNorm* norm : {&norm1, &norm2, &last}) {
      norm->weight = random_tensor({6}, 3);
      norm->bias = random_tensor({6}, 4);
    }
  }
  Tensor run(const Tensor& x, NormPlacement placement, double p, const LayerNorm& end) const {
    ResidualStream stream(x, placement, p);
    stream.sub_layer(norm1, [&](const Tensor& y) { return f(y); });
    stream.sub_layer(norm2, [&](const Tensor& y) { return g(y); });
    return stream.finish(end);
  }
};

TEST(ResidualStream, PostNormEqualsTheFormula) {
  const Blocks m;
  const Tensor x = random_tensor({5, 6}, 1);
  const Tensor y = m.norm1(add(x, m.f(x)));
  const Tensor z = m.norm2(add(y, m.g(y)));
  EXPECT_LT(distance(m.run(x, NormPlacement::post, 0, {}), z), 1e-5);
  EXPECT_LT(distance(m.run(x, NormPlacement::post, 0, m.last), m.last(z)), 1e-5);
}

TEST(ResidualStream, PreNormEqualsTheFormula) {
  const Blocks m;
  const Tensor x = random_tensor({5, 6}, 1);
  const Tensor y = add(x, m.f(m.norm1(x)));
  const Tensor z = add(y, m.g(m.norm2(y)));
  EXPECT_LT(distance(m.run(x, NormPlacement::pre, 0, {}), z), 1e-5);
  EXPECT_LT(distance(m.run(x, NormPlacement::pre, 0, m.last), m.last(z)), 1e-5);
}

TEST(ResidualStream, TakesRmsNormsToo) {
  const Blocks m;
  const RmsNorm norm1{random_tensor({6}, 7), 1e-3}, norm2{random_tensor({6}, 8), 1e-3};
  const Tensor x = random_tensor({5, 6}, 1);
  for (const NormPlacement placement : {NormPlacement::pre, NormPlacement::post}) {
    ResidualStream stream(x, placement, 0.0);
    stream.sub_layer(norm1, [&](const Tensor& y) { return m.f(y); });
    stream.sub_layer(norm2, [&](const Tensor& y) { return m.g(y); });
    const Tensor out = stream.finish(norm2);
    Tensor want;
    if (placement == NormPlacement::pre) {
      const Tensor y = add(x, m.f(norm1(x)));
      want = norm2(add(y, m.g(norm2(y))));
    } else {
      const Tensor y = norm1(add(x, m.f(x)));
      want = norm2(norm2(add(y, m.g(y))));
    }
    EXPECT_LT(distance(out, want), 1e-6);
  }
}

TEST(ResidualStream, DropsEachBranchOnce) {
  const Blocks m;
  const Tensor x = random_tensor({5, 6}, 1);
  Tape tape;
  const auto noisy = [&](auto f) {  // the same draws for both ways
    const Recording on(tape, 9);
    return f();
  };
  const Tensor post = noisy([&] { return m.run(x, NormPlacement::post, 0.4, {}); });
  EXPECT_LT(distance(post, noisy([&] {
                       const Tensor y = m.norm1(add(x, dropout(m.f(x), 0.4)));
                       return m.norm2(add(y, dropout(m.g(y), 0.4)));
                     })),
            1e-5);
  for (const LayerNorm& end : {LayerNorm{}, m.last}) {
    const Tensor pre = noisy([&] { return m.run(x, NormPlacement::pre, 0.4, end); });
    EXPECT_LT(distance(pre, noisy([&] {
                         const Tensor y = add(x, dropout(m.f(m.norm1(x)), 0.4));
                         const Tensor z = add(y, dropout(m.g(m.norm2(y)), 0.4));
                         return end.weight.defined() ? end(z) : z;
                       })),
              1e-5);
  }
  EXPECT_GT(distance(post, m.run(x, NormPlacement::post, 0.4, {})), 0.1);
}

TEST(ResidualStream, WithoutSubLayers) {
  const Blocks m;
  const Tensor x = random_tensor({5, 6}, 1);
  for (const NormPlacement placement : {NormPlacement::post, NormPlacement::pre}) {
    EXPECT_EQ(distance(ResidualStream(x, placement, 0.1).finish({}), x), 0.0);
    EXPECT_LT(distance(ResidualStream(x, placement, 0.1).finish(m.last), m.last(x)), 1e-6);
  }
}

}  // namespace
}  // namespace qkv
