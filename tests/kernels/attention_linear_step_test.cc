// The recurrent form of linear attention against the causal one.
#include <cmath>
#include <limits>

#include "kernels/linear_cases.h"
#include <gtest/gtest.h>

namespace qkv::kernels {
namespace {

using Form = LinearForm;
template <class T>
using Problem = LinearProblem<T>;

/// Feeds a sequence token by token; `after(i, s, z, out)` looks on.
template <class T, class Step, class After>
void each_step(const Problem<T>& p, Step&& step, After&& after) {
  const Form& f = p.form;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> s(static_cast<std::size_t>(f.kv_heads * f.dim * f.value_dim), T{0});
  std::vector<T> z(static_cast<std::size_t>(f.kv_heads * f.dim), T{0});
  std::vector<T> out(static_cast<std::size_t>(f.heads * f.value_dim), nan);
  for (std::int64_t i = 0; i < p.segments[0].q_end; ++i) {
    step(LinearStep<T>{1, f.heads, f.kv_heads, f.dim, f.value_dim, f.map, f.eps,
                       p.q.data() + i * f.heads * f.dim, p.k.data() + i * f.kv_heads * f.dim,
                       p.v.data() + i * f.kv_heads * f.value_dim, s.data(), z.data(), out.data()});
    after(i, s, z, out);
  }
}

TEST(LinearStep, TokenByTokenIsTheCausalForm) {
  for (const Form& form : {Form{1, 1, 7, 5}, Form{4, 2, 33, 64}, Form{2, 1, 64, 100}}) {
    Form f = form;
    f.causal = true;
    Problem<double> exact({{150, 150}}, f);
    Problem<float> fast({{150, 150}}, f);
    exact.run_definition();
    const auto width = static_cast<std::size_t>(f.heads * f.value_dim);
    each_step(exact, definition::linear_step<double>,
              [&](std::int64_t i, const auto&, const auto&, const auto& out) {
                for (std::size_t e = 0; e < width; ++e) {
                  ASSERT_NEAR(out[e], exact.out[static_cast<std::size_t>(i) * width + e], 1e-12);
                }
              });
    on_every_target([&] {
      each_step(
          fast, [](const LinearStep<float>& a) { linear_step(a); },
          [&](std::int64_t i, const auto&, const auto&, const auto& out) {
            for (std::size_t e = 0; e < width; ++e) {
              ASSERT_NEAR(static_cast<double>(out[e]),
                          exact.out[static_cast<std::size_t>(i) * width + e], 1e-5);
            }
          });
    });
  }
}

TEST(LinearStep, SumsOfAPrefixAreThoseOfItsSteps) {
  const Form f{4, 2, 33, 17};
  Problem<double> exact({{1200, 1200}}, f);
  Problem<float> fast({{1200, 1200}}, f);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> s(2 * 33 * 17, nan), z(2 * 33, nan);
  linear_sums(LinearSums<float>{fast.inputs(), s.data(), z.data()});
  std::vector<double> exact_s(s.size()), exact_z(z.size());
  definition::linear_sums(LinearSums<double>{exact.inputs(), exact_s.data(), exact_z.data()});
  std::vector<double> stepped_s, stepped_z;
  each_step(exact, definition::linear_step<double>,
            [&](std::int64_t, const auto& now_s, const auto& now_z, const auto&) {
              stepped_s = now_s;
              stepped_z = now_z;
            });
  EXPECT_TRUE(close(stepped_s, exact_s, 1e-12));
  EXPECT_TRUE(close(stepped_z, exact_z, 1e-12));
  EXPECT_TRUE(close(s, exact_s, 1e-4));  // 1200 terms of both signs, of about 1
  EXPECT_TRUE(close(z, exact_z, 1e-6));
  EXPECT_TRUE(same_bits(s, with_threads(3, [&] {
                          linear_sums(LinearSums<float>{fast.inputs(), s.data(), z.data()});
                          return s;
                        })));
}

TEST(LinearStep, AHypothesisDoesNotKnowItsNeighbours) {
  const std::int64_t rows = 40, dim = 20, value_dim = 70;
  const auto run = [&](std::int64_t first, std::int64_t count) {
    const auto part = [&](std::int64_t width, std::uint64_t key) {
      const std::vector<float> all = numbers<float>(rows * width, key);
      return std::vector<float>(all.begin() + first * width, all.begin() + (first + count) * width);
    };
    const auto q = part(2 * dim, 1), k = part(dim, 2), v = part(value_dim, 3);
    auto s = part(dim * value_dim, 4), z = part(dim, 5);
    for (float& x : z) x = std::abs(x);
    std::vector<float> out(static_cast<std::size_t>(count * 2 * value_dim));
    linear_step({count, 2, 1, dim, value_dim, LinearMap::elu_plus_one, 1e-6, q.data(), k.data(),
                 v.data(), s.data(), z.data(), out.data()});
    append(out, s);
    append(out, z);
    return out;
  };
  const auto all = for_any_threads([&] { return run(0, rows); });
  const auto one = run(17, 1);
  std::vector<float> mine(all.begin() + 17 * 2 * value_dim, all.begin() + 18 * 2 * value_dim);
  const std::int64_t sums = rows * 2 * value_dim + 17 * dim * value_dim;
  append(mine, {all.begin() + sums, all.begin() + sums + dim * value_dim});
  const std::int64_t zs = rows * (2 * value_dim + dim * value_dim) + 17 * dim;
  append(mine, {all.begin() + zs, all.begin() + zs + dim});
  EXPECT_TRUE(same_bits(mine, one));
}

TEST(LinearStep, ReadingChangesNothing) {
  Problem<float> p({{3, 3}}, {2, 1, 5, 6});
  std::vector<float> s(30, 0.5f), z(5, 0.25f), out(12);
  const auto s_before = s, z_before = z;
  linear_step({1, 2, 1, 5, 6, LinearMap::elu_plus_one, 0.0, p.q.data(), nullptr, nullptr, s.data(),
               z.data(), out.data()});
  EXPECT_TRUE(same_bits(s, s_before));
  EXPECT_TRUE(same_bits(z, z_before));
  for (float x : out) EXPECT_NEAR(x, 2.0f, 1e-6f);
}

}  // namespace
}  // namespace qkv::kernels
