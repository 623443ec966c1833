#include "qkv/ops/ctc.h"

#include "qkv/base/dims.h"
#include "qkv/ops/dispatch.h"
#include "qkv/ops/elementwise.h"

namespace qkv {

std::int64_t ctc_rows(std::span<const std::int32_t> text) {
  auto rows = static_cast<std::int64_t>(text.size());
  for (std::size_t u = 1; u < text.size(); ++u) rows += text[u] == text[u - 1] ? 1 : 0;
  return rows;
}

CtcResult ctc_loss(const Tensor& logits, const Segments& rows, std::span<const std::int32_t> labels,
                   const Segments& texts, double scale) {
  const Dims d("ctc_loss", {{"logits", logits.shape(), "T L"}});
  if (d["T"] != rows.total() || rows.count() != texts.count() ||
      static_cast<std::int64_t>(labels.size()) != texts.total()) {
    fail<ShapeError>(
        "ctc_loss: {} rows of logits, {} rows in {} sequences, {} labels in {} texts "
        "of {}",
        d["T"], rows.total(), rows.count(), labels.size(), texts.count(), texts.total());
  }
  if (d["L"] < 1) fail<ShapeError>("ctc_loss: no labels, not even the blank");
  for (std::size_t u = 0; u < labels.size(); ++u) {
    if (labels[u] < 1 || labels[u] >= d["L"]) {
      fail<ShapeError>("ctc_loss: label {} at {} is outside [1, {}); 0 is the blank", labels[u], u,
                       d["L"]);
    }
  }
  const bool differentiate = recording() && needs_gradient(logits);
  Tensor dlogits = differentiate ? Tensor::empty(logits.shape(), logits.dtype()) : Tensor();
  CtcResult result;
  result.nll.resize(static_cast<std::size_t>(rows.count()));
  dispatch(logits, [&](auto zero) {
    using T = decltype(zero);
    const kernels::CtcTexts<T> call{.labels = d["L"],
                                    .sequences = rows.count(),
                                    .offsets = rows.offsets().data(),
                                    .logits = logits.data<T>(),
                                    .text_offsets = texts.offsets().data(),
                                    .texts = labels.data()};
    kernels_for<T>().ctc(call, result.nll.data(), differentiate ? dlogits.data<T>() : nullptr);
  });
  for (double& nll : result.nll) {
    if (nll == kernels::kImpossibleText) {
      nll = 0;
      ++result.impossible;
    }
    result.nll_sum += nll;
  }
  result.loss = Tensor::full({}, scale * result.nll_sum, logits.dtype());
  record(result.loss, {&logits}, [logits, dlogits, scale](const Tensor& dloss) {
    accumulate(logits, qkv::scale(dlogits, scale * dloss.item()));
  });
  return result;
}

}  // namespace qkv
