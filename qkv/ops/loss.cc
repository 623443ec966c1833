#include "qkv/ops/loss.h"

#include <algorithm>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/kernels/elementwise.h"
#include "qkv/kernels/gemm.h"
#include "qkv/kernels/loss.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

// Rows of logits held at once: 8 MiB of them stay in a typical last-level cache between the product
// that makes them, the pass that turns them into a gradient and the two products that read that
// gradient.
std::int64_t block_rows(std::int64_t vocabulary, std::size_t bytes) {
  const std::int64_t rows =
      (std::int64_t{8} << 20) / (vocabulary * static_cast<std::int64_t>(bytes));
  return std::max<std::int64_t>(32, rows / 32 * 32);
}

void check(const Tensor& hidden, const Tensor& matrix, VocabularyMatrix stored,
           const Tensor& bias) {
  const char* letters = stored == VocabularyMatrix::table ? "V C" : "C V";
  const Dims sizes("cross_entropy",
                   {{"hidden", hidden.shape(), "T C"}, {"matrix", matrix.shape(), letters}});
  if (bias.defined()) {
    const Dims with_bias("cross_entropy",
                         {{"matrix", matrix.shape(), letters}, {"bias", bias.shape(), "V"}});
  }
  check_types("cross_entropy", hidden, {&matrix, &bias});
}

/// The matrix as [C V], and as [V C].
Tensor as_projection(const Tensor& matrix, VocabularyMatrix stored) {
  return stored == VocabularyMatrix::table ? transposed_parameter(matrix) : matrix;
}
Tensor as_table(const Tensor& matrix, VocabularyMatrix stored) {
  return stored == VocabularyMatrix::table ? matrix : transposed_parameter(matrix);
}

template <class T>
void scale_by(const Tensor& factor, Tensor& x) {
  const T f = *factor.data<T>();
  if (f == T(1)) return;
  if constexpr (std::is_same_v<T, float>) {
    kernels::axpby(x.count(), 0.0f, x.data<T>(), f, x.data<T>());
  } else {
    kernels::definition::axpby(x.count(), 0.0, x.data<T>(), f, x.data<T>());
  }
}

void check_targets(std::int64_t rows, std::int64_t vocabulary,
                   std::span<const std::int32_t> targets, std::int32_t ignore) {
  if (static_cast<std::int64_t>(targets.size()) != rows) {
    fail<ShapeError>("cross_entropy: {} rows but {} targets", rows, targets.size());
  }
  for (std::int32_t target : targets) {
    if (target != ignore && (target < 0 || target >= vocabulary)) {
      fail<ShapeError>("cross_entropy: target {} outside a vocabulary of {}", target, vocabulary);
    }
  }
}

/// What the loss is computed from, and where its gradients at a scale of one go; these are
/// undefined where none are wanted.
struct Head {
  Tensor hidden, projection, table, bias;
  VocabularyMatrix stored;
  Tensor dhidden = {}, dmatrix = {}, dbias = {};

  bool differentiates() const { return dhidden.defined(); }
};

/// The gradients of `m` rows from `r` on, of whose logits z is the gradient.
template <class T>
void add_gradients(Head& head, std::int64_t r, std::int64_t m, const T* z) {
  const std::int64_t width = head.hidden.dim(1), vocabulary = head.projection.dim(1);
  const T* h = head.hidden.data<T>() + r * width;
  const T beta = r == 0 ? T(0) : T(1);
  kernels_for<T>().gemm_nn(m, width, vocabulary, z, vocabulary, head.table.data<T>(), width, T(0),
                           head.dhidden.data<T>() + r * width, width);
  const bool by_rows = head.stored == VocabularyMatrix::table;
  if (head.dmatrix.defined() && by_rows) {
    kernels_for<T>().gemm_tn(vocabulary, width, m, z, vocabulary, h, width, beta,
                             head.dmatrix.data<T>(), width);
  } else if (head.dmatrix.defined()) {
    kernels_for<T>().gemm_tn(width, vocabulary, m, h, width, z, vocabulary, beta,
                             head.dmatrix.data<T>(), vocabulary);
  }
  if (head.dbias.defined()) {
    kernels_for<T>().column_sums(m, vocabulary, z, beta, head.dbias.data<T>());
  }
}

/// The sums of the result, block by block; with the gradients that are wanted.
template <class T>
CrossEntropyResult run(Head& head, std::span<const std::int32_t> targets,
                       const CrossEntropyOptions& options) {
  const std::int64_t rows = head.hidden.dim(0), width = head.hidden.dim(1);
  const std::int64_t vocabulary = head.projection.dim(1);
  const DType type = head.hidden.dtype();
  const std::int64_t block =
      std::min(std::max<std::int64_t>(rows, 1), block_rows(vocabulary, sizeof(T)));
  Tensor logits_block = Tensor::empty({block, vocabulary}, type);
  Tensor loss = Tensor::empty({rows}, type), nll = Tensor::empty({rows}, type);
  std::vector<std::uint8_t> correct(static_cast<std::size_t>(rows));
  T* z = logits_block.data<T>();
  for (std::int64_t r = 0; r < rows; r += block) {
    const std::int64_t m = std::min(block, rows - r);
    kernels_for<T>().gemm_nn(m, vocabulary, width, head.hidden.data<T>() + r * width, width,
                             head.projection.data<T>(), vocabulary, T(0), z, vocabulary);
    kernels::CrossEntropy<T> a{};
    a.rows = m;
    a.vocabulary = vocabulary;
    a.logits = z;
    a.bias = data_or_null<T>(head.bias);
    a.targets = targets.data() + r;
    a.ignore = options.ignore;
    a.smoothing = options.smoothing;
    a.form = options.form;
    a.gradient_scale = head.differentiates() ? options.scale : 0.0;
    a.loss = loss.data<T>() + r;
    a.nll = nll.data<T>() + r;
    a.correct = correct.data() + r;
    kernels_for<T>().cross_entropy(a);
    if (head.differentiates()) add_gradients(head, r, m, z);
  }
  CrossEntropyResult result;
  for (std::int64_t r = 0; r < rows; ++r) {
    if (targets[static_cast<std::size_t>(r)] == options.ignore) continue;
    result.loss_sum += static_cast<double>(loss.data<T>()[r]);
    result.nll_sum += static_cast<double>(nll.data<T>()[r]);
    result.correct += correct[static_cast<std::size_t>(r)];
    ++result.tokens;
  }
  return result;
}

}  // namespace

CrossEntropyResult cross_entropy(const Tensor& hidden, const Tensor& matrix,
                                 VocabularyMatrix stored, const Tensor& bias,
                                 std::span<const std::int32_t> targets,
                                 const CrossEntropyOptions& options) {
  check(hidden, matrix, stored, bias);
  check_targets(hidden.dim(0), stored == VocabularyMatrix::table ? matrix.dim(0) : matrix.dim(1),
                targets, options.ignore);
  const bool by_matrix = needs_gradient(matrix);
  const bool by_bias = bias.defined() && needs_gradient(bias);
  const bool differentiate = recording() && (needs_gradient(hidden) || by_matrix || by_bias);
  const DType type = hidden.dtype();
  Head head{.hidden = hidden,
            .projection = as_projection(matrix, stored),
            .table = differentiate ? as_table(matrix, stored) : Tensor(),
            .bias = bias,
            .stored = stored};
  if (differentiate) {
    head.dhidden = Tensor::empty(hidden.shape(), type);
    if (by_matrix) head.dmatrix = Tensor::empty(matrix.shape(), type);
    if (by_bias) head.dbias = Tensor::empty(bias.shape(), type);
  }
  CrossEntropyResult result;
  dispatch(hidden, [&](auto zero) { result = run<decltype(zero)>(head, targets, options); });
  if (differentiate && hidden.dim(0) == 0) {
    if (by_matrix) head.dmatrix = Tensor::zeros(matrix.shape(), type);
    if (by_bias) head.dbias = Tensor::zeros(bias.shape(), type);
  }
  result.loss = Tensor::full({}, options.scale * result.loss_sum, type);
  record(result.loss, {&hidden, &matrix, &bias},
         [hidden, matrix, bias, dhidden = head.dhidden, dmatrix = head.dmatrix,
          dbias = head.dbias](const Tensor& dloss) mutable {
           dispatch(dloss, [&](auto zero) {
             using T = decltype(zero);
             for (Tensor* gradient : {&dhidden, &dmatrix, &dbias}) {
               if (gradient->defined()) scale_by<T>(dloss, *gradient);
             }
           });
           accumulate(hidden, std::move(dhidden));
           if (dmatrix.defined()) accumulate(matrix, std::move(dmatrix));
           if (dbias.defined()) accumulate(bias, std::move(dbias));
         });
  return result;
}

Tensor logits(const Tensor& hidden, const Tensor& matrix, VocabularyMatrix stored,
              const Tensor& bias) {
  check(hidden, matrix, stored, bias);
  const Tensor projection = as_projection(matrix, stored);
  const std::int64_t rows = hidden.dim(0), width = hidden.dim(1), vocabulary = projection.dim(1);
  Tensor out = Tensor::empty({rows, vocabulary}, hidden.dtype());
  dispatch(hidden, [&](auto zero) {
    using T = decltype(zero);
    kernels_for<T>().gemm_nn(rows, vocabulary, width, hidden.data<T>(), width, projection.data<T>(),
                             vocabulary, T(0), out.data<T>(), vocabulary);
    if (bias.defined()) {
      kernels_for<T>().bias_activation(rows, vocabulary, out.data<T>(), bias.data<T>(),
                                       kernels::Activation::none, Dropout{}, out.data<T>());
    }
  });
  return out;
}

}  // namespace qkv
