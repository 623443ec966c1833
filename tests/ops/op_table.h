// The one table of operations. Every row is checked in four ways by op_table_test.cc: gradients by
// finite differences in double, fast form against definition (value and gradients), 1 against 2
// threads bit for bit, and poisoned memory. A new operation is one more row.
#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "qkv/ops/columns.h"
#include "qkv/ops/convolve.h"
#include "qkv/ops/deviation.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/grid.h"
#include "qkv/ops/heads.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/loss.h"
#include "qkv/ops/norm.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/pixels.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/softmax.h"
#include "qkv/ops/steps.h"

namespace qkv::testing {

struct OpRow {
  std::string name;
  std::vector<Shape> inputs;
  std::function<Tensor(std::span<const Tensor>)> run;
  double tolerance = 2e-6;  // fast against definition, relative to 1 + |value|
};

/// What happens to queries and keys between their projection and the score.
inline void add_head_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  rows.push_back({"unit_rows" + size, {{5, n}}, [](auto x) { return unit_rows(x[0]); }});
  rows.push_back({"unit_rows of heads" + size, {{3, 2, n}}, [](auto x) {
                    return unit_rows(x[0], 2.0);  // some rows are shorter, some longer
                  }});
  rows.push_back({"rms_norm" + size,
                  {{300, n}, {n}},
                  [](auto x) { return rms_norm(x[0], x[1], 1e-3); },
                  1e-5});
  rows.push_back({"rms_norm of heads without weights" + size, {{3, 2, n}}, [](auto x) {
                    return rms_norm(x[0], {}, 1e-3);
                  }});
  rows.push_back({"project_heads with one matrix" + size, {{5, 3, n}, {n, 4}}, [](auto x) {
                    return project_heads(x[0], x[1]);
                  }});
  rows.push_back({"project_heads with a matrix each" + size, {{5, 3, n}, {3, n, 4}}, [](auto x) {
                    return project_heads(x[0], x[1]);
                  }});
  rows.push_back({"project_heads of a lone row" + size, {{1, 3, 4}, {3, 4, n}}, [](auto x) {
                    return add(project_heads(x[0], x[1]), project_heads(x[0], x[1]));
                  }});
  rows.push_back({"clamp" + size, {{5, n}}, [](auto x) { return clamp(x[0], -0.4, 0.9); }});
  for (const bool interleaved : {false, true}) {
    const std::string form = interleaved ? " interleaved" : " halves";
    rows.push_back({"rotary" + form + size, {{4, 3, 2 * n}}, [interleaved](auto x) {
                      return rotary(x[0], std::vector<std::int32_t>{0, 1, 7, 1000},
                                    {.interleaved = interleaved});
                    }});
    rows.push_back({"rotary in bands" + form + size, {{4, 3, 2 * n}}, [interleaved](auto x) {
                      const RotaryBands bands{.factor = 4, .original = 100};
                      return rotary(x[0], std::vector<std::int32_t>{0, 1, 7, 1000},
                                    {.interleaved = interleaved, .bands = bands});
                    }});
    rows.push_back({"rotary of the first" + form + size, {{4, 3, 2 * n + 3}}, [=](auto x) {
                      return rotary(
                          x[0], std::vector<std::int32_t>{3, -1, 0, 2},
                          {.base = 500, .dims = 2 * n, .interleaved = interleaved, .scale = 0.25});
                    }});
  }
}

/// Taking apart and putting together.
inline void add_piece_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  rows.push_back({"slice_rows" + size, {{5, n}}, [](auto x) {
                    const Tensor y = slice_rows(x[0], 1, 4);  // its rows are read twice
                    return multiply(y, slice_rows(y, 0, 3));
                  }});
  rows.push_back({"stack_rows" + size, {{3, n}, {0, n}, {2, n}}, [](auto x) {
                    return stack_rows(std::vector<Tensor>{x[0], x[1], x[2], x[0]});
                  }});
  rows.push_back({"join_columns" + size, {{5, n}, {5, 3}}, [](auto x) {
                    return join_columns(std::vector<Tensor>{x[0], x[1], x[0]});
                  }});
}

/// Everything that a recurrent layer gives, in one tensor.
inline Tensor all_of(const Recurred& y) {
  std::vector<Tensor> parts{y.out, y.last.h};
  if (y.last.c.defined()) parts.push_back(y.last.c);
  return stack_rows(parts);
}

/// A loop over three steps of 4, 3 and 1 rows whose cell reads what it gave the step before.
inline Tensor feedback_loop(Cell cell, std::span<const Tensor> x) {
  StepLinear feedback(x[1], x[3], 8);
  StepCell step(cell, x[2], x[4], 8);
  RecurrentState state{x[5], cell == Cell::lstm ? x[6] : Tensor()};
  std::vector<Tensor> out;
  std::int64_t row = 0;
  for (const std::int64_t n : {4, 3, 1}) {
    const Tensor products =
        add(slice_rows(x[0], row, row + n), feedback(slice_rows(state.h, 0, n)));
    state = step(products, state);
    out.push_back(state.h);
    row += n;
  }
  return stack_rows(out);  // the last c is not read: no gradient comes to it
}

inline void add_recurrent_rows(std::vector<OpRow>& rows, std::int64_t n) {
  for (const auto& [name, cell] :
       {std::pair{"gru", Cell::gru}, std::pair{"gru_reset_before", Cell::gru_reset_before},
        std::pair{"lstm", Cell::lstm}}) {
    const Cell which = cell;
    const bool lstm = which == Cell::lstm;
    const std::int64_t wide = kernels::gates_of(which) * n;
    const std::string size = std::string(name) + " width " + std::to_string(n);
    for (const bool reverse : {false, true}) {
      std::vector<Shape> inputs{{7, 3}, {3, wide}, {n, wide}, {wide}, {wide}, {4, n}};
      if (lstm) inputs.push_back({4, n});
      rows.push_back({(reverse ? "reverse " : "") + size, inputs,
                      [=](auto x) {
                        return all_of(recurrent(
                            x[0], Segments({3, 0, 1, 3}), {x[1], x[2], x[3], x[4]},
                            {x[5], lstm ? x[6] : Tensor()}, {.cell = which, .reverse = reverse}));
                      },
                      1e-5});
    }
    rows.push_back(
        {"without bias or state " + size,
         {{4, 3}, {3, wide}, {n, wide}},
         [=](auto x) {
           return all_of(recurrent(x[0], Segments({4}), {x[1], x[2], {}, {}}, {}, {.cell = which}));
         },
         1e-5});
    std::vector<Shape> loop{{8, wide}, {n, wide}, {n, wide}, {wide}, {wide}, {5, n}};
    if (lstm) loop.push_back({4, n});
    rows.push_back(
        {"step by step " + size, loop, [=](auto x) { return feedback_loop(which, x); }, 2e-5});
  }
}

/// Pictures of 3 × 2 pixels.
inline void add_grid_rows(std::vector<OpRow>& rows) {
  rows.push_back({"pad_grid", {{12, 5}}, [](auto x) { return pad_grid(x[0], {3, 2}, 2); }});
  rows.push_back({"pad_grid without a ring", {{6, 5}}, [](auto x) {
                    return pad_grid(x[0], {3, 2}, 0);
                  }});
  rows.push_back({"quadratic_queries", {{4, 2}, {4}}, [](auto x) {
                    return quadratic_queries(x[0], x[1], {3, 2}, 2);
                  }});
  rows.push_back({"quadratic_queries, any spread", {{4, 2}, {4, 2, 2}}, [](auto x) {
                    return quadratic_queries(x[0], x[1], {3, 2}, 2);
                  }});
}

/// Pictures of several sizes: 3 × 2, none, 4 × 5 and one pixel.
inline void add_picture_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  const Grids grids{{3, 2}, {0, 4}, {4, 5}, {1, 1}};
  const std::int64_t total = grids.total();
  for (const auto& [name, window] : {std::pair{"", PixelWindow::square(3, 1, 1)},
                                     std::pair{" with strides", PixelWindow{3, 2, 2, 1, 1, 0}},
                                     std::pair{" 1 × 1", PixelWindow::square(1)}}) {
    const PixelWindow w = window;
    rows.push_back({std::string("convolve") + name + size,
                    {{total, 3}, {w.rows, w.cols, 3, n}, {n}},
                    [=](auto x) { return convolve(x[0], grids, x[1], x[2], w); },
                    1e-5});
  }
  rows.push_back(
      {"convolve in groups" + size,
       {{total, 2 * n}, {2, 2, n, 4}},
       [=](auto x) { return convolve(x[0], grids, x[1], {}, PixelWindow::square(2), 2); },
       1e-5});
  rows.push_back({"convolve in time" + size,
                  {{9, n}, {3, n, 4}, {4}},
                  [](auto x) {
                    const Grids lines = Grids::lines(Segments({5, 0, 4}));
                    return convolve(x[0], lines, x[1], x[2], PixelWindow::line(3, 2, 1));
                  },
                  1e-5});
  rows.push_back({"pixel_shuffle" + size, {{total, 4 * n}}, [=](auto x) {
                    return pixel_shuffle(x[0], grids, 2);
                  }});
  rows.push_back({"upsample_nearest" + size, {{total, n}}, [=](auto x) {
                    return upsample_nearest(x[0], grids, 3);
                  }});
  rows.push_back({"mean_pool" + size, {{total, n}}, [=](auto x) {
                    return mean_pool(x[0], grids, PixelWindow::square(2, 2));
                  }});
  rows.push_back({"max_pool" + size, {{total, n}}, [=](auto x) {
                    return max_pool(x[0], grids, PixelWindow::square(3, 2, 1));
                  }});
  rows.push_back({"enlarge_bicubic" + size, {{total, n}}, [=](auto x) {
                    return enlarge_bicubic(x[0], grids, 2);
                  }});
  rows.push_back({"drop_pictures" + size, {{5, n}}, [](auto x) {
                    return drop_pictures(x[0], std::vector<std::int32_t>{0, 1, 0, 2, 3}, 0.5);
                  }});
  rows.push_back({"standardise_columns" + size,
                  {{7, n}},
                  [](auto x) { return standardise_columns(x[0], 1e-3).out; },
                  2e-5});
  rows.push_back({"standardise_columns as told" + size, {{7, n}}, [n](auto x) {
                    const DType type = x[0].dtype();
                    return standardise_columns(x[0], Tensor::full({n}, 0.5, type),
                                               Tensor::full({n}, 2.0, type), 1e-3);
                  }});
  rows.push_back({"scale_columns" + size, {{7, n}, {1, n}, {1, n}}, [](auto x) {
                    return scale_columns(x[0], x[1], x[2]);
                  }});
  rows.push_back(
      {"scale_columns by class" + size, {{5, n}, {3, n}, {3, n}}, [](auto x) {
         return scale_columns(x[0], x[1], x[2], std::vector<std::int32_t>{2, 0, 2, 2, 0});
       }});
  rows.push_back({"leaky_relu" + size, {{5, n}}, [](auto x) { return leaky_relu(x[0], 0.2); }});
  rows.push_back({"deviations" + size, {{5, n}}, [](auto x) {
                    return deviations(x[0], Tensor::full(x[0].shape(), 0.1, x[0].dtype()), 0.01);
                  }});
  rows.push_back({"permute_rows" + size, {{5, n}}, [](auto x) {
                    return permute_rows(x[0], Permutation({4, 0, 3, 1, 2}));
                  }});
}

/// Rows of whole sequences, and probabilities of few labels.
inline void add_label_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  const Segments segments({3, 0, 1, 4});
  rows.push_back(
      {"windows" + size, {{8, n}}, [=](auto x) { return windows(x[0], segments, 1, 2); }});
  rows.push_back({"windows wider than a sequence" + size, {{8, n}}, [=](auto x) {
                    return windows(x[0], segments, 3, 0);
                  }});
  rows.push_back(
      {"segment_mean" + size, {{8, n}}, [=](auto x) { return segment_mean(x[0], segments); }});
  rows.push_back(
      {"segment_max" + size, {{8, n}}, [=](auto x) { return segment_max(x[0], segments); }});
  rows.push_back({"softmax" + size, {{5, n}}, [](auto x) { return softmax(x[0]); }});
  rows.push_back({"bell_columns" + size, {{5, n}, {5, 1}}, [](auto x) {
                    return bell_columns(x[0], x[1], 1.5);
                  }});
  rows.push_back({"log_softmax" + size, {{5, n}}, [](auto x) { return log_softmax(x[0]); }});
  rows.push_back(
      {"logarithm" + size, {{5, n}}, [](auto x) { return logarithm(multiply(x[0], x[0]), 0.5); }});
  rows.push_back({"cross_entropy of logits" + size,
                  {{5, n}},
                  [n](auto x) {
                    const auto last = static_cast<std::int32_t>(n - 1);
                    return cross_entropy(x[0], std::vector<std::int32_t>{0, last, -1, last / 2, 0},
                                         {.smoothing = 0.1, .scale = 0.25})
                        .loss;
                  },
                  1e-5});
}

inline void add_linear_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  for (const auto& [name, activation] :
       {std::pair{"none", Activation::none}, std::pair{"relu", Activation::relu},
        std::pair{"gelu", Activation::gelu}, std::pair{"gelu_tanh", Activation::gelu_tanh},
        std::pair{"tanh", Activation::tanh}, std::pair{"sigmoid", Activation::sigmoid},
        std::pair{"silu", Activation::silu}, std::pair{"quick_gelu", Activation::quick_gelu},
        std::pair{"elu", Activation::elu}}) {
    const Activation a = activation;
    rows.push_back({"gated " + std::string(name) + size, {{5, n}, {5, n}}, [a](auto x) {
                      return gated(x[0], x[1], a);
                    }});
    rows.push_back({"linear " + std::string(name) + size, {{5, 3}, {3, n}, {n}}, [a](auto x) {
                      return linear(x[0], x[1], x[2], a);
                    }});
    rows.push_back({"linear with dropout " + std::string(name) + size,
                    {{5, 3}, {3, n}, {n}},
                    [a](auto x) { return linear(x[0], x[1], x[2], a, 0.4); }});
    rows.push_back({"bias_activate " + std::string(name) + size, {{5, n}, {n}}, [a](auto x) {
                      return bias_activate(x[0], x[1], a);
                    }});
    rows.push_back({"activate " + std::string(name) + size, {{3, n}}, [a](auto x) {
                      return activate(x[0], a);
                    }});
  }
  rows.push_back({"matmul" + size, {{5, n}, {n, 4}}, [](auto x) { return matmul(x[0], x[1]); }});
}

inline void add_elementwise_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  rows.push_back({"add" + size, {{5, n}, {5, n}}, [](auto x) { return add(x[0], x[1]); }});
  rows.push_back({"add to itself" + size, {{5, n}}, [](auto x) { return add(x[0], x[0]); }});
  rows.push_back(
      {"multiply" + size, {{5, n}, {5, n}}, [](auto x) { return multiply(x[0], x[1]); }});
  rows.push_back({"scale" + size, {{5, n}}, [](auto x) { return scale(x[0], -0.7); }});
  rows.push_back({"dropout" + size, {{5, n}}, [](auto x) { return dropout(x[0], 0.3); }});
  rows.push_back({"reshape" + size, {{6, n}}, [n](auto x) {
                    return multiply(reshape(x[0], {3, 2 * n}), reshape(x[0], {3, 2 * n}));
                  }});
  rows.push_back({"select_rows" + size, {{5, n}}, [](auto x) {
                    return select_rows(x[0], std::vector<std::int64_t>{4, 0, 4, 2});
                  }});
  rows.push_back({"sum" + size, {{5, n}}, [](auto x) { return sum(multiply(x[0], x[0])); }, 1e-5});
  rows.push_back({"embed" + size, {{6, n}, {4, n}}, [](auto x) {
                    return embed(std::vector<std::int32_t>{5, 0, 5, 2}, x[0],
                                 {.scale = 1.5, .dropout = 0.2}, x[1],
                                 std::vector<std::int32_t>{0, 1, 2, 0});
                  }});
}

inline void add_vocabulary_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  for (const auto stored : {VocabularyMatrix::projection, VocabularyMatrix::table}) {
    for (const auto form : {Smoothing::uniform, Smoothing::off_target}) {
      const bool table = stored == VocabularyMatrix::table;
      const Shape matrix = table ? Shape{9, n} : Shape{n, 9};
      rows.push_back({std::string("cross_entropy ") + (table ? "table" : "projection") +
                          (form == Smoothing::uniform ? " uniform" : " off target") + size,
                      {{5, n}, matrix, {9}},
                      [stored, form](auto x) {
                        return cross_entropy(x[0], x[1], stored, x[2],
                                             std::vector<std::int32_t>{3, 0, -1, 8, 3},
                                             {.smoothing = 0.1, .form = form, .scale = 0.25})
                            .loss;
                      },
                      1e-5});
    }
  }
}

inline void add_norm_rows(std::vector<OpRow>& rows, std::int64_t n) {
  const std::string size = " width " + std::to_string(n);
  rows.push_back({"layer_norm" + size,
                  {{5, n}, {n}, {n}},
                  [](auto x) { return layer_norm(x[0], x[1], x[2], 1e-3); },
                  2e-5});
  rows.push_back({"layer_norm without weights" + size,
                  {{5, n}},
                  [](auto x) { return layer_norm(x[0], {}, {}, 1e-3); },
                  2e-5});
  rows.push_back({"residual_norm" + size,
                  {{5, n}, {5, n}, {n}, {n}},
                  [](auto x) {
                    return residual_norm(x[0], x[1], x[2], x[3], {.eps = 1e-3, .dropout = 0.3}).out;
                  },
                  2e-5});
  rows.push_back({"residual_norm, sum carried on" + size,
                  {{5, n}, {5, n}, {n}, {n}},
                  [](auto x) {
                    const ResidualNorm y =
                        residual_norm(x[0], x[1], x[2], x[3], {.eps = 1e-3, .dropout = 0.3});
                    return add(y.sum, multiply(y.out, y.out));
                  },
                  5e-5});
  rows.push_back({"residual_norm, only the sum" + size, {{5, n}, {5, n}}, [](auto x) {
                    return residual_norm(x[0], x[1], {}, {}, {.dropout = 0.3}).sum;
                  }});
}

inline std::vector<OpRow> op_table() {
  std::vector<OpRow> rows;
  add_grid_rows(rows);
  // Odd sizes on purpose: one element, below, at and above a vector, a prime.
  for (const std::int64_t n : {1, 7, 16, 33}) {
    add_linear_rows(rows, n);
    add_elementwise_rows(rows, n);
    add_vocabulary_rows(rows, n);
    add_head_rows(rows, n);
    add_piece_rows(rows, n);
    add_label_rows(rows, n);
    add_recurrent_rows(rows, n);
    add_picture_rows(rows, n);
    if (n > 1) add_norm_rows(rows, n);  // the norm of one number is constant
  }
  return rows;
}

}  // namespace qkv::testing
