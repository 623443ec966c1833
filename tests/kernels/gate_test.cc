#include "qkv/kernels/gate.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

constexpr Activation kActivations[] = {
    Activation::none,      Activation::relu,       Activation::gelu,
    Activation::gelu_tanh, Activation::tanh,       Activation::sigmoid,
    Activation::silu,      Activation::quick_gelu, Activation::elu};

TEST(Gate, FastFormIsTheDefinition) {
  on_every_target([] {
    std::vector<std::int64_t> sizes = kSizes;
    sizes.push_back(20'001);  // several pieces
    for (const std::int64_t n : sizes) {
      const auto g = normals(n, 1, 3.0), u = normals(n, 2), dy = normals(n, 3);
      for (const Activation activation : kActivations) {
        SCOPED_TRACE(testing::Message() << n << " activation " << static_cast<int>(activation));
        std::vector<double> want(g.size()), want_dg(g.size()), want_du(g.size());
        definition::gate(n, g.data(), u.data(), activation, want.data());
        definition::gate_backward(n, g.data(), u.data(), activation, dy.data(), want_dg.data(),
                                  want_du.data());
        const Guarded<float> fg(g), fu(u, 3), fdy(dy, 2);
        Guarded<float> y(n, 0.0f, 4), dg(n), du(n, 0.0f, 5);
        EXPECT_TRUE(close(for_any_threads([&] {
                            gate(n, fg.data(), fu.data(), activation, y.data());
                            return y.values();
                          }),
                          want, 1e-6));
        const auto both = for_any_threads([&] {
          gate_backward(n, fg.data(), fu.data(), activation, fdy.data(), dg.data(), du.data());
          auto all = dg.values();
          append(all, du.values());
          return all;
        });
        auto want_both = want_dg;
        append(want_both, want_du);
        EXPECT_TRUE(close(both, want_both, 4e-6));
        EXPECT_TRUE(y.intact() && dg.intact() && du.intact());
        // Either gradient alone, and in place.
        Guarded<float> alone(dy), other(dy), over(g);
        gate_backward(n, fg.data(), fu.data(), activation, alone.data(), alone.data(), nullptr);
        gate_backward(n, fg.data(), fu.data(), activation, other.data(), nullptr, other.data());
        EXPECT_TRUE(same_bits(alone.values(), dg.values()));
        EXPECT_TRUE(same_bits(other.values(), du.values()));
        gate(n, over.data(), fu.data(), activation, over.data());
        EXPECT_TRUE(same_bits(over.values(), y.values()));
      }
    }
  });
}

TEST(Gate, GradientByDifferences) {
  const auto g = normals(12, 4), u = normals(12, 5), w = normals(12, 6);
  const auto forward = [](const auto& gates, const auto& ups, Activation activation) {
    std::vector<double> y(gates.size());
    definition::gate(12, gates.data(), ups.data(), activation, y.data());
    return y;
  };
  for (const Activation activation : kActivations) {
    std::vector<double> dg(g.size()), du(g.size());
    definition::gate_backward(12, g.data(), u.data(), activation, w.data(), dg.data(), du.data());
    const std::string name = "activation " + std::to_string(static_cast<int>(activation));
    check_gradient([&](const auto& at) { return dot(forward(at, u, activation), w); }, g, dg,
                   name + " gate");
    check_gradient([&](const auto& at) { return dot(forward(g, at, activation), w); }, u, du,
                   name + " up");
  }
}

TEST(Gate, NanIsNotHidden) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  on_every_target([&] {
    for (const Activation activation : kActivations) {
      const std::vector<float> g = {nan, 1.0f}, u = {1.0f, nan};
      std::vector<float> y(2);
      gate(2, g.data(), u.data(), activation, y.data());
      EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1])) << static_cast<int>(activation);
    }
  });
}

}  // namespace
}  // namespace qkv::kernels
