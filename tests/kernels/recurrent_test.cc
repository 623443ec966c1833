#include "qkv/kernels/recurrent.h"

#include "kernels/fixtures.h"

#include "qkv/kernels/gemm.h"

namespace qkv::kernels {
namespace {

constexpr Cell kCells[] = {Cell::gru, Cell::gru_reset_before, Cell::lstm};

std::string name_of(Cell cell) {
  return cell == Cell::gru ? "gru" : cell == Cell::lstm ? "lstm" : "gru_reset_before";
}

std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> offsets{0};
  for (std::int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

/// A batch with everything that a call reads and writes.
template <class T>
struct Batch {
  Cell cell;
  RecurrentPlan plan;
  std::int64_t width, rows, sequences, wide;
  bool initial, bias_on, lstm;
  Guarded<T> x, weight, bias, h0, c0, dout, dh, dc, weight_t;
  Guarded<T> out, final_h, final_c, hidden, cells, gates, inner;
  Guarded<T> dx, dweight, dbias, dh0, dc0;

  Batch(Cell which, const std::vector<std::int64_t>& lengths, std::int64_t w, bool reverse,
        bool with_initial = true, bool with_bias = true)
      : cell(which),
        plan(recurrent_plan(offsets_of(lengths), reverse)),
        width(w),
        rows(plan.rows()),
        sequences(plan.sequences()),
        wide(gates_of(cell) * w),
        initial(with_initial),
        bias_on(with_bias),
        lstm(cell == Cell::lstm),
        x(normals(rows * wide, 1), 1),
        weight(normals(w * wide, 2, 0.5), 2),
        bias(normals(wide, 3), 3),
        h0(normals(sequences * w, 4), 1),
        c0(normals(sequences * w, 5), 2),
        dout(normals(rows * (w + 2), 6), 1),
        dh(normals(sequences * w, 7), 3),
        dc(normals(sequences * w, 8), 1),
        weight_t(w * wide),
        out(rows * (w + 3)),
        final_h(sequences * w),
        final_c(sequences * w),
        hidden(rows * w),
        cells(rows * w),
        gates(rows * wide),
        inner(rows * w),
        dx(rows * wide),
        dweight(w * wide, T(0.5)),
        dbias(wide, T(0.25)),
        dh0(sequences * w),
        dc0(sequences * w) {
    transpose(w, wide, weight.data(), weight_t.data());
  }
  RecurrentForward<T> forward() {
    return {.cell = cell,
            .plan = &plan,
            .width = width,
            .x = x.data(),
            .weight = weight.data(),
            .bias = bias_on ? bias.data() : nullptr,
            .initial_h = initial ? h0.data() : nullptr,
            .initial_c = initial && lstm ? c0.data() : nullptr,
            .out = out.data(),
            .out_stride = width + 3,
            .final_h = final_h.data(),
            .final_c = lstm ? final_c.data() : nullptr,
            .hidden = hidden.data(),
            .cells = cells.data(),
            .gates = gates.data(),
            .inner = inner.data()};
  }
  RecurrentBackward<T> backward(bool from_out = true, bool from_final = true) {
    return {.forward = forward(),
            .weight_t = weight_t.data(),
            .dout = from_out ? dout.data() : nullptr,
            .dout_stride = width + 2,
            .dfinal_h = from_final ? dh.data() : nullptr,
            .dfinal_c = from_final && lstm ? dc.data() : nullptr,
            .dx = dx.data(),
            .dweight = dweight.data(),
            .dbias = bias_on ? dbias.data() : nullptr,
            .dinitial_h = dh0.data(),
            .dinitial_c = lstm ? dc0.data() : nullptr};
  }
  std::vector<T> results() const {
    std::vector<T> all;
    for (const Guarded<T>* g : {&out, &final_h, &final_c, &dx, &dweight, &dbias, &dh0, &dc0}) {
      append(all, g->values());
    }
    return all;
  }
  bool intact() const {
    for (const Guarded<T>* g : {&out, &final_h, &final_c, &hidden, &cells, &gates, &inner, &dx,
                                &dweight, &dbias, &dh0, &dc0}) {
      if (!g->intact()) return false;
    }
    return true;
  }
};

const std::vector<std::vector<std::int64_t>> kBatches = {{5, 0, 1, 7, 5}, {1},       {4},
                                                         {0, 0},          {1, 1, 1}, {}};

TEST(Recurrent, FastFormIsTheDefinition) {
  on_every_target([] {
    for (const Cell cell : kCells) {
      for (const std::int64_t width : {1, 7, 16, 33}) {
        for (const auto& lengths : kBatches) {
          for (const int variant : {0, 1, 2, 3}) {
            const bool reverse = variant & 1, rest = variant < 2;
            SCOPED_TRACE(name_of(cell) + " width " + std::to_string(width) + " batch of " +
                         std::to_string(lengths.size()) + " variant " + std::to_string(variant));
            Batch<double> slow(cell, lengths, width, reverse, rest, rest);
            definition::recurrent_forward(slow.forward());
            definition::recurrent_backward(slow.backward(rest || reverse, rest || !reverse));
            for_any_threads([&] {
              Batch<float> fast(cell, lengths, width, reverse, rest, rest);
              recurrent_forward(fast.forward());
              recurrent_backward(fast.backward(rest || reverse, rest || !reverse));
              EXPECT_TRUE(fast.intact());
              EXPECT_TRUE(close(fast.results(), slow.results(), 2e-5));
              return fast.results();
            });
          }
        }
      }
    }
  });
}

TEST(Recurrent, ASequenceHasTheSameBitsWhateverItsNeighbours) {
  constexpr std::int64_t kWidth = 48;
  const std::vector<std::int64_t> lengths = {6, 1, 9, 4, 9, 3};
  for (const Cell cell : kCells) {
    for (const bool reverse : {false, true}) {
      SCOPED_TRACE(name_of(cell));
      Batch<float> all(cell, lengths, kWidth, reverse);
      recurrent_forward(all.forward());
      recurrent_backward(all.backward());
      for (std::int64_t b = 0; b < all.sequences; ++b) {
        const auto at = static_cast<std::size_t>(b);
        Batch<float> alone(cell, {lengths[at]}, kWidth, reverse);
        const auto take = [&](Guarded<float>& to, const Guarded<float>& from, std::int64_t first) {
          for (std::int64_t i = 0; i < to.size(); ++i) to[i] = from[first + i];
        };
        const std::int64_t begin = all.plan.offsets[at];
        take(alone.x, all.x, begin * all.wide);
        take(alone.dout, all.dout, begin * (kWidth + 2));
        for (auto [to, from] : {std::pair{&alone.h0, &all.h0}, std::pair{&alone.c0, &all.c0},
                                std::pair{&alone.dh, &all.dh}, std::pair{&alone.dc, &all.dc}}) {
          take(*to, *from, b * kWidth);
        }
        take(alone.weight, all.weight, 0);
        take(alone.bias, all.bias, 0);
        take(alone.weight_t, all.weight_t, 0);
        recurrent_forward(alone.forward());
        recurrent_backward(alone.backward());
        const auto part = [](const Guarded<float>& of, std::int64_t first, std::int64_t n) {
          return std::vector<float>(of.data() + first, of.data() + first + n);
        };
        const auto same = [&](const Guarded<float>& one, const Guarded<float>& batch,
                              std::int64_t first) {
          EXPECT_TRUE(same_bits(one.values(), part(batch, first, one.size()))) << "sequence " << b;
        };
        same(alone.out, all.out, begin * (kWidth + 3));
        same(alone.dx, all.dx, begin * all.wide);
        same(alone.final_h, all.final_h, b * kWidth);
        same(alone.final_c, all.final_c, b * kWidth);
        same(alone.dh0, all.dh0, b * kWidth);
        same(alone.dc0, all.dc0, b * kWidth);
      }
    }
  }
}

TEST(Recurrent, ReverseIsForwardOnTheMirroredSequence) {
  for (const Cell cell : kCells) {
    Batch<float> backwards(cell, {5}, 9, true), forwards(cell, {5}, 9, false);
    for (std::int64_t t = 0; t < 5; ++t) {
      for (std::int64_t k = 0; k < forwards.wide; ++k) {
        forwards.x[t * forwards.wide + k] = backwards.x[(4 - t) * forwards.wide + k];
      }
    }
    recurrent_forward(backwards.forward());
    recurrent_forward(forwards.forward());
    for (std::int64_t t = 0; t < 5; ++t) {
      for (std::int64_t k = 0; k < 9; ++k) {
        EXPECT_EQ(forwards.out[t * 12 + k], backwards.out[(4 - t) * 12 + k]);
      }
    }
    EXPECT_TRUE(same_bits(forwards.final_h.values(), backwards.final_h.values()));
  }
}

TEST(Recurrent, StepByStepIsTheWholeSequence) {
  // What decoding does: the same cell, one row at a time, in place.
  for (const Cell cell : kCells) {
    Batch<float> whole(cell, {6}, 20, false);
    recurrent_forward(whole.forward());
    std::vector<float> h = whole.h0.values(), c = whole.c0.values();
    std::vector<float> gates(static_cast<std::size_t>(whole.wide)), inner(20);
    for (std::int64_t t = 0; t < 6; ++t) {
      cell_forward({.cell = cell,
                    .rows = 1,
                    .width = 20,
                    .x = whole.x.data() + t * whole.wide,
                    .weight = whole.weight.data(),
                    .bias = whole.bias.data(),
                    .h = h.data(),
                    .c = c.data(),
                    .gates = gates.data(),
                    .inner = inner.data(),
                    .next_h = h.data(),
                    .next_c = c.data()});
      for (std::int64_t k = 0; k < 20; ++k) {
        ASSERT_EQ(h[static_cast<std::size_t>(k)], whole.out[t * 23 + k]) << "step " << t;
      }
    }
  }
}

TEST(Recurrent, GruGivesThePublishedNumbers) {
  // PyTorch's GRU(2, 2) with every parameter cos(0), cos(1) … and inputs (cos 2t, cos(2t + 1)).
  const auto cosines = [](std::int64_t n) {
    std::vector<double> v;
    for (std::int64_t i = 0; i < n; ++i) v.push_back(std::cos(static_cast<double>(i)));
    return v;
  };
  const auto w = cosines(12), b = cosines(6), x = cosines(4);  // w [6 2] as PyTorch stores it
  std::vector<double> products, weight(12);
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t g = 0; g < 6; ++g) {
      products.push_back(x[2 * t] * w[2 * g] + x[2 * t + 1] * w[2 * g + 1] + b[g]);
    }
  }
  transpose<double>(6, 2, w.data(), weight.data());
  Batch<double> batch(Cell::gru, {2}, 2, false, false);
  for (std::int64_t i = 0; i < 12; ++i) {
    batch.x[i] = products[static_cast<std::size_t>(i)];
    batch.weight[i] = weight[static_cast<std::size_t>(i)];
    batch.bias[i % 6] = b[static_cast<std::size_t>(i % 6)];
  }
  definition::recurrent_forward(batch.forward());
  EXPECT_NEAR(batch.out[0], -0.758090, 1e-6);
  EXPECT_NEAR(batch.out[1], -0.247515, 1e-6);
  EXPECT_NEAR(batch.out[5], -0.219009, 1e-6);
  EXPECT_NEAR(batch.out[6], 0.884183, 1e-6);
}

TEST(Recurrent, PlansSortByLengthAndKeepTheOrderOfEquals) {
  const RecurrentPlan plan = recurrent_plan(offsets_of({2, 0, 3, 2}), false);
  EXPECT_EQ(plan.sequence, (std::vector<std::int64_t>{2, 0, 3, 1}));
  EXPECT_EQ(plan.first, (std::vector<std::int64_t>{0, 3, 6, 7}));
  EXPECT_EQ(plan.row, (std::vector<std::int64_t>{2, 0, 5, 3, 1, 6, 4}));
  EXPECT_EQ(recurrent_plan(offsets_of({2, 0, 3, 2}), true).row,
            (std::vector<std::int64_t>{4, 1, 6, 3, 0, 5, 2}));
}

}  // namespace
}  // namespace qkv::kernels
